-- Other databases have an index for events that are not numbered. MySQL and MariaDB have none over a
-- part of a table, and nothing changes here.

DO 0;
