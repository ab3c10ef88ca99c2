//! What a comparison would do, said and not done.

use std::sync::Arc;

use hub_registry_core::{ConfigId, InstanceKey, Registry, TenantId};
use tokio::time::Instant;

use super::{Engine, concerns};
use crate::error::{Error, Result};
use crate::sync::decide::Act;
use crate::sync::look::Look;
use crate::sync::route::Route;

/// One thing that is, or would be, done.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// What; nothing: it is left alone.
    pub act: Option<Act>,
    /// The target's name.
    pub target: String,
    /// The copy's address there.
    pub key: InstanceKey,
    /// Why.
    pub reason: &'static str,
    /// What of the original finds no room.
    pub lost: Vec<String>,
}

impl Engine {
    /// What a comparison of everything would do now.
    ///
    /// # Errors
    /// Copying is switched off; a target that cannot be connected to.
    pub async fn plan(&self, tenant: &TenantId, id: &ConfigId) -> Result<Vec<Planned>> {
        let routes: Vec<_> = {
            let working = self.working.lock();
            let own = working.values().filter(|one| concerns(&one.route, tenant, id));
            own.map(|one| Route::clone(&one.route)).collect()
        };
        self.plan_routes(&routes).await
    }

    /// What these routes would do now.
    pub(in crate::sync) async fn plan_routes(&self, routes: &[Route]) -> Result<Vec<Planned>> {
        if !self.enabled {
            return Err(Error::unavailable("external.enableSync is off"));
        }
        let mut planned = Vec::new();
        for route in routes {
            let target = self.house.ends.connect(&route.tenant, &route.to.id).await;
            let target = target.map_err(|error| Error::unavailable(error.to_string()))?;
            planned.append(&mut self.plan_route(route, &target)?);
        }
        Ok(planned)
    }

    /// What cannot be told is no empty list.
    fn plan_route(&self, route: &Route, target: &Arc<dyn Registry>) -> Result<Vec<Planned>> {
        let look = Look {
            catalog: &self.house.catalog,
            ledger: &self.house.ledger,
            route,
            capability: target.capability(),
            thorough: true,
        };
        let unread = match (look.target_is_current(), look.source_is_loaded()) {
            (true, true) => None,
            (false, _) => Some((&route.to.name, "is not LIVE")),
            (true, false) => Some((&route.from.name, "was never read")),
        };
        if let Some((name, why)) = unread {
            let message = format!("{name} {why}: what would be done cannot be told");
            return Err(Error::unavailable(message));
        }
        let now = Instant::now();
        let mut planned = Vec::new();
        for service in look.services() {
            let asked = look.service(&service, now);
            let target = &route.to.name;
            planned.extend(asked.actions.into_iter().map(|action| Planned {
                act: Some(action.act),
                target: target.clone(),
                key: action.key,
                reason: action.why,
                lost: action.copy.map(|(packed, _)| packed.lost).unwrap_or_default(),
            }));
            let left_alone = asked.skipped.into_iter().chain(asked.yielded);
            planned.extend(left_alone.map(|(key, reason)| Planned {
                act: None,
                target: target.clone(),
                key,
                reason,
                lost: Vec::new(),
            }));
        }
        Ok(planned)
    }
}
