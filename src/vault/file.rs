//! The file of keys.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::Instant;

use crate::config::{KeyBytes, SecretsKeys};

/// How long another process may hold the file.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is asked for.
const ASK: Duration = Duration::from_millis(20);

/// How many digits the name of a file that is being written ends with.
const DIGITS: usize = 16;

const NOTE: &str = "\
# Keys of Hub Registry, one a line in base64. The first seals the secrets of external registries in the
# database; the others only open what was sealed with them before. Whoever has this file and the database
# has the secrets; without this file they are lost. Keep a copy apart from those of the database.
";

/// The keys of a file, with the file locked against other processes until this is dropped.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) keys: SecretsKeys,
    _file: File,
}

/// How a file is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Its keys stay as they are meanwhile.
    Shared,
    /// Nobody else looks at its keys meanwhile.
    Alone,
}

/// Reads the file; `None`: it is not there.
pub(super) fn read(path: &Path) -> io::Result<Option<SecretsKeys>> {
    match File::open(path) {
        Ok(file) => parse(file, path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads and locks the file; `None`: it is not there.
pub(super) async fn lock(path: &Path, hold: Hold) -> io::Result<Option<Locked>> {
    let end = Instant::now() + PATIENCE;
    loop {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let locked = match hold {
            Hold::Shared => file.try_lock_shared(),
            Hold::Alone => file.try_lock(),
        };
        match locked {
            // Whoever held it may have put another file in its place.
            Ok(()) if is_at(&file, path) => {
                let keys = parse(file.try_clone()?, path)?;
                return Ok(Some(Locked { keys, _file: file }));
            }
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() > end => {
                let message = "another process holds the file of keys";
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        tokio::time::sleep(ASK).await;
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(held), Ok(there)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    (held.dev(), held.ino()) == (there.dev(), there.ino())
}

fn parse(mut file: File, path: &Path) -> io::Result<SecretsKeys> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    SecretsKeys::parse(&text).map_err(|message| {
        let message = format!("{}: {message}", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// Whether others than its owner may read the file.
pub(super) fn is_open_to_others(path: &Path) -> bool {
    let mode = std::fs::metadata(path).map(|about| about.permissions().mode());
    mode.is_ok_and(|mode| mode & 0o077 != 0)
}

/// Makes the file with this key, for its owner alone. One that is there stays.
pub(super) fn create(path: &Path, key: &KeyBytes) -> io::Result<()> {
    if let Some(folder) = folder(path) {
        std::fs::create_dir_all(folder)?;
    }
    // Written whole beside it, and linked: whoever reads the file reads it whole, and of two that
    // make it at once one is first.
    let beside = write_beside(path, &[*key])?;
    let linked = std::fs::hard_link(&beside, path);
    std::fs::remove_file(&beside)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(path),
    }
}

/// Puts a file with these keys in its place; whoever reads it reads the old or the new one, also
/// after a crash. Called by who holds it alone.
pub(super) fn replace(path: &Path, keys: &[KeyBytes]) -> io::Result<()> {
    clear_beside(path);
    let beside = write_beside(path, keys)?;
    std::fs::rename(&beside, path)?;
    sync_folder(path)
}

/// Removes what a process left that was killed before it could put it in place: it holds a key.
fn clear_beside(path: &Path) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_ours = |other: &str| {
        let digits = other.strip_prefix(&name).and_then(|rest| rest.strip_prefix('.'));
        digits.is_some_and(|d| d.len() == DIGITS && d.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    for entry in
        std::fs::read_dir(folder(path).unwrap_or_else(|| Path::new("."))).into_iter().flatten()
    {
        let Ok(entry) = entry else { continue };
        if is_ours(&entry.file_name().to_string_lossy()) {
            std::fs::remove_file(entry.path()).ok();
        }
    }
}

fn write_beside(path: &Path, keys: &[KeyBytes]) -> io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}", fastrand::u64(..)));
    let beside = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let mut text = NOTE.to_owned();
    for key in keys {
        text.push_str(&STANDARD.encode(key));
        text.push('\n');
    }
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written {
        std::fs::remove_file(&beside).ok();
        return Err(error);
    }
    Ok(beside)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path).unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn folder(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty())
}
