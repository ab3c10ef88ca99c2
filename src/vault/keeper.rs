//! The keys of this hub.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hub_registry_core::Secret;
use parking_lot::RwLock;

use super::file::{self, Hold, Locked};
use super::key::{self, Key, KeyId, Ring};
use super::sealed::{self, Seat, Unopened};
use crate::config::{KeyBytes, SecretsKeys};

/// Seals and opens secrets. `Debug` shows ids of keys.
#[derive(Debug)]
pub struct Vault {
    place: Place,
    ring: RwLock<Arc<Ring>>,
}

/// Where the keys are from.
#[derive(Debug)]
enum Place {
    /// A file, which is read again whenever a key is wanted that is not known.
    File(PathBuf),
    /// The configuration; or nowhere, for a database that goes with the process.
    Fixed,
}

/// There is no key to seal with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoKey(String);

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no key to seal secrets with: {}", self.0)
    }
}

impl std::error::Error for NoKey {}

/// The right to seal. While it lives, no key that it seals with is taken away.
#[derive(Debug)]
pub struct Sealing {
    ring: Arc<Ring>,
    _file: Option<Locked>,
}

impl Sealing {
    /// Seals with the first key. A text that is sealed already is given back as it is.
    ///
    /// # Errors
    /// When the library fails, which no secret causes.
    pub fn seal(&self, secret: &Secret, seat: &Seat<'_>) -> Result<Secret, NoKey> {
        if sealed::is_sealed(secret.expose()) {
            return Ok(secret.clone());
        }
        let key = self.ring.first().ok_or_else(|| NoKey("the keys are gone".to_owned()))?;
        sealed::seal(key, secret, seat).ok_or_else(|| NoKey("the cipher fails".to_owned()))
    }

    /// Opens what it can.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn open(&self, text: &str, seat: &Seat<'_>) -> Result<Secret, Unopened> {
        sealed::open(&self.ring, text, seat)
    }

    /// Whether the text is sealed with the key that seals now.
    #[must_use]
    pub fn is_current(&self, text: &str) -> bool {
        let first = self.ring.first().map(Key::id);
        sealed::key_of(text).as_ref() == first
    }
}

impl Vault {
    /// A vault with these keys and no file.
    #[must_use]
    pub fn fixed(keys: &SecretsKeys) -> Self {
        Self { place: Place::Fixed, ring: RwLock::new(Arc::new(Ring::new(keys))) }
    }

    /// A vault with a key that goes with it.
    ///
    /// # Errors
    /// A system without random numbers.
    pub fn for_now() -> io::Result<Self> {
        let ring = Ring::of(&[key::generate()?]);
        Ok(Self { place: Place::Fixed, ring: RwLock::new(Arc::new(ring)) })
    }

    /// A vault over a file, which need not be there yet.
    ///
    /// # Errors
    /// A file that cannot be read, or holds what is no key.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let ring = file::read(path)?.map(|keys| Ring::new(&keys)).unwrap_or_default();
        if file::is_open_to_others(path) {
            tracing::warn!(file = %path.display(),
                "others than its owner may read the file of keys: chmod 600");
        }
        Ok(Self { place: Place::File(path.to_owned()), ring: RwLock::new(Arc::new(ring)) })
    }

    /// Makes the file with a new key, if it is not there.
    ///
    /// # Errors
    /// A file that cannot be made.
    pub fn create(&self) -> io::Result<()> {
        let Place::File(path) = &self.place else { return Ok(()) };
        file::create(path, &key::generate()?)?;
        self.refresh()
    }

    /// The file, if the keys are from one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Fixed => None,
        }
    }

    /// The keys as they were last read.
    #[must_use]
    pub fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read())
    }

    /// Reads the file again, if the keys are from one. When it is gone, what is known goes on
    /// opening; but nothing is sealed with a key that a restart would lose.
    ///
    /// # Errors
    /// A file that cannot be read, or holds what is no key; then the keys stay as they were.
    pub fn refresh(&self) -> io::Result<()> {
        if let Place::File(path) = &self.place
            && let Some(keys) = file::read(path)?
        {
            self.take(&keys);
        }
        Ok(())
    }

    fn take(&self, keys: &SecretsKeys) {
        *self.ring.write() = Arc::new(Ring::new(keys));
    }

    /// Opens a sealed text with the keys as they were last read.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn open(&self, text: &str, seat: &Seat<'_>) -> Result<Secret, Unopened> {
        sealed::open(&self.ring(), text, seat)
    }

    /// Takes the right to seal.
    ///
    /// # Errors
    /// When there is no key, or another process changes the keys for too long.
    pub async fn sealing(&self) -> Result<Sealing, NoKey> {
        let locked = self.lock(Hold::Shared).await.map_err(|error| NoKey(error.to_string()))?;
        let ring = self.ring();
        match &self.place {
            Place::File(path) if locked.is_none() || ring.first().is_none() => {
                Err(NoKey(format!("{} is not there or holds none", path.display())))
            }
            _ => Ok(Sealing { ring, _file: locked }),
        }
    }

    async fn lock(&self, hold: Hold) -> io::Result<Option<Locked>> {
        let Place::File(path) = &self.place else { return Ok(None) };
        let locked = file::lock(path, hold).await?;
        if let Some(locked) = &locked {
            self.take(&locked.keys);
        }
        Ok(locked)
    }

    /// Puts a new key before the others, or makes the file with it. Only then is anything sealed
    /// with it.
    ///
    /// # Errors
    /// Keys that are not from a file; a file that cannot be written.
    pub async fn add_key(&self) -> io::Result<KeyId> {
        let path = self.file_to_change()?;
        let new = key::generate()?;
        match self.lock(Hold::Alone).await? {
            None => file::create(path, &new)?,
            Some(locked) => file::replace(path, &[&[new], locked.keys.bytes()].concat())?,
        }
        self.refresh()?;
        let first = self.ring().ids().next().cloned();
        first.ok_or_else(|| io::Error::other("the file of keys is empty"))
    }

    /// Takes away the keys but the first and those that `wanted` names, which it is asked for while
    /// nobody else can seal.
    ///
    /// # Errors
    /// Keys that are not from a file; a file that cannot be written; what `wanted` meets.
    pub async fn drop_keys<E>(
        &self,
        wanted: impl AsyncFnOnce(&Sealing) -> Result<Vec<KeyId>, E>,
    ) -> io::Result<Result<Vec<KeyId>, E>> {
        let path = self.file_to_change()?;
        let Some(locked) = self.lock(Hold::Alone).await? else { return Ok(Ok(Vec::new())) };
        let ring = self.ring();
        let sealing = Sealing { ring: Arc::clone(&ring), _file: Some(locked) };
        let mut kept = match wanted(&sealing).await {
            Ok(kept) => kept,
            Err(error) => return Ok(Err(error)),
        };
        kept.extend(ring.ids().next().cloned());
        let bytes: Vec<KeyBytes> = ring.bytes(|id| kept.contains(id));
        let dropped: Vec<KeyId> = ring.ids().filter(|id| !kept.contains(id)).cloned().collect();
        if !dropped.is_empty() {
            file::replace(path, &bytes)?;
        }
        drop(sealing);
        self.refresh()?;
        Ok(Ok(dropped))
    }

    fn file_to_change(&self) -> io::Result<&Path> {
        self.file().ok_or_else(|| {
            io::Error::other(
                "the keys are from security.secretsKey: put the new one first there, start the hub \
                 with it, and run `registry-server secrets rewrap`",
            )
        })
    }
}
