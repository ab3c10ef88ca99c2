//! `catalog`: what is registered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use hub_registry_core::{GroupName, ServiceKey, TenantId};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Face;
use super::call::{Answered, Blocking, Call, Refused, read, text};
use super::filter::{fields, kept, kept_by_id};
use super::render;
use crate::access::Visible;
use crate::catalog::{Found, GroupChoice, Looked, Row, ServiceView, Snapshot};
use crate::facades::doors::names;
use crate::facades::names::key_of;

/// Who waits for the list of all looks again no sooner than this: it may change all the time.
const PAUSE: Duration = Duration::from_millis(50);

/// A node, and its services by id.
type OnNode = (Value, BTreeMap<String, Value>);

/// `GET catalog/services`: `{"NAME": ["TAG", ...]}`
pub(super) async fn services(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let (blocking, tenant) = (call.blocking()?, call.caller.tenant());
    if let Some(blocking) = blocking {
        let changed = |revision: &mut i64, index| {
            let list = face.services(tenant);
            *revision = list.revision;
            list.index > index
        };
        face.wait_for_any(tenant, blocking, changed).await;
    }
    face.all_heard(tenant)?;
    let list = face.services(tenant);
    if call.asks_for_node_meta() {
        return Ok(read(list.index, true, "{}"));
    }
    Ok(read(list.index, true, list.text(&face.native.visible(&call.caller))))
}

/// `GET catalog/service/{name}`
pub(super) async fn service(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let filter = call.filter(&fields::FLAT)?;
    let (index, whole, view) = face.watched(&call).await?;
    let datacenter = &face.settings.datacenter;
    let tags: Vec<_> = call.all("tag").collect();
    let rows = view.iter().flat_map(|view| {
        render::with_tags(view, &tags).map(|row| {
            let mut flat = render::flat(row, datacenter, view.revision);
            render::besides(row, &mut flat["ServiceMeta"], call.carried);
            flat
        })
    });
    let rows = kept(rows.collect(), filter.as_ref());
    Ok(read(index, whole, text(&rows)))
}

/// `GET catalog/nodes`
pub(super) async fn nodes(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let (filter, snapshot) = (call.filter(&fields::NODE)?, face.changed(&call).await?);
    let visible = face.native.visible(&call.caller);
    let mut nodes = BTreeMap::new();
    for (_, row) in rows(&snapshot, &visible) {
        let node = || render::node(&row.instance, &face.settings.datacenter, 1);
        nodes.entry(render::node_of(&row.instance).into_owned()).or_insert_with(node);
    }
    if call.asks_for_node_meta() {
        nodes.clear();
    }
    let nodes = kept(nodes.into_values().collect(), filter.as_ref());
    Ok(read(snapshot.revision, true, text(&nodes)))
}

/// `GET catalog/node/{name}`: null where there is none, as the real server has it.
pub(super) async fn node(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let (revision, found) = face.on_node(&call).await?;
    let found = found.map(|(node, services)| json!({ "Node": node, "Services": services }));
    Ok(read(revision, true, text(&found)))
}

/// `GET catalog/node-services/{name}`: the same with a list.
pub(super) async fn node_services(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let (revision, found) = face.on_node(&call).await?;
    let (node, services) = found.unzip();
    let services = services.map(|all| all.into_values().collect::<Vec<_>>());
    Ok(read(revision, true, text(&json!({ "Node": node, "Services": services }))))
}

/// `GET catalog/datacenters`
pub(super) async fn datacenters(State(face): State<Arc<Face>>, _: Call) -> Answered {
    Ok(read(1, true, text(&[&face.settings.datacenter])))
}

/// Every row that may be seen.
pub(super) fn rows<'s>(
    snapshot: &'s Snapshot,
    visible: &'s Visible,
) -> impl Iterator<Item = (&'s ServiceView, &'s Row)> {
    let views = snapshot.services.values().flat_map(|groups| groups.values());
    let seen = views.filter(|view| visible.sees(&view.key.group));
    seen.flat_map(|view| view.rows.iter().map(move |row| (&**view, &**row)))
}

impl Face {
    /// While a source was never heard no list of everything is whole, and whoever takes one for
    /// the whole drops what it lacks.
    pub(super) fn all_heard(&self, tenant: &TenantId) -> Answered<()> {
        match self.unheard(tenant) {
            None => Ok(()),
            Some(names) => Err(Refused::unheard(&names)),
        }
    }

    /// The whole, after a change that the call waits for.
    pub(super) async fn changed(&self, call: &Call) -> Answered<Arc<Snapshot>> {
        let tenant = call.caller.tenant();
        if let Some(blocking) = call.blocking()? {
            let changed = |revision: &mut i64, index| {
                *revision = self.view.snapshot(tenant).revision;
                *revision > index
            };
            self.wait_for_any(tenant, blocking, changed).await;
        }
        self.all_heard(tenant)?;
        Ok(self.view.snapshot(tenant))
    }

