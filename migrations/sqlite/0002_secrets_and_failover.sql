-- Secrets are kept sealed, which makes them longer; SQLite does not look at the lengths of columns.

-- Which standby serves since when, and how often it came to that, as JSON.
ALTER TABLE HUB_REGISTRY_EXTERNAL_STATUS ADD COLUMN failoverDetails TEXT;
