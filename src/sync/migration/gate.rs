//! What must be true before a step. Pure.

use std::time::Duration;

use hub_registry_core::duration;

use super::parity::Totals;
use crate::catalog::SourceState;
use crate::model::migration::{Gates, MigrationState};

/// One condition of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Its name.
    pub name: &'static str,
    /// Whether it is met.
    pub met: bool,
    /// What was found.
    pub detail: String,
}

/// How a registry stands.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) name: String,
    pub(super) state: Option<SourceState>,
    pub(super) held: usize,
}

/// What is known.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Anything is copied at all.
    pub(super) enabled: bool,
    pub(super) paused: bool,
    /// What is wrong with the registries' names.
    pub(super) lost: Option<String>,
    pub(super) from: Standing,
    pub(super) to: Standing,
    pub(super) totals: Totals,
    /// How long source and target have been equal.
    pub(super) equal_for: Option<Duration>,
    /// Writes that wait.
    pub(super) pending: usize,
    /// In this time 99 of 100 changes were copied.
    pub(super) lag: Option<Duration>,
    /// Copies the target does not take.
    pub(super) refused: usize,
    /// Services that have not come so far as the others.
    pub(super) behind: Vec<String>,
    /// Services that another migration moves now, and which.
    pub(super) shared: Vec<String>,
    /// Instances that live at the source alone, and those registered through the hub.
    pub(super) left: (usize, usize),
}

fn gate(name: &'static str, met: bool, detail: impl Into<String>) -> Gate {
    Gate { name, met, detail: detail.into() }
}

/// The conditions of the step to this state.
pub(super) fn gates(facts: &Facts, rules: Gates, next: MigrationState) -> Vec<Gate> {
    let mut gates = vec![
        gate(
            "enabled",
            facts.enabled,
            match facts.enabled {
                true => "copying is on",
                false => "external.enableSync is off",
            },
        ),
        current("source", facts, &facts.from),
        current("target", facts, &facts.to),
    ];
    if next != MigrationState::Done {
        gates.push(gate(
            "alone",
            facts.shared.is_empty(),
            match facts.shared.is_empty() {
                true => "no other migration moves these services".to_owned(),
                false => format!("moved by another migration: {}", facts.shared.join(", ")),
            },
        ));
    }
    if next == MigrationState::Mirror {
        return gates;
    }
    gates.push(gate(
        "running",
        !facts.paused,
        match facts.paused {
            true => "the migration is paused",
            false => "the migration is not paused",
        },
    ));
    gates.push(gate(
        "together",
        facts.behind.is_empty(),
        match facts.behind.is_empty() {
            true => "no service is behind the others".to_owned(),
            false => format!("behind the others: {}", facts.behind.join(", ")),
        },
    ));
    let held = facts.from.held + facts.to.held;
    let detail = format!(
        "{} at {}, {} at {}",
        facts.from.held, facts.from.name, facts.to.held, facts.to.name
    );
    gates.push(gate("heldRemovals", held == 0, format!("removals held: {detail}")));
    if next == MigrationState::Done {
        let (source, hub) = facts.left;
        let met = source == 0 && hub == 0;
        let detail = format!(
            "{source} instances live at the source alone, {hub} registered through the hub"
        );
        gates.push(gate("drained", met, detail));
        return gates;
    }
    gates.push(parity(facts, rules));
    let late = facts.lag.filter(|lag| *lag > rules.max_lag());
    let lag = match facts.lag {
        Some(lag) => format!("99 of 100 changes were copied within {} ms", lag.as_millis()),
        None => "nothing was copied yet".to_owned(),
    };
    let bound = rules.max_lag_ms;
    gates.push(gate("lag", late.is_none(), format!("{lag}, {bound} ms are allowed")));
    let waiting = format!("{} writes wait, {} are refused", facts.pending, facts.refused);
    gates.push(gate("written", facts.pending == 0 && facts.refused == 0, waiting));
    gates
}

