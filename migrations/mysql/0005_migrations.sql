-- Services on their way from one registry to another.

-- planJson: which services, mapped groups, gates and what becomes of the copies. servicesJson: those
-- that are not where the migration is.
CREATE TABLE HUB_REGISTRY_MIGRATION (
    tenantId        VARCHAR(32)  NOT NULL,
    migrationId     VARCHAR(32)  NOT NULL,
    migrationName   VARCHAR(100) NOT NULL,
    fromName        VARCHAR(100) NOT NULL,
    toName          VARCHAR(100) NOT NULL,
    fromConfigId    VARCHAR(32)  NOT NULL,
    toConfigId      VARCHAR(32)  NOT NULL,
    planJson        MEDIUMTEXT NOT NULL,
    servicesJson    MEDIUMTEXT,
    migrationState  VARCHAR(20)  NOT NULL,
    pausedFlag      VARCHAR(1)   NOT NULL,
    addTime         DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    addWho          VARCHAR(100) DEFAULT 'system',
    editTime        DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    editWho         VARCHAR(100) DEFAULT 'system',
    oprSeqFlag      VARCHAR(32)  DEFAULT '',
    currentVersion  INT          DEFAULT 1,
    activeFlag      CHAR(1)      DEFAULT 'Y',
    noteText        VARCHAR(500),
    extProperty     MEDIUMTEXT,
    PRIMARY KEY (tenantId, migrationId)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4
  /*!50700 COLLATE = utf8mb4_bin */ /*M!100201 COLLATE = utf8mb4_nopad_bin */;

-- How equal source and target were, over time. sampleMillis is milliseconds since 1970.
CREATE TABLE HUB_REGISTRY_MIGRATION_PARITY (
    tenantId       VARCHAR(32)  NOT NULL,
    migrationId    VARCHAR(32)  NOT NULL,
    sampleMillis   BIGINT NOT NULL,
    equalCount     BIGINT NOT NULL,
    missingCount   BIGINT NOT NULL,
    extraCount     BIGINT NOT NULL,
    differentCount BIGINT NOT NULL,
    PRIMARY KEY (tenantId, migrationId, sampleMillis)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4
  /*!50700 COLLATE = utf8mb4_bin */ /*M!100201 COLLATE = utf8mb4_nopad_bin */;
