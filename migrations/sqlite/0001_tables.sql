-- The tables of Hub Registry for SQLite. Names and meanings are the same in every database.
--
-- Every column but the keys and what names an external registry has a default or may be NULL, so
-- that a row can be made with plain SQL. Times are text in UTC, `YYYY-MM-DD HH:MM:SS[.mmm]`, the
-- form of CURRENT_TIMESTAMP; flags are 'Y' or 'N'.

CREATE TABLE HUB_REGISTRY_SERVICE_GROUP (
    serviceGroupId                    VARCHAR(32)  NOT NULL DEFAULT (lower(hex(randomblob(16)))),
    tenantId                          VARCHAR(32)  NOT NULL,
    groupName                         VARCHAR(100) NOT NULL,
    groupDescription                  VARCHAR(500),
    groupType                         VARCHAR(50)  DEFAULT 'BUSINESS',
    ownerUserId                       VARCHAR(32),
    adminUserIds                      TEXT,
    readUserIds                       TEXT,
    accessControlEnabled              CHAR(1)      DEFAULT 'N',
    defaultProtocolType               VARCHAR(20)  DEFAULT 'HTTP',
    defaultLoadBalanceStrategy        VARCHAR(50)  DEFAULT 'ROUND_ROBIN',
    defaultHealthCheckUrl             VARCHAR(500) DEFAULT '/health',
    defaultHealthCheckIntervalSeconds INTEGER      DEFAULT 30,
    addTime                           TIMESTAMP    DEFAULT CURRENT_TIMESTAMP,
    addWho                            VARCHAR(100) DEFAULT 'system',
    editTime                          TIMESTAMP    DEFAULT CURRENT_TIMESTAMP,
    editWho                           VARCHAR(100) DEFAULT 'system',
    oprSeqFlag                        VARCHAR(32)  DEFAULT '',
    currentVersion                    INTEGER      DEFAULT 1,
    activeFlag                        CHAR(1)      DEFAULT 'Y',
    noteText                          VARCHAR(500),
    extProperty                       TEXT,
    PRIMARY KEY (tenantId, serviceGroupId),
    UNIQUE (tenantId, groupName)
);

CREATE TABLE HUB_REGISTRY_SERVICE (
    tenantId                   VARCHAR(32)  NOT NULL,
    groupName                  VARCHAR(100) NOT NULL,
    serviceName                VARCHAR(100) NOT NULL,
    serviceDescription         VARCHAR(500),
    protocolType               VARCHAR(20)  DEFAULT 'HTTP',
    contextPath                VARCHAR(200),
    loadBalanceStrategy        VARCHAR(50)  DEFAULT 'ROUND_ROBIN',
    healthCheckUrl             VARCHAR(500) DEFAULT '/health',
    healthCheckIntervalSeconds INTEGER      DEFAULT 30,
    healthCheckTimeoutSeconds  INTEGER      DEFAULT 5,
    metadataJson               TEXT,
    tagsJson                   TEXT,
    addTime                    TIMESTAMP    DEFAULT CURRENT_TIMESTAMP,
    addWho                     VARCHAR(100) DEFAULT 'system',
    editTime                   TIMESTAMP    DEFAULT CURRENT_TIMESTAMP,
    editWho                    VARCHAR(100) DEFAULT 'system',
    oprSeqFlag                 VARCHAR(32)  DEFAULT '',
    currentVersion             INTEGER      DEFAULT 1,
    activeFlag                 CHAR(1)      DEFAULT 'Y',
    noteText                   VARCHAR(500),
    extProperty                TEXT,
    PRIMARY KEY (tenantId, groupName, serviceName)
);

CREATE TABLE HUB_REGISTRY_SERVICE_INSTANCE (
    serviceInstanceId   VARCHAR(32)  NOT NULL DEFAULT (lower(hex(randomblob(16)))),
    tenantId            VARCHAR(32)  NOT NULL,
    groupName           VARCHAR(100) NOT NULL,
    serviceName         VARCHAR(100) NOT NULL,
    hostAddress         VARCHAR(100) NOT NULL,
    portNumber          INTEGER      NOT NULL,
    contextPath         VARCHAR(200),
    instanceStatus      VARCHAR(20)  DEFAULT 'UP',
    healthStatus        VARCHAR(20)  DEFAULT 'UNKNOWN',
    weightValue         INTEGER      DEFAULT 100,
    clientId            VARCHAR(100),
    clientVersion       VARCHAR(50),
    clientType          VARCHAR(50)  DEFAULT 'SERVICE',
    metadataJson        TEXT,
    tagsJson            TEXT,
    registerTime        TIMESTAMP    DEFAULT CURRENT_TIMESTAMP,
    lastHeartbeatTime   TIMESTAMP,
    lastHealthCheckTime TIMESTAMP,
    healthCheckType     VARCHAR(20)  DEFAULT 'HEARTBEAT',
    leaseSeconds        INTEGER      DEFAULT 30,
    ephemeral           CHAR(1)      DEFAULT 'Y',
    addTime             TIMESTAMP    DEFAULT CURRENT_TIMESTAMP,
    addWho              VARCHAR(100) DEFAULT 'system',
    editTime            TIMESTAMP    DEFAULT CURRENT_TIMESTAMP,
    editWho             VARCHAR(100) DEFAULT 'system',
    oprSeqFlag          VARCHAR(32)  DEFAULT '',
    currentVersion      INTEGER      DEFAULT 1,
    activeFlag          CHAR(1)      DEFAULT 'Y',
    noteText            VARCHAR(500),
    extProperty         TEXT,
    PRIMARY KEY (tenantId, serviceInstanceId),
    UNIQUE (tenantId, groupName, serviceName, hostAddress, portNumber)
);

