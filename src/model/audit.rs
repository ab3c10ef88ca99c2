//! Who changed a thing, and when.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::clock::rfc3339;

/// The common columns of a native row that is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// When it was made.
    pub add_time: DateTime<Utc>,
    /// Who made it.
    pub add_who: Arc<str>,
    /// When it was last changed.
    pub edit_time: DateTime<Utc>,
    /// Who changed it.
    pub edit_who: Arc<str>,
    /// Counts the changes, from 1.
    pub version: i64,
    /// Most things have none.
    notes: Option<Box<Notes>>,
}

/// What people and programs noted about a thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// A mark of the writing operation, kept as it is.
    pub opr_seq_flag: Option<String>,
    /// A note for people.
    pub note_text: Option<String>,
    /// Free JSON, as text.
    pub ext_property: Option<String>,
}

impl Audit {
    /// Of a thing made now.
    #[must_use]
    pub fn new(now: DateTime<Utc>, who: &str) -> Self {
        let who: Arc<str> = Arc::from(who);
        let (add_who, edit_who) = (Arc::clone(&who), who);
        Self { add_time: now, add_who, edit_time: now, edit_who, version: 1, notes: None }
    }

    /// Sets who changed it last.
    pub fn set_editor(&mut self, who: &str) {
        if *self.edit_who != *who {
            self.edit_who = Arc::from(who);
        }
    }

    /// What was noted.
    #[must_use]
    pub fn notes(&self) -> &Notes {
        const NONE: &Notes = &Notes { opr_seq_flag: None, note_text: None, ext_property: None };
        self.notes.as_deref().unwrap_or(NONE)
    }

    /// Notes something else.
    pub fn note(&mut self, change: impl FnOnce(&mut Notes)) {
        let mut notes = self.notes.take().map_or_else(Notes::default, |notes| *notes);
        change(&mut notes);
        self.notes = (notes != Notes::default()).then(|| Box::new(notes));
    }

    /// Lets names that are the same be one text.
    pub(crate) fn share(&mut self, other: &Self) {
        for who in [&mut self.add_who, &mut self.edit_who] {
            if *who == other.edit_who {
                who.clone_from(&other.edit_who);
            }
        }
    }

    /// One more change, now.
    pub fn touch(&mut self, now: DateTime<Utc>, who: &str) {
        self.edit_time = now;
        self.set_editor(who);
        self.version += 1;
    }

    /// Adds its fields to an answer.
    pub(super) fn write(&self, answer: &mut Map<String, Value>) {
        let notes = self.notes();
        answer.insert("addTime".to_owned(), json!(rfc3339(self.add_time)));
        answer.insert("addWho".to_owned(), json!(self.add_who));
        answer.insert("editTime".to_owned(), json!(rfc3339(self.edit_time)));
        answer.insert("editWho".to_owned(), json!(self.edit_who));
        answer.insert("oprSeqFlag".to_owned(), json!(notes.opr_seq_flag));
        answer.insert("currentVersion".to_owned(), json!(self.version));
        answer.insert("activeFlag".to_owned(), json!("Y"));
        answer.insert("noteText".to_owned(), json!(notes.note_text));
        answer.insert("extProperty".to_owned(), json_value(notes.ext_property.as_deref()));
    }
}

/// The fields of an answer that [`Audit`] writes and a request cannot set.
pub(crate) const READ_ONLY: [&str; 7] =
    ["tenantId", "addTime", "addWho", "editTime", "editWho", "oprSeqFlag", "activeFlag"];

/// A JSON column as a value; text that is not JSON (by plain SQL) as it is.
pub(super) fn json_value(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| {
        serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
    })
}
