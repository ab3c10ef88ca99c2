-- What a commit told and nobody has numbered yet is in an index of its own, so that an event is put
-- into those that are asked once and not moved in them. Statements that are to use them say
-- `revision > 0`.

DROP INDEX HUB_REGISTRY_SERVICE_EVENT_REVISION;
DROP INDEX HUB_REGISTRY_SERVICE_EVENT_SERVICE;
CREATE INDEX HUB_REGISTRY_SERVICE_EVENT_REVISION
    ON HUB_REGISTRY_SERVICE_EVENT (tenantId, revision, revisionPlace) WHERE revision > 0;
CREATE INDEX HUB_REGISTRY_SERVICE_EVENT_SERVICE
    ON HUB_REGISTRY_SERVICE_EVENT (tenantId, serviceName, revision, revisionPlace) WHERE revision > 0;
CREATE INDEX HUB_REGISTRY_SERVICE_EVENT_UNTOLD
    ON HUB_REGISTRY_SERVICE_EVENT (tenantId, oprSeqFlag) WHERE revision = 0;
