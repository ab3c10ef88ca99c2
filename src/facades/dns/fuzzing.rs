//! What reads questions, for fuzzing.

use hickory_proto::op::{Message, ResponseCode};

use super::{Names, message, question};

/// A question, and what its name asks for.
pub(in crate::facades) fn question(bytes: &[u8]) {
    message::refused(bytes, ResponseCode::FormErr);
    let Ok(question) = Message::from_vec(bytes) else { return };
    let names = Names::new("consul", "dc1");
    for query in &question.queries {
        let text = query.name().to_utf8();
        let labels: Vec<_> = text.trim_end_matches('.').split('.').collect();
        question::read(&labels, &names);
    }
}
