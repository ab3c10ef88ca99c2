//! The columns every table has.

use chrono::{DateTime, Utc};

/// The columns every table has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommonColumns {
    /// When the row was made.
    pub add_time: Option<DateTime<Utc>>,
    /// Who made it.
    pub add_who: Option<String>,
    /// When it was last changed.
    pub edit_time: Option<DateTime<Utc>>,
    /// Who changed it.
    pub edit_who: Option<String>,
    /// A mark of the writing operation; the hub keeps what is there.
    pub opr_seq_flag: Option<String>,
    /// Counts the changes made through the hub.
    pub current_version: Option<i64>,
    /// `Y`: the row counts; `N`: it does not.
    pub active_flag: Option<String>,
    /// A note for people.
    pub note_text: Option<String>,
    /// Free JSON.
    pub ext_property: Option<String>,
}

impl CommonColumns {
    /// Whether the row counts: only an `activeFlag` of `N` (or `n`) says that it does not.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !matches!(self.active_flag.as_deref().map(str::trim), Some("N" | "n"))
    }
}