CREATE TABLE HUB_REGISTRY_SERVICE_EVENT (
    serviceEventId INTEGER PRIMARY KEY AUTOINCREMENT,
    tenantId       VARCHAR(32)  NOT NULL,
    groupName      VARCHAR(512),
    serviceName    VARCHAR(512),
    hostAddress    VARCHAR(255),
    portNumber     INTEGER,
    eventType      VARCHAR(50),
    eventSource    VARCHAR(100),
    eventDataJson  TEXT,
    eventMessage   VARCHAR(500),
    eventTime      TIMESTAMP    DEFAULT CURRENT_TIMESTAMP,
    revision       BIGINT       DEFAULT 0,
    addTime        TIMESTAMP    DEFAULT CURRENT_TIMESTAMP,
    addWho         VARCHAR(100) DEFAULT 'system',
    editTime       TIMESTAMP    DEFAULT CURRENT_TIMESTAMP,
    editWho        VARCHAR(100) DEFAULT 'system',
    oprSeqFlag     VARCHAR(32)  DEFAULT '',
    currentVersion INTEGER      DEFAULT 1,
    activeFlag     CHAR(1)      DEFAULT 'Y',
    noteText       VARCHAR(500),
    extProperty    TEXT
);

-- Resuming reads by revision, listing by time. Retention goes by the id, which needs no index more.
CREATE INDEX HUB_REGISTRY_SERVICE_EVENT_REVISION ON HUB_REGISTRY_SERVICE_EVENT (tenantId, revision);
CREATE INDEX HUB_REGISTRY_SERVICE_EVENT_TENANT ON HUB_REGISTRY_SERVICE_EVENT (tenantId, eventTime);

CREATE TABLE HUB_REGISTRY_EXTERNAL_CONFIG (
    externalConfigId   VARCHAR(32)  NOT NULL DEFAULT (lower(hex(randomblob(16)))),
    tenantId           VARCHAR(32)  NOT NULL,
    configName         VARCHAR(100) NOT NULL,
    configDescription  VARCHAR(500),
    registryType       VARCHAR(50)  NOT NULL,
    environmentName    VARCHAR(50)  NOT NULL DEFAULT 'default',
    serverAddress      VARCHAR(500) NOT NULL,
    serverPort         INTEGER,
    serverPath         VARCHAR(200),
    serverScheme       VARCHAR(10)  DEFAULT 'http',
    authEnabled        CHAR(1)      DEFAULT 'N',
    username           VARCHAR(100),
    password           VARCHAR(500),
    accessToken        VARCHAR(2000),
    secretKey          VARCHAR(500),
    connectionTimeout  INTEGER      DEFAULT 5000,
    readTimeout        INTEGER      DEFAULT 10000,
    maxRetries         INTEGER      DEFAULT 3,
    retryInterval      INTEGER      DEFAULT 1000,
    specificConfig     TEXT,
    fieldMapping       TEXT,
    failoverEnabled    CHAR(1)      DEFAULT 'N',
    failoverConfigId   VARCHAR(32),
    failoverStrategy   VARCHAR(50)  DEFAULT 'MANUAL',
    syncEnabled        CHAR(1)      DEFAULT 'N',
    syncInterval       INTEGER      DEFAULT 30,
    conflictResolution VARCHAR(50)  DEFAULT 'primary_wins',
    addTime            TIMESTAMP    DEFAULT CURRENT_TIMESTAMP,
    addWho             VARCHAR(100) DEFAULT 'system',
    editTime           TIMESTAMP    DEFAULT CURRENT_TIMESTAMP,
    editWho            VARCHAR(100) DEFAULT 'system',
    oprSeqFlag         VARCHAR(32)  DEFAULT '',
    currentVersion     INTEGER      DEFAULT 1,
    activeFlag         CHAR(1)      DEFAULT 'Y',
    noteText           VARCHAR(500),
    extProperty        TEXT,
    PRIMARY KEY (tenantId, externalConfigId),
    UNIQUE (tenantId, configName, environmentName)
);

