-- The tables of Hub Registry for MySQL, from version 5.7 on, and MariaDB, from 10.2 on. Names and meanings
-- are the same in every database.
--
-- Every column but the keys and what names an external registry has a default or may be NULL, so that a
-- row can be made with plain SQL; in MySQL before 8.0.13 an id has no default, since a default cannot be
-- an expression there. Times are UTC: set time_zone = '+00:00' before writing some with plain SQL.
-- Text compares byte by byte; only MySQL does not count blanks at its end. MariaDB ignores comments of
-- the form /*!50700 */ and up, so that of two with a collation only one counts.

CREATE TABLE HUB_REGISTRY_SERVICE_GROUP (
    serviceGroupId                    VARCHAR(32)  NOT NULL
        /*!80013 DEFAULT (REPLACE(UUID(), '-', '')) */ /*M!100201 DEFAULT (REPLACE(UUID(), '-', '')) */,
    tenantId                          VARCHAR(32)  NOT NULL,
    groupName                         VARCHAR(100) NOT NULL,
    groupDescription                  VARCHAR(500),
    groupType                         VARCHAR(50)  DEFAULT 'BUSINESS',
    ownerUserId                       VARCHAR(32),
    adminUserIds                      MEDIUMTEXT,
    readUserIds                       MEDIUMTEXT,
    accessControlEnabled              CHAR(1)      DEFAULT 'N',
    defaultProtocolType               VARCHAR(20)  DEFAULT 'HTTP',
    defaultLoadBalanceStrategy        VARCHAR(50)  DEFAULT 'ROUND_ROBIN',
    defaultHealthCheckUrl             VARCHAR(500) DEFAULT '/health',
    defaultHealthCheckIntervalSeconds INT          DEFAULT 30,
    addTime                           DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    addWho                            VARCHAR(100) DEFAULT 'system',
    editTime                          DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    editWho                           VARCHAR(100) DEFAULT 'system',
    oprSeqFlag                        VARCHAR(32)  DEFAULT '',
    currentVersion                    INT          DEFAULT 1,
    activeFlag                        CHAR(1)      DEFAULT 'Y',
    noteText                          VARCHAR(500),
    extProperty                       MEDIUMTEXT,
    PRIMARY KEY (tenantId, serviceGroupId),
    UNIQUE (tenantId, groupName)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4
  /*!50700 COLLATE = utf8mb4_bin */ /*M!100201 COLLATE = utf8mb4_nopad_bin */;

CREATE TABLE HUB_REGISTRY_SERVICE (
    tenantId                   VARCHAR(32)  NOT NULL,
    groupName                  VARCHAR(100) NOT NULL,
    serviceName                VARCHAR(100) NOT NULL,
    serviceDescription         VARCHAR(500),
    protocolType               VARCHAR(20)  DEFAULT 'HTTP',
    contextPath                VARCHAR(200),
    loadBalanceStrategy        VARCHAR(50)  DEFAULT 'ROUND_ROBIN',
    healthCheckUrl             VARCHAR(500) DEFAULT '/health',
    healthCheckIntervalSeconds INT          DEFAULT 30,
    healthCheckTimeoutSeconds  INT          DEFAULT 5,
    metadataJson               MEDIUMTEXT,
    tagsJson                   MEDIUMTEXT,
    addTime                    DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    addWho                     VARCHAR(100) DEFAULT 'system',
    editTime                   DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    editWho                    VARCHAR(100) DEFAULT 'system',
    oprSeqFlag                 VARCHAR(32)  DEFAULT '',
    currentVersion             INT          DEFAULT 1,
    activeFlag                 CHAR(1)      DEFAULT 'Y',
    noteText                   VARCHAR(500),
    extProperty                MEDIUMTEXT,
    PRIMARY KEY (tenantId, groupName, serviceName)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4
  /*!50700 COLLATE = utf8mb4_bin */ /*M!100201 COLLATE = utf8mb4_nopad_bin */;

CREATE TABLE HUB_REGISTRY_SERVICE_INSTANCE (
    serviceInstanceId   VARCHAR(32)  NOT NULL
        /*!80013 DEFAULT (REPLACE(UUID(), '-', '')) */ /*M!100201 DEFAULT (REPLACE(UUID(), '-', '')) */,
    tenantId            VARCHAR(32)  NOT NULL,
    groupName           VARCHAR(100) NOT NULL,
    serviceName         VARCHAR(100) NOT NULL,
    hostAddress         VARCHAR(100) NOT NULL,
    portNumber          INT          NOT NULL,
    contextPath         VARCHAR(200),
    instanceStatus      VARCHAR(20)  DEFAULT 'UP',
    healthStatus        VARCHAR(20)  DEFAULT 'UNKNOWN',
    weightValue         INT          DEFAULT 100,
    clientId            VARCHAR(100),
    clientVersion       VARCHAR(50),
    clientType          VARCHAR(50)  DEFAULT 'SERVICE',
    metadataJson        MEDIUMTEXT,
    tagsJson            MEDIUMTEXT,
    registerTime        DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    lastHeartbeatTime   DATETIME(6),
    lastHealthCheckTime DATETIME(6),
    healthCheckType     VARCHAR(20)  DEFAULT 'HEARTBEAT',
    leaseSeconds        INT          DEFAULT 30,
    ephemeral           CHAR(1)      DEFAULT 'Y',
    addTime             DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    addWho              VARCHAR(100) DEFAULT 'system',
    editTime            DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    editWho             VARCHAR(100) DEFAULT 'system',
    oprSeqFlag          VARCHAR(32)  DEFAULT '',
    currentVersion      INT          DEFAULT 1,
    activeFlag          CHAR(1)      DEFAULT 'Y',
    noteText            VARCHAR(500),
    extProperty         MEDIUMTEXT,
    PRIMARY KEY (tenantId, serviceInstanceId),
    UNIQUE (tenantId, groupName, serviceName, hostAddress, portNumber)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4
  /*!50700 COLLATE = utf8mb4_bin */ /*M!100201 COLLATE = utf8mb4_nopad_bin */;

CREATE TABLE HUB_REGISTRY_SERVICE_EVENT (
    serviceEventId BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    tenantId       VARCHAR(32)  NOT NULL,
    groupName      VARCHAR(512),
    serviceName    VARCHAR(512),
    hostAddress    VARCHAR(255),
    portNumber     INT,
    eventType      VARCHAR(50),
    eventSource    VARCHAR(100),
    eventDataJson  MEDIUMTEXT,
    eventMessage   VARCHAR(500),
    eventTime      DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    revision       BIGINT       DEFAULT 0,
    addTime        DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    addWho         VARCHAR(100) DEFAULT 'system',
    editTime       DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    editWho        VARCHAR(100) DEFAULT 'system',
    oprSeqFlag     VARCHAR(32)  DEFAULT '',
    currentVersion INT          DEFAULT 1,
    activeFlag     CHAR(1)      DEFAULT 'Y',
    noteText       VARCHAR(500),
    extProperty    MEDIUMTEXT
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4
  /*!50700 COLLATE = utf8mb4_bin */ /*M!100201 COLLATE = utf8mb4_nopad_bin */;

-- Resuming reads by revision, listing by time. Retention goes by the id, which needs no index more.
CREATE INDEX HUB_REGISTRY_SERVICE_EVENT_REVISION ON HUB_REGISTRY_SERVICE_EVENT (tenantId, revision);
CREATE INDEX HUB_REGISTRY_SERVICE_EVENT_TENANT ON HUB_REGISTRY_SERVICE_EVENT (tenantId, eventTime);

CREATE TABLE HUB_REGISTRY_EXTERNAL_CONFIG (
    externalConfigId   VARCHAR(32)  NOT NULL
        /*!80013 DEFAULT (REPLACE(UUID(), '-', '')) */ /*M!100201 DEFAULT (REPLACE(UUID(), '-', '')) */,
    tenantId           VARCHAR(32)  NOT NULL,
    configName         VARCHAR(100) NOT NULL,
    configDescription  VARCHAR(500),
    registryType       VARCHAR(50)  NOT NULL,
    environmentName    VARCHAR(50)  NOT NULL DEFAULT 'default',
    serverAddress      VARCHAR(500) NOT NULL,
    serverPort         INT,
    serverPath         VARCHAR(200),
    serverScheme       VARCHAR(10)  DEFAULT 'http',
    authEnabled        CHAR(1)      DEFAULT 'N',
    username           VARCHAR(100),
    password           VARCHAR(500),
    accessToken        VARCHAR(2000),
    secretKey          VARCHAR(500),
    connectionTimeout  INT          DEFAULT 5000,
    readTimeout        INT          DEFAULT 10000,
    maxRetries         INT          DEFAULT 3,
    retryInterval      INT          DEFAULT 1000,
    specificConfig     MEDIUMTEXT,
    fieldMapping       MEDIUMTEXT,
    failoverEnabled    CHAR(1)      DEFAULT 'N',
    failoverConfigId   VARCHAR(32),
    failoverStrategy   VARCHAR(50)  DEFAULT 'MANUAL',
    syncEnabled        CHAR(1)      DEFAULT 'N',
    syncInterval       INT          DEFAULT 30,
    conflictResolution VARCHAR(50)  DEFAULT 'primary_wins',
    addTime            DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    addWho             VARCHAR(100) DEFAULT 'system',
    editTime           DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    editWho            VARCHAR(100) DEFAULT 'system',
    oprSeqFlag         VARCHAR(32)  DEFAULT '',
    currentVersion     INT          DEFAULT 1,
    activeFlag         CHAR(1)      DEFAULT 'Y',
    noteText           VARCHAR(500),
    extProperty        MEDIUMTEXT,
    PRIMARY KEY (tenantId, externalConfigId),
    UNIQUE (tenantId, configName, environmentName)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4
  /*!50700 COLLATE = utf8mb4_bin */ /*M!100201 COLLATE = utf8mb4_nopad_bin */;

CREATE TABLE HUB_REGISTRY_EXTERNAL_STATUS (
    externalStatusId    VARCHAR(32) NOT NULL
        /*!80013 DEFAULT (REPLACE(UUID(), '-', '')) */ /*M!100201 DEFAULT (REPLACE(UUID(), '-', '')) */,
    tenantId            VARCHAR(32) NOT NULL,
    externalConfigId    VARCHAR(32) NOT NULL,
    connectionStatus    VARCHAR(20) DEFAULT 'DISCONNECTED',
    healthStatus        VARCHAR(20) DEFAULT 'UNKNOWN',
    lastConnectTime     DATETIME(6),
    lastDisconnectTime  DATETIME(6),
    lastHealthCheckTime DATETIME(6),
    responseTime        BIGINT      DEFAULT 0,
    successCount        BIGINT      DEFAULT 0,
    errorCount          BIGINT      DEFAULT 0,
    timeoutCount        BIGINT      DEFAULT 0,
    failoverStatus      VARCHAR(20) DEFAULT 'NORMAL',
    failoverTime        DATETIME(6),
    failoverCount       BIGINT      DEFAULT 0,
    recoverTime         DATETIME(6),
    syncStatus          VARCHAR(20) DEFAULT 'IDLE',
    lastSyncTime        DATETIME(6),
    syncSuccessCount    BIGINT      DEFAULT 0,
    syncErrorCount      BIGINT      DEFAULT 0,
    lastErrorMessage    MEDIUMTEXT,
    lastErrorTime       DATETIME(6),
    errorDetails        MEDIUMTEXT,
    addTime             DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6),
    addWho              VARCHAR(100) DEFAULT 'system',
    editTime            DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6),
    editWho             VARCHAR(100) DEFAULT 'system',
    oprSeqFlag          VARCHAR(32) DEFAULT '',
    currentVersion      INT         DEFAULT 1,
    activeFlag          CHAR(1)     DEFAULT 'Y',
    noteText            VARCHAR(500),
    extProperty         MEDIUMTEXT,
    PRIMARY KEY (tenantId, externalStatusId),
    UNIQUE (tenantId, externalConfigId)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4
  /*!50700 COLLATE = utf8mb4_bin */ /*M!100201 COLLATE = utf8mb4_nopad_bin */;

-- The last known good state of each external registry: one row per source and one per service, so
-- that a change writes what changed and no more. serviceHash is the SHA-256 of groupName, a zero byte and
-- serviceName: the names themselves are too long for a key in MySQL.
CREATE TABLE HUB_REGISTRY_EXTERNAL_SNAPSHOT (
    tenantId         VARCHAR(32) NOT NULL,
    externalConfigId VARCHAR(32) NOT NULL,
    identityHash     VARCHAR(64) NOT NULL,
    lastGoodTime     BIGINT      NOT NULL,
    PRIMARY KEY (tenantId, externalConfigId)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4
  /*!50700 COLLATE = utf8mb4_bin */ /*M!100201 COLLATE = utf8mb4_nopad_bin */;

CREATE TABLE HUB_REGISTRY_EXTERNAL_SNAPSHOT_SERVICE (
    tenantId         VARCHAR(32)  NOT NULL,
    externalConfigId VARCHAR(32)  NOT NULL,
    serviceHash      VARCHAR(64)  NOT NULL,
    groupName        VARCHAR(512) NOT NULL,
    serviceName      VARCHAR(512) NOT NULL,
    stateJson        LONGTEXT     NOT NULL,
    PRIMARY KEY (tenantId, externalConfigId, serviceHash)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4
  /*!50700 COLLATE = utf8mb4_bin */ /*M!100201 COLLATE = utf8mb4_nopad_bin */;

-- The tokens callers show; a token itself is not kept. tenantId '*' is every tenant, groupNames is a
-- JSON list or NULL for all.
CREATE TABLE HUB_REGISTRY_ACCESS_TOKEN (
    tokenId        VARCHAR(32)  NOT NULL
        /*!80013 DEFAULT (REPLACE(UUID(), '-', '')) */ /*M!100201 DEFAULT (REPLACE(UUID(), '-', '')) */ PRIMARY KEY,
    tenantId       VARCHAR(32)  NOT NULL,
    tokenName      VARCHAR(100),
    tokenHash      VARCHAR(64)  NOT NULL UNIQUE,
    tokenPrefix    VARCHAR(16),
    userId         VARCHAR(100),
    role           VARCHAR(20),
    groupNames     MEDIUMTEXT,
    expireTime     DATETIME(6),
    addTime        DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    addWho         VARCHAR(100) DEFAULT 'system',
    editTime       DATETIME(6)  DEFAULT CURRENT_TIMESTAMP(6),
    editWho        VARCHAR(100) DEFAULT 'system',
    oprSeqFlag     VARCHAR(32)  DEFAULT '',
    currentVersion INT          DEFAULT 1,
    activeFlag     CHAR(1)      DEFAULT 'Y',
    noteText       VARCHAR(500),
    extProperty    MEDIUMTEXT
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4
  /*!50700 COLLATE = utf8mb4_bin */ /*M!100201 COLLATE = utf8mb4_nopad_bin */;

-- Revisions are given out below a ceiling that is written ahead, so that none is given out twice.
CREATE TABLE HUB_REGISTRY_REVISION (
    scope   VARCHAR(100) NOT NULL PRIMARY KEY,
    ceiling BIGINT       NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4
  /*!50700 COLLATE = utf8mb4_bin */ /*M!100201 COLLATE = utf8mb4_nopad_bin */;
