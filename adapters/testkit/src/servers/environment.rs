//! What the servers are told by the environment.

use std::path::PathBuf;

/// Whether this is a CI run.
pub(super) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Set for a test that runs in a network of its own.
pub(super) const APART: &str = "HUB_REGISTRY_APART";

/// Whether this process runs in a network of its own.
pub(super) fn is_apart() -> bool {
    std::env::var_os(APART).is_some()
}

/// Whether there is such a program, also among those for administrators.
pub(super) fn has(name: &str) -> bool {
    program_or_in(name, "/usr/sbin").is_some()
}

/// The program of this name on the PATH.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let candidates = std::env::split_paths(&path).map(|folder| folder.join(name));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

/// Where `tests/servers/install` puts what it builds; the rule is the same there.
pub(super) fn built_servers() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = match set("HUB_REGISTRY_TEST_CACHE") {
        Some(own) => PathBuf::from(own),
        None => match set("XDG_CACHE_HOME") {
            Some(caches) => PathBuf::from(caches).join("hub-registry"),
            None => PathBuf::from(set("HOME")?).join(".cache/hub-registry"),
        },
    };
    Some(cache.join("servers"))
}

/// The program of this name on the PATH, or in this folder, or in the `bin` of a folder in it: the
/// last by name, which is the newest version.
pub(super) fn program_or_in(name: &str, folder: &str) -> Option<PathBuf> {
    program(name).or_else(|| {
        let direct = PathBuf::from(folder).join(name);
        let versions = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut found: Vec<_> =
            versions.map(|version| version.path().join("bin").join(name)).collect();
        found.sort();
        found.push(direct);
        found.into_iter().rev().find(|candidate| candidate.is_file())
    })
}

/// Whether this process may do everything.
pub(super) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
