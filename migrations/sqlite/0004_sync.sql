-- What the hub wrote into registries. A copy is in here before it is written and until it is
-- removed: what is not in here is never changed and never removed.

-- Who the hub is to other hubs: one row.
CREATE TABLE HUB_REGISTRY_SYNC_OWNER (
    ownerName VARCHAR(16) NOT NULL PRIMARY KEY,
    ownerId   VARCHAR(32) NOT NULL
);

-- One row for each copy. copyId is made of the group, service and address it has there; toSource
-- and fromSource are configurations, or 'native'; contentPrint is that of the original as it was
-- last written.
CREATE TABLE HUB_REGISTRY_SYNC_COPY (
    tenantId     VARCHAR(32)  NOT NULL,
    toSource     VARCHAR(32)  NOT NULL,
    copyId       VARCHAR(40)  NOT NULL,
    fromSource   VARCHAR(32)  NOT NULL,
    fromGroup    VARCHAR(512) NOT NULL,
    fromService  VARCHAR(512) NOT NULL,
    groupName    VARCHAR(512) NOT NULL,
    serviceName  VARCHAR(512) NOT NULL,
    hostAddress  VARCHAR(255) NOT NULL,
    portNumber   INTEGER      NOT NULL,
    contentPrint VARCHAR(32)  NOT NULL,
    orphanPolicy VARCHAR(10)  NOT NULL,
    lostFields   TEXT,
    PRIMARY KEY (tenantId, toSource, copyId)
);
