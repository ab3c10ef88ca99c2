//! The groups a caller may read.

use std::fmt;
use std::sync::Arc;

use hub_registry_core::GroupName;

use super::caller::Caller;
use super::role::Action;
use crate::error::Result;
use crate::model::group::NativeGroup;

type Settings = dyn Fn(&GroupName) -> Option<Arc<NativeGroup>> + Send + Sync;

/// The groups a caller may read, asked one by one: which there are is no matter of this type.
pub struct Visible {
    // `None`: all of them, without asking.
    asked: Option<(Caller, Box<Settings>)>,
}

impl Visible {
    /// What this caller sees. `settings` makes what looks a group up in the native registry; it is
    /// left alone when nobody needs to ask.
    pub fn to<S>(caller: &Caller, settings: impl FnOnce() -> S) -> Self
    where
        S: Fn(&GroupName) -> Option<Arc<NativeGroup>> + Send + Sync + 'static,
    {
        if caller.is_unlimited() {
            return Self::everything();
        }
        Self { asked: Some((caller.clone(), Box::new(settings()))) }
    }

    /// Every group.
    #[must_use]
    pub const fn everything() -> Self {
        Self { asked: None }
    }

    /// Whether it may be read.
    #[must_use]
    pub fn sees(&self, group: &GroupName) -> bool {
        let Some((caller, settings)) = &self.asked else { return true };
        caller.may(Action::Read, group, settings(group).as_deref())
    }

    /// Whether every group may be read, without asking.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.asked.is_none()
    }

    /// Whether it might have been read when these alone might read it
    /// ([`NativeGroup::readers`]).
    #[must_use]
    pub fn saw(&self, group: &GroupName, readers: &str) -> bool {
        let Some((caller, _)) = &self.asked else { return true };
        let closed = NativeGroup::closed(caller.tenant().clone(), group.clone(), readers);
        caller.may(Action::Read, group, Some(&closed))
    }

    /// [`sees`](Self::sees), as an error.
    ///
    /// # Errors
    /// `Forbidden`. Of a group whose lists leave the caller out this tells that it exists.
    pub fn need(&self, group: &GroupName) -> Result<()> {
        let Some((caller, settings)) = &self.asked else { return Ok(()) };
        caller.need_in(Action::Read, group, settings(group).as_deref())
    }
}

impl fmt::Debug for Visible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let caller = self.asked.as_ref().map(|(caller, _)| caller);
        f.debug_tuple("Visible").field(&caller).finish()
    }
}