    /// The node that the call names, if it is one, with its services by id, those that pass.
    async fn on_node(&self, call: &Call) -> Answered<(i64, Option<OnNode>)> {
        let (filter, snapshot) = (call.filter(&fields::SERVICE)?, self.changed(call).await?);
        let (visible, name) = (self.native.visible(&call.caller), call.segment("name"));
        let mut node = None;
        let mut services = BTreeMap::new();
        for (view, row) in rows(&snapshot, &visible) {
            if render::node_of(&row.instance) == name {
                node.get_or_insert_with(|| {
                    render::node(&row.instance, &self.settings.datacenter, 1)
                });
                services.insert(render::id_of(row), render::service(row, view.revision));
            }
        }
        let services = kept_by_id(services, filter.as_ref());
        Ok((snapshot.revision, node.map(|node| (node, services))))
    }

    /// Waits until what is asked for changed; an index from the future is answered at once.
    async fn wait_for_any(
        &self,
        tenant: &TenantId,
        Blocking { index, wait }: Blocking,
        changed: impl Fn(&mut i64, i64) -> bool,
    ) {
        let deadline = Instant::now() + wait;
        let mut revision = 0;
        while !changed(&mut revision, index) && index <= revision && Instant::now() < deadline {
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = self.view.wait_for_any(tenant, revision, deadline) => {}
            }
            tokio::time::sleep_until((Instant::now() + PAUSE).min(deadline)).await;
        }
    }

    /// The service that the call names, after a change that it waits for: the index to wait from,
    /// whether all that might know it were heard, and the service.
    pub(super) async fn watched(
        &self,
        call: &Call,
    ) -> Answered<(i64, bool, Option<Arc<ServiceView>>)> {
        let (tenant, name) = (call.caller.tenant(), call.segment("name"));
        let visible = self.native.visible(&call.caller);
        let Some(named) = key_of(name) else { return Ok((1, true, None)) };
        let group = |key: &ServiceKey| GroupChoice::Named(key.group.clone());
        let spelled = || self.spelled(tenant, named.clone(), &visible);
        if let Some(blocking) = call.blocking()? {
            let key = spelled();
            let snapshot = self.view.snapshot(tenant);
            if snapshot.service(&key).is_some_and(|_| visible.sees(&key.group)) {
                let Blocking { index, wait } = blocking;
                let wanted = (&group(&key), &visible);
                tokio::select! {
                    () = self.stopping.cancelled() => {}
                    () = self.view.wait(tenant, &key.name, wanted, index, wait) => {}
                }
            } else {
                // It may come in whatever spelling.
                let changed = |revision: &mut i64, index| {
                    *revision = self.view.snapshot(tenant).revision;
                    let key = spelled();
                    let look = self.view.look(tenant, &key.name, &group(&key), &visible);
                    !look.found.is_nothing() || look.index > index
                };
                self.wait_for_any(tenant, blocking, changed).await;
            }
        }
        let key = spelled();
        let whole = self.view.unloaded(tenant).is_empty();
        let looked = self.view.look(tenant, &key.name, &group(&key), &visible);
        let Looked { found, index, unheard } = looked;
        match found {
            Found::One(_) if call.asks_for_node_meta() => Ok((index, whole, None)),
            Found::One(view) if whole || !view.rows.is_empty() => Ok((index, whole, Some(view))),
            // It is there, and has no instances that anybody told of.
            Found::One(_) => self.all_heard(tenant).map(|()| (index, whole, None)),
            _ if unheard.is_empty() => Ok((index, whole, None)),
            _ => Err(Refused::unheard(&names(&unheard))),
        }
    }

    /// The service as it is written: upper and lower case make no difference to clients of Consul
    /// (`agent/consul/state/catalog.go`), but where two differ in nothing else.
    fn spelled(&self, tenant: &TenantId, key: ServiceKey, visible: &Visible) -> ServiceKey {
        let snapshot = self.view.snapshot(tenant);
        if snapshot.service(&key).is_some() {
            return key;
        }
        let same = |group: &GroupName| group.as_str().eq_ignore_ascii_case(key.group.as_str());
        let views = snapshot.named(key.name.as_str()).into_iter();
        let views = views.filter_map(|name| snapshot.services.get(&name));
        let views = views.flat_map(|groups| groups.values());
        let others = views.map(|view| &view.key);
        let others = others.filter(|other| same(&other.group) && visible.sees(&other.group));
        // Of groups that differ in case only the one that is named.
        let other = others.max_by_key(|other| other.group == key.group);
        other.cloned().unwrap_or(key)
    }
}