fn current(name: &'static str, facts: &Facts, end: &Standing) -> Gate {
    match (&facts.lost, end.state) {
        (Some(why), _) => gate(name, false, why.clone()),
        (None, None) => gate(name, false, format!("{} is not connected", end.name)),
        (None, Some(state)) => {
            gate(name, state.is_current(), format!("{} is {}", end.name, state.as_str()))
        }
    }
}

fn parity(facts: &Facts, rules: Gates) -> Gate {
    let Totals { equal, missing, extra, different } = facts.totals;
    let found = format!("{equal} equal, {missing} missing, {different} different, {extra} extra");
    let wanted = rules.parity();
    match facts.equal_for {
        None => gate("parity", false, found),
        Some(since) if since < wanted => {
            let (since, wanted) = (Duration::from_secs(since.as_secs()), duration::format(wanted));
            let since = duration::format(since);
            gate("parity", false, format!("{found}: so for {since} of {wanted}"))
        }
        Some(_) => gate("parity", true, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let end = |name: &str| Standing {
            name: name.to_owned(),
            state: Some(SourceState::Live),
            held: 0,
        };
        Facts {
            enabled: true,
            paused: false,
            lost: None,
            from: end("a"),
            to: end("b"),
            totals: Totals { equal: 3, ..Totals::default() },
            equal_for: Some(Duration::from_secs(300)),
            pending: 0,
            lag: Some(Duration::from_millis(800)),
            refused: 0,
            behind: Vec::new(),
            shared: Vec::new(),
            left: (0, 0),
        }
    }

    fn unmet(facts: &Facts, next: MigrationState) -> Vec<&'static str> {
        let gates = gates(facts, Gates::default(), next);
        gates.into_iter().filter(|gate| !gate.met).map(|gate| gate.name).collect()
    }

    #[test]
    fn each_step_has_its_conditions() {
        use MigrationState::{Cutover, Done, Drain, Dual, Mirror};
        let all = [Mirror, Dual, Cutover, Drain, Done];
        assert!(all.iter().all(|next| unmet(&facts(), *next).is_empty()));
        let change = |change: fn(&mut Facts)| {
            let mut facts = facts();
            change(&mut facts);
            all.map(|next| unmet(&facts, next).join(" "))
        };
        let always = |name: &str| [name; 5].map(ToOwned::to_owned);
        let later = |name: &str| ["", name, name, name, name].map(ToOwned::to_owned);
        let copying = |name: &str| ["", name, name, name, ""].map(ToOwned::to_owned);
        assert_eq!(change(|f| f.enabled = false), always("enabled"));
        assert_eq!(change(|f| f.from.state = Some(SourceState::Stale)), always("source"));
        assert_eq!(change(|f| f.to.state = None), always("target"));
        assert_eq!(change(|f| f.lost = Some(String::new())), always("source target"));
        let before_done = ["alone", "alone", "alone", "alone", ""].map(ToOwned::to_owned);
        assert_eq!(change(|f| f.shared = vec!["web by a".to_owned()]), before_done);
        assert_eq!(change(|f| f.paused = true), later("running"));
        assert_eq!(change(|f| f.behind = vec!["web".to_owned()]), later("together"));
        assert_eq!(change(|f| f.to.held = 1), later("heldRemovals"));
        assert_eq!(change(|f| f.equal_for = None), copying("parity"));
        let soon = change(|f| f.equal_for = Some(Duration::from_secs(299)));
        assert_eq!(soon, copying("parity"));
        assert_eq!(change(|f| f.lag = Some(Duration::from_secs(11))), copying("lag"));
        assert_eq!(change(|f| f.pending = 1), copying("written"));
        assert_eq!(change(|f| f.refused = 1), copying("written"));
        let done = |name: &str| ["", "", "", "", name].map(ToOwned::to_owned);
        assert_eq!(change(|f| f.left = (1, 0)), done("drained"));
        assert_eq!(change(|f| f.left = (0, 1)), done("drained"));
    }
}
