-- Services on their way from one registry to another.

-- planJson: which services, mapped groups, gates and what becomes of the copies. servicesJson: those
-- that are not where the migration is.
CREATE TABLE HUB_REGISTRY_MIGRATION (
    tenantId        VARCHAR(32) COLLATE "C" NOT NULL,
    migrationId     VARCHAR(32) COLLATE "C" NOT NULL,
    migrationName   VARCHAR(100) COLLATE "C" NOT NULL,
    fromName        VARCHAR(100) COLLATE "C" NOT NULL,
    toName          VARCHAR(100) COLLATE "C" NOT NULL,
    fromConfigId    VARCHAR(32) COLLATE "C" NOT NULL,
    toConfigId      VARCHAR(32) COLLATE "C" NOT NULL,
    planJson        TEXT NOT NULL,
    servicesJson    TEXT,
    migrationState  VARCHAR(20) COLLATE "C" NOT NULL,
    pausedFlag      VARCHAR(1) COLLATE "C"  NOT NULL,
    addTime         TIMESTAMPTZ  DEFAULT CURRENT_TIMESTAMP,
    addWho          VARCHAR(100) DEFAULT 'system',
    editTime        TIMESTAMPTZ  DEFAULT CURRENT_TIMESTAMP,
    editWho         VARCHAR(100) DEFAULT 'system',
    oprSeqFlag      VARCHAR(32)  DEFAULT '',
    currentVersion  INTEGER      DEFAULT 1,
    activeFlag      VARCHAR(1)   DEFAULT 'Y',
    noteText        VARCHAR(500),
    extProperty     TEXT,
    PRIMARY KEY (tenantId, migrationId)
);

-- How equal source and target were, over time. sampleMillis is milliseconds since 1970.
CREATE TABLE HUB_REGISTRY_MIGRATION_PARITY (
    tenantId       VARCHAR(32) COLLATE "C" NOT NULL,
    migrationId    VARCHAR(32) COLLATE "C" NOT NULL,
    sampleMillis   BIGINT NOT NULL,
    equalCount     BIGINT NOT NULL,
    missingCount   BIGINT NOT NULL,
    extraCount     BIGINT NOT NULL,
    differentCount BIGINT NOT NULL,
    PRIMARY KEY (tenantId, migrationId, sampleMillis)
);
