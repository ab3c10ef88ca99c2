//! The feed of all checks: which of the services that share reads to read again.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hub_registry_core::Result;
use tokio::time::Instant;

use crate::client::{Client, Cursor};
use crate::wire::Check;

/// Pause between two reads of all checks, and what each check adds to it: an answer carries every
/// check of the datacenter, some 300 bytes each. 20,000 of them are read every 1.2 s at most.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_EACH: Duration = Duration::from_micros(50);

fn pause(checks: usize) -> Duration {
    PAUSE + PAUSE_EACH * u32::try_from(checks).unwrap_or(u32::MAX)
}

/// Whom a change of checks concerns.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Concerned {
    /// Everyone: a check of a node changed.
    All,
    /// These services, by name.
    Services(Vec<String>),
}

/// The checks as last seen.
#[derive(Debug)]
struct Checks {
    cursor: Cursor,
    digests: HashMap<String, u64>,
    next: Instant,
}

impl Checks {
    /// The checks now.
    async fn read(client: &Client) -> Result<Self> {
        let mut cursor = Cursor::waiting();
        let checks = client.checks(&mut cursor).await?.unwrap_or_default();
        Ok(Self { cursor, digests: digests(&checks), next: Instant::now() + pause(checks.len()) })
    }

    /// Waits for a change of the checks; it may concern nobody.
    async fn changed(&mut self, client: &Client) -> Result<Concerned> {
        tokio::time::sleep_until(self.next).await;
        let checks = client.checks(&mut self.cursor).await?;
        let Some(checks) = checks else {
            return Ok(Concerned::Services(Vec::new()));
        };
        self.next = Instant::now() + pause(checks.len());
        let before = std::mem::replace(&mut self.digests, digests(&checks));
        Ok(difference(&before, &self.digests))
    }
}

/// The feed, over many looks at the names.
#[derive(Debug, Default)]
pub(super) struct Feed {
    checks: Option<Checks>,
    under_way: Kept<Result<(Concerned, Checks)>>,
}

impl Feed {
    /// Whether there is something to compare with, or soon will be.
    pub(super) fn has_begun(&self) -> bool {
        self.checks.is_some() || self.under_way.is_there()
    }

    /// What changes from now on is told.
    pub(super) async fn begin(&mut self, client: &Client) -> Result<()> {
        self.checks = Some(Checks::read(client).await?);
        Ok(())
    }

    /// Waits for a change of the checks; it may concern nobody. Without checks to compare with it
    /// reads them, and everyone is concerned. Dropping it loses nothing.
    pub(super) async fn changed(&mut self, client: &Arc<Client>) -> Result<Concerned> {
        let begin = || {
            let (client, checks) = (Arc::clone(client), self.checks.take());
            async move {
                let Some(mut checks) = checks else {
                    return Ok((Concerned::All, Checks::read(&client).await?));
                };
                let concerned = checks.changed(&client).await?;
                Ok((concerned, checks))
            }
            .boxed()
        };
        let (concerned, checks) = self.under_way.end(begin).await?;
        self.checks = Some(checks);
        Ok(concerned)
    }
}

/// Something that goes on where it was when nobody waited for it for a while. Registrations wake the
/// names many times a second, and reading all checks takes longer than that: begun anew each time,
/// it would never end, and cost Consul the whole answer each time.
struct Kept<T>(Option<BoxFuture<'static, T>>);

impl<T> Kept<T> {
    fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Waits for the end of what is under way, or of what is begun now.
    async fn end(&mut self, begin: impl FnOnce() -> BoxFuture<'static, T>) -> T {
        let end = self.0.get_or_insert_with(begin).await;
        self.0 = None;
        end
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kept").field(&self.is_there()).finish()
    }
}

/// One number per service for which checks it has and how they stand; node checks are under "".
/// The output of a check is left out: it changes without meaning.
fn digests(checks: &[Check]) -> HashMap<String, u64> {
    let mut digests = HashMap::<String, u64>::new();
    for check in checks {
        let mut hasher = DefaultHasher::new();
        (&check.node, &check.check_id, &check.status).hash(&mut hasher);
        let sum = digests.entry(check.service_name.clone()).or_default();
        // A sum, since the order of the list has no meaning.
        *sum = sum.wrapping_add(hasher.finish());
    }
    digests
}

fn difference(before: &HashMap<String, u64>, after: &HashMap<String, u64>) -> Concerned {
    let changed = after.iter().filter(|(name, sum)| before.get(*name) != Some(sum));
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let names: Vec<_> = changed.map(|(name, _)| name).chain(gone).cloned().collect();
    if names.iter().any(String::is_empty) {
        return Concerned::All;
    }
    Concerned::Services(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(service: &str, id: &str, status: &str, output: &str) -> Check {
        Check {
            node: "n1".to_owned(),
            check_id: id.to_owned(),
            status: status.to_owned(),
            output: output.to_owned(),
            service_name: service.to_owned(),
            ..Check::default()
        }
    }

    fn concerned(before: &[Check], after: &[Check]) -> Concerned {
        difference(&digests(before), &digests(after))
    }

    #[test]
    fn a_status_concerns_its_service_and_output_nobody() {
        let web = check("web", "service:web", "passing", "ok");
        let stock = check("stock", "service:stock", "passing", "ok");
        let before = [web.clone(), stock.clone()];
        let chatter = check("web", "service:web", "passing", "still ok");
        let nobody = Concerned::Services(Vec::new());
        assert_eq!(concerned(&before, &[stock.clone(), chatter]), nobody);
        let critical = check("web", "service:web", "critical", "ok");
        let only_web = Concerned::Services(vec!["web".to_owned()]);
        assert_eq!(concerned(&before, &[critical, stock.clone()]), only_web);
        assert_eq!(concerned(&before, &[stock]), only_web);
    }

    #[test]
    fn a_check_of_a_node_concerns_everyone() {
        let node = check("", "serfHealth", "critical", "");
        assert_eq!(concerned(&[], &[node]), Concerned::All);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waits_for_goes_on_where_it_was() {
        let (start, mut begun) = (Instant::now(), 0);
        let mut kept = Kept::default();
        let mut end = None;
        while end.is_none() {
            let begin = || {
                begun += 1;
                tokio::time::sleep(Duration::from_millis(350)).map(|()| 7).boxed()
            };
            end = tokio::time::timeout(Duration::from_millis(100), kept.end(begin)).await.ok();
            assert!(start.elapsed() < Duration::from_secs(2), "never");
        }
        assert_eq!((end, begun, kept.is_there()), (Some(7), 1, false));
        assert_eq!(start.elapsed(), Duration::from_millis(350));
    }

    #[test]
    fn many_checks_are_read_less_often() {
        assert_eq!(pause(0), Duration::from_millis(200));
        assert_eq!(pause(20_000), Duration::from_millis(1_200));
    }
}
