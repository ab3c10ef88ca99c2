//! What names an event.

use std::fmt;
use std::str::FromStr;

use crate::storage::Cursor;

/// An event of a tenant by its revision and its place in it, written `REVISION-PLACE`; one
/// without a place is the end of its revision. In the order of ids is in the order of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// The revision.
    pub revision: i64,
    /// The place, from 0.
    pub place: Option<i64>,
}

impl EventId {
    /// Right after it.
    #[must_use]
    pub fn cursor(self) -> Cursor {
        Cursor { revision: self.revision, place: self.place.unwrap_or(i64::MAX) }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => write!(f, "{}-{place}", self.revision),
            None => write!(f, "{}", self.revision),
        }
    }
}

/// The rule of an id, for error messages.
pub const ID_RULE: &str = "must be an id of an event, as 1073741830-0, or a revision";

impl FromStr for EventId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| {
            let digits = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<i64>().ok()).flatten().ok_or(ID_RULE)
        };
        match text.split_once('-') {
            None => Ok(Self { revision: number(text)?, place: None }),
            Some((revision, place)) => {
                Ok(Self { revision: number(revision)?, place: Some(number(place)?) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_and_read() {
        for text in ["0", "17", "1073741830-0", "9007199254740991-12"] {
            assert_eq!(text.parse::<EventId>().unwrap().to_string(), text);
        }
        for text in ["", "-", "-1", "1-", "1-2-3", "x", "1.0", "+1", "99999999999999999"] {
            assert_eq!(text.parse::<EventId>(), Err(ID_RULE), "{text}");
        }
    }

    #[test]
    fn after_a_revision_is_after_all_its_events() {
        let cursor = |text: &str| text.parse::<EventId>().unwrap().cursor();
        assert!(cursor("5") > cursor("5-999999") && cursor("5") < cursor("6-0"));
        assert_eq!(cursor("5"), Cursor::after(5));
    }
}
