//! Who changed a thing, and when.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::clock::rfc3339;

/// The common columns of a native row that is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// When it was made.
    pub add_time: DateTime<Utc>,
    /// Who made it.
    pub add_who: String,
    /// When it was last changed.
    pub edit_time: DateTime<Utc>,
    /// Who changed it.
    pub edit_who: String,
    /// A mark of the writing operation, kept as it is.
    pub opr_seq_flag: Option<String>,
    /// Counts the changes, from 1.
    pub version: i64,
    /// A note for people.
    pub note_text: Option<String>,
    /// Free JSON, as text.
    pub ext_property: Option<String>,
}

impl Audit {
    /// Of a thing made now.
    #[must_use]
    pub fn new(now: DateTime<Utc>, who: &str) -> Self {
        Self {
            add_time: now,
            add_who: who.to_owned(),
            edit_time: now,
            edit_who: who.to_owned(),
            opr_seq_flag: None,
            version: 1,
            note_text: None,
            ext_property: None,
        }
    }

    /// One more change, now.
    pub fn touch(&mut self, now: DateTime<Utc>, who: &str) {
        self.edit_time = now;
        who.clone_into(&mut self.edit_who);
        self.version += 1;
    }

    /// Adds its fields to an answer.
    pub(super) fn write(&self, answer: &mut Map<String, Value>) {
        answer.insert("addTime".to_owned(), json!(rfc3339(self.add_time)));
        answer.insert("addWho".to_owned(), json!(self.add_who));
        answer.insert("editTime".to_owned(), json!(rfc3339(self.edit_time)));
        answer.insert("editWho".to_owned(), json!(self.edit_who));
        answer.insert("oprSeqFlag".to_owned(), json!(self.opr_seq_flag));
        answer.insert("currentVersion".to_owned(), json!(self.version));
        answer.insert("activeFlag".to_owned(), json!("Y"));
        answer.insert("noteText".to_owned(), json!(self.note_text));
        answer.insert("extProperty".to_owned(), json_value(self.ext_property.as_deref()));
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
