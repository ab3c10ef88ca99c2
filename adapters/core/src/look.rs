//! A second look at what a watch no longer lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::error::{Error, Result};
use crate::instance::{Instance, InstanceKey, ServiceKey};
use crate::registry::{Registry, Scope};

/// Services asked for at a time.
const PARALLEL: usize = 8;
/// Up to this many services are asked for one by one, without the list of names before.
const FEW: usize = 8;

/// What a second look at an instance found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The registry has it.
    Listed,
    /// The registry answered, and does not have it.
    Absent,
    /// Nothing was learnt: the read failed, or the answer confirms no removal (a Consul without a
    /// leader, a list with things hidden from the token, a cache older than the question).
    Unknown,
}

/// What lists alone say: each service is read whole. Where many are concerned, the names come
/// first, and a service that is not among them has no instances.
///
/// # Errors
/// When no read succeeded.
pub async fn by_lists<R: Registry + ?Sized>(
    registry: &R,
    missing: &[Arc<Instance>],
) -> Result<Vec<Presence>> {
    let mut places: BTreeMap<ServiceKey, Vec<usize>> = BTreeMap::new();
    for (place, instance) in missing.iter().enumerate() {
        places.entry(instance.key.service.clone()).or_default().push(place);
    }
    let mut found = vec![Presence::Unknown; missing.len()];
    if places.len() > FEW {
        let names = registry.services(&Scope::all()).await?;
        let names: std::collections::BTreeSet<_> = names.into_iter().collect();
        for (_, gone) in places.extract_if(.., |service, _| !names.contains(service)) {
            gone.into_iter().for_each(|place| found[place] = Presence::Absent);
        }
    }
    let mut failure: Option<Error> = None;
    let mut reads = stream::iter(places)
        .map(|(service, places)| async move { (places, registry.instances(&service).await) })
        .buffer_unordered(PARALLEL);
    while let Some((places, read)) = reads.next().await {
        match read {
            Ok(list) => {
                for place in places {
                    found[place] = presence(&list, &missing[place].key);
                }
            }
            Err(error) => failure = Some(error),
        }
    }
    drop(reads);
    match failure {
        Some(error) if found.iter().all(|one| *one == Presence::Unknown) => Err(error),
        _ => Ok(found),
    }
}

fn presence(sorted: &[Instance], key: &InstanceKey) -> Presence {
    match sorted.binary_search_by(|instance| instance.key.cmp(key)) {
        Ok(_) => Presence::Listed,
        Err(_) => Presence::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use crate::{GroupName, Host, ServiceName};

    fn instance(service: &str, port: u16) -> Instance {
        let name = ServiceName::parse(service).unwrap();
        let service = ServiceKey::new(GroupName::default_group(), name);
        Instance::new(InstanceKey { service, host: Host::parse("10.0.0.1").unwrap(), port })
    }

    #[tokio::test]
    async fn few_and_many_are_found_or_missed_in_their_order() {
        let registry = Memory::new("m");
        for number in 1..=20 {
            registry.register(&instance(&format!("s{number}"), 1)).await.unwrap();
        }
        for count in [2, 30] {
            let asked: Vec<_> = (1..=count)
                .flat_map(|n| [instance(&format!("s{n}"), 1), instance(&format!("s{n}"), 2)])
                .map(Arc::new)
                .collect();
            let found = registry.look_again(&asked).await.unwrap();
            for (instance, found) in asked.iter().zip(found) {
                let known = instance.key.port == 1
                    && instance.key.service.name.as_str()[1..].parse::<u16>().unwrap() <= 20;
                let expected = if known { Presence::Listed } else { Presence::Absent };
                assert_eq!(found, expected, "{}", instance.key);
            }
        }
        registry.set_up(false);
        assert!(registry.look_again(&[Arc::new(instance("s1", 1))]).await.is_err());
    }
}
