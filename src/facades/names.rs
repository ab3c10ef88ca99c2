//! Names of services where a protocol knows no groups: the name itself for one of the default group,
//! else `GROUP--NAME`. Always, so that no name changes when somebody else registers one that is the
//! same; and whatever has `--` in it says its group, so that no two services have one name: the first one ends
//! it, and a group that would seem to end earlier, or later, is written so that it does not.

use std::borrow::Cow;

use hub_registry_core::{GroupName, ServiceKey, ServiceName};

const GROUP_END: &str = "--";

/// A hyphen and a tilde of a group in whose name two hyphens would seem to be its end.
const ESCAPES: [(&str, &str); 2] = [("~", "~7E"), ("-", "~2D")];

/// The name of a service.
pub(super) fn qualified(key: &ServiceKey) -> String {
    let is_default = key.group == GroupName::default_group();
    match is_default && split(key.name.as_str()).is_none() {
        true => key.name.to_string(),
        false => format!("{}{GROUP_END}{}", escaped(key.group.as_str()), key.name),
    }
}

/// The group and the name in such a name, if it says its group.
pub(super) fn split(name: &str) -> Option<(String, &str)> {
    let (group, name) = name.split_once(GROUP_END)?;
    (!group.is_empty() && !name.is_empty()).then(|| (unescaped(group), name))
}

/// The service of such a name; `None`: none can have it.
pub(super) fn key_of(name: &str) -> Option<ServiceKey> {
    let (group, name) = match split(name) {
        Some((group, name)) => (GroupName::parse(&group).ok()?, name),
        None => (GroupName::default_group(), name),
    };
    Some(ServiceKey::new(group, ServiceName::parse(name).ok()?))
}

fn escaped(group: &str) -> Cow<'_, str> {
    let is_plain = !group.contains(GROUP_END) && !group.ends_with('-') && !group.contains('~');
    if is_plain {
        return Cow::Borrowed(group);
    }
    let all = ESCAPES.into_iter().fold(group.to_owned(), |text, (from, to)| text.replace(from, to));
    Cow::Owned(all)
}

/// In whatever case: some protocols fold it.
fn unescaped(group: &str) -> String {
    let (mut text, mut rest) = (String::with_capacity(group.len()), group);
    while let Some(at) = rest.find('~') {
        let (before, escape) = rest.split_at(at);
        text.push_str(before);
        let begins =
            |to: &str| escape.get(..to.len()).is_some_and(|it| it.eq_ignore_ascii_case(to));
        let (from, to) = ESCAPES.into_iter().find(|(_, to)| begins(to)).unwrap_or(("~", "~"));
        text.push_str(from);
        rest = &escape[to.len()..];
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_a_name_of_its_own_and_is_found_by_it() {
        for (group, name, written) in [
            ("DEFAULT_GROUP", "web", "web"),
            ("team", "web", "team--web"),
            ("DEFAULT_GROUP", "team--web", "DEFAULT_GROUP--team--web"),
            ("team", "a--b", "team--a--b"),
            ("DEFAULT_GROUP", "--web", "--web"),
            ("DEFAULT_GROUP", "web--", "web--"),
            ("team", "-web", "team---web"),
            ("team-a", "web", "team-a--web"),
            ("team-", "web", "team~2D--web"),
            ("a--b", "c", "a~2D~2Db--c"),
            ("a", "b--c", "a--b--c"),
            ("--x", "web", "~2D~2Dx--web"),
            ("-", "web", "~2D--web"),
            ("a~b", "web", "a~7Eb--web"),
            ("a~2D", "web", "a~7E2D--web"),
            ("a~7eb", "web", "a~7E7eb--web"),
        ] {
            let group = GroupName::parse(group).unwrap();
            let key = ServiceKey::new(group, ServiceName::parse(name).unwrap());
            assert_eq!(qualified(&key), written);
            assert_eq!(key_of(written), Some(key.clone()));
            let folded = key_of(&written.to_lowercase()).unwrap();
            let lower = |text: &str| text.to_lowercase();
            assert_eq!(folded.name.as_str(), lower(key.name.as_str()));
            assert_eq!(lower(folded.group.as_str()), lower(key.group.as_str()));
        }
    }
}
