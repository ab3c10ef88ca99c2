//! Keys as names of elements.

/// The name of an element for this key.
pub(super) fn escape(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 4);
    for (index, c) in key.chars().enumerate() {
        match c {
            '_' => name.push_str("__"),
            '$' => name.push_str("_-"),
            // A name may have more letters than these; no client expects them.
            c if c.is_ascii_alphabetic() => name.push(c),
            c if index > 0 && (c.is_ascii_digit() || matches!(c, '-' | '.')) => name.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    name.push_str(&format!("_.{unit:04x}"));
                }
            }
        }
    }
    name
}

/// The key of such a name; what is no escape stays as it is.
pub(super) fn unescape(name: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let hex = rest.strip_prefix("_.").and_then(|rest| rest.get(..4));
        let unit = hex.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let (unit, len) = match unit {
            Some(unit) => (Some(unit), 6),
            None if rest.starts_with("__") => (Some(u16::from(b'_')), 2),
            None if rest.starts_with("_-") => (Some(u16::from(b'$')), 2),
            None => (None, c.len_utf8()),
        };
        match unit {
            Some(unit) => units.push(unit),
            None => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
        }
        rest = &rest[len..];
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_xstream_and_come_back() {
        for (key, name) in [
            ("zone", "zone"),
            ("a_b", "a__b"),
            ("a$b", "a_-b"),
            ("management.port", "management.port"),
            ("1st", "_.0031st"),
            ("a b", "a_.0020b"),
            ("名", "_.540d"),
            ("😀", "_.d83d_.de00"),
            ("", ""),
            ("<x>", "_.003cx_.003e"),
        ] {
            assert_eq!(escape(key), name, "{key}");
            assert_eq!(unescape(name), key);
        }
        assert_eq!(unescape("_x_.zz"), "_x_.zz");
    }
}
