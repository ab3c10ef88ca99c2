-- Secrets are kept sealed, which makes them longer.
ALTER TABLE HUB_REGISTRY_EXTERNAL_CONFIG
    ALTER COLUMN password TYPE VARCHAR(1000),
    ALTER COLUMN accessToken TYPE VARCHAR(4000),
    ALTER COLUMN secretKey TYPE VARCHAR(1000);

-- Which standby serves since when, and how often it came to that, as JSON.
ALTER TABLE HUB_REGISTRY_EXTERNAL_STATUS ADD COLUMN failoverDetails TEXT;
