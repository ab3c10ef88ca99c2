-- Secrets are kept sealed, which makes them longer.
ALTER TABLE HUB_REGISTRY_EXTERNAL_CONFIG
    MODIFY COLUMN password VARCHAR(1000),
    MODIFY COLUMN accessToken VARCHAR(4000),
    MODIFY COLUMN secretKey VARCHAR(1000);

-- Which standby serves since when, and how often it came to that, as JSON.
ALTER TABLE HUB_REGISTRY_EXTERNAL_STATUS ADD COLUMN failoverDetails MEDIUMTEXT;