CREATE TABLE HUB_REGISTRY_EXTERNAL_STATUS (
    externalStatusId    VARCHAR(32) NOT NULL DEFAULT (lower(hex(randomblob(16)))),
    tenantId            VARCHAR(32) NOT NULL,
    externalConfigId    VARCHAR(32) NOT NULL,
    connectionStatus    VARCHAR(20) DEFAULT 'DISCONNECTED',
    healthStatus        VARCHAR(20) DEFAULT 'UNKNOWN',
    lastConnectTime     TIMESTAMP,
    lastDisconnectTime  TIMESTAMP,
    lastHealthCheckTime TIMESTAMP,
    responseTime        BIGINT      DEFAULT 0,
    successCount        BIGINT      DEFAULT 0,
    errorCount          BIGINT      DEFAULT 0,
    timeoutCount        BIGINT      DEFAULT 0,
    failoverStatus      VARCHAR(20) DEFAULT 'NORMAL',
    failoverTime        TIMESTAMP,
    failoverCount       BIGINT      DEFAULT 0,
    recoverTime         TIMESTAMP,
    syncStatus          VARCHAR(20) DEFAULT 'IDLE',
    lastSyncTime        TIMESTAMP,
    syncSuccessCount    BIGINT      DEFAULT 0,
    syncErrorCount      BIGINT      DEFAULT 0,
    lastErrorMessage    TEXT,
    lastErrorTime       TIMESTAMP,
    errorDetails        TEXT,
    addTime             TIMESTAMP   DEFAULT CURRENT_TIMESTAMP,
    addWho              VARCHAR(100) DEFAULT 'system',
    editTime            TIMESTAMP   DEFAULT CURRENT_TIMESTAMP,
    editWho             VARCHAR(100) DEFAULT 'system',
    oprSeqFlag          VARCHAR(32) DEFAULT '',
    currentVersion      INTEGER     DEFAULT 1,
    activeFlag          CHAR(1)     DEFAULT 'Y',
    noteText            VARCHAR(500),
    extProperty         TEXT,
    PRIMARY KEY (tenantId, externalStatusId),
    UNIQUE (tenantId, externalConfigId)
);

-- The last known good state of each external registry: one row per source and one per service, so
-- that a change writes what changed and no more. serviceHash is the SHA-256 of groupName, a zero byte and
-- serviceName: the names themselves are too long for a key in MySQL.
CREATE TABLE HUB_REGISTRY_EXTERNAL_SNAPSHOT (
    tenantId         VARCHAR(32) NOT NULL,
    externalConfigId VARCHAR(32) NOT NULL,
    identityHash     VARCHAR(64) NOT NULL,
    lastGoodTime     BIGINT      NOT NULL,
    PRIMARY KEY (tenantId, externalConfigId)
);

CREATE TABLE HUB_REGISTRY_EXTERNAL_SNAPSHOT_SERVICE (
    tenantId         VARCHAR(32)  NOT NULL,
    externalConfigId VARCHAR(32)  NOT NULL,
    serviceHash      VARCHAR(64)  NOT NULL,
    groupName        VARCHAR(512) NOT NULL,
    serviceName      VARCHAR(512) NOT NULL,
    stateJson        TEXT         NOT NULL,
    PRIMARY KEY (tenantId, externalConfigId, serviceHash)
);

-- The tokens callers show; a token itself is not kept. tenantId '*' is every tenant, groupNames is a
-- JSON list or NULL for all.
CREATE TABLE HUB_REGISTRY_ACCESS_TOKEN (
    tokenId        VARCHAR(32)  NOT NULL DEFAULT (lower(hex(randomblob(16)))) PRIMARY KEY,
    tenantId       VARCHAR(32)  NOT NULL,
    tokenName      VARCHAR(100),
    tokenHash      VARCHAR(64)  NOT NULL UNIQUE,
    tokenPrefix    VARCHAR(16),
    userId         VARCHAR(100),
    role           VARCHAR(20),
    groupNames     TEXT,
    expireTime     TIMESTAMP,
    addTime        TIMESTAMP    DEFAULT CURRENT_TIMESTAMP,
    addWho         VARCHAR(100) DEFAULT 'system',
    editTime       TIMESTAMP    DEFAULT CURRENT_TIMESTAMP,
    editWho        VARCHAR(100) DEFAULT 'system',
    oprSeqFlag     VARCHAR(32)  DEFAULT '',
    currentVersion INTEGER      DEFAULT 1,
    activeFlag     CHAR(1)      DEFAULT 'Y',
    noteText       VARCHAR(500),
    extProperty    TEXT
);

-- Revisions are given out below a ceiling that is written ahead, so that none is given out twice.
CREATE TABLE HUB_REGISTRY_REVISION (
    scope   VARCHAR(100) NOT NULL PRIMARY KEY,
    ceiling BIGINT       NOT NULL
);
