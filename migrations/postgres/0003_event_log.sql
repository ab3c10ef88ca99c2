-- The log of events: each has its place in its revision, and how far a tenant's changes were told
-- is kept beside them.

ALTER TABLE HUB_REGISTRY_SERVICE_EVENT ADD COLUMN revisionPlace INTEGER DEFAULT 0;

-- Resuming reads by revision, of one service or of all; listing by time too. What a native commit
-- told and nobody has numbered yet has revision 0.
DROP INDEX HUB_REGISTRY_SERVICE_EVENT_REVISION;
CREATE INDEX HUB_REGISTRY_SERVICE_EVENT_REVISION
    ON HUB_REGISTRY_SERVICE_EVENT (tenantId, revision, revisionPlace);
CREATE INDEX HUB_REGISTRY_SERVICE_EVENT_SERVICE
    ON HUB_REGISTRY_SERVICE_EVENT (tenantId, serviceName, revision, revisionPlace);

-- Of revisions up to floorRevision events may be missing. The prints are sums over what the view
-- held at revision: a start that finds others does not know what came in between.
CREATE TABLE HUB_REGISTRY_EVENT_LOG (
    tenantId      VARCHAR(32) COLLATE "C" NOT NULL PRIMARY KEY,
    revision      BIGINT      NOT NULL,
    floorRevision BIGINT      NOT NULL,
    viewPrint     BIGINT      NOT NULL,
    nativePrint   BIGINT      NOT NULL
);
