//! What the log file was before: names, compression, bounds.
//!
//! `registry.log` becomes `registry-2026-01-31T23-59-59.123.log`, then `.log.gz`. The time in the name is that
//! of the rotation, so names in their order are files in theirs.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::config::LogFileConfig;

/// The ending of a compressed file.
const GZ: &str = ".gz";
/// Of one that is being made: left over when the process ended meanwhile.
const UNFINISHED: &str = ".gz.unfinished";

/// The folder of a log file, and how much of the past it keeps.
#[derive(Clone, Debug)]
pub(super) struct Archive {
    path: PathBuf,
    folder: PathBuf,
    stem: String,
    ending: String,
    max_files: usize,
    max_total: u64,
    compress: bool,
}

impl Archive {
    /// Of the file at this path; its folder is made if need be.
    ///
    /// # Errors
    /// A path that names no file, a folder that cannot be made.
    pub(super) fn new(path: &Path, config: &LogFileConfig) -> io::Result<Self> {
        let bad = || io::Error::new(io::ErrorKind::InvalidInput, "it names no file");
        let stem = path.file_stem().and_then(OsStr::to_str).ok_or_else(bad)?.to_owned();
        let ending = path.extension().and_then(OsStr::to_str);
        let ending = ending.map(|ending| format!(".{ending}")).unwrap_or_default();
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        fs::create_dir_all(&folder)?;
        Ok(Self {
            path: path.to_owned(),
            folder,
            stem,
            ending,
            max_files: config.max_files,
            max_total: config.max_total_size,
            compress: config.compress,
        })
    }

    /// The file that is written.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file the name it keeps.
    pub(super) fn retire(&self, now: DateTime<Utc>) -> io::Result<()> {
        let mut time = now;
        let name = loop {
            let name = self.folder.join(self.name(time));
            let compressed = self.folder.join(self.name(time) + GZ);
            if !name.exists() && !compressed.exists() {
                break name;
            }
            // Several in a millisecond, or a clock that went back.
            time += TimeDelta::milliseconds(1);
        };
        match fs::rename(&self.path, name) {
            // Something else moved it away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    fn name(&self, time: DateTime<Utc>) -> String {
        format!("{}-{}{}", self.stem, time.format("%Y-%m-%dT%H-%M-%S%.3f"), self.ending)
    }

    /// Compresses old files, and removes the oldest of those that are too many or too large
    /// together with the one that is written. What fails is tried again after the next rotation.
    pub(super) fn tidy(&self) -> io::Result<()> {
        for (path, name) in self.names()? {
            if name.ends_with(UNFINISHED) {
                fs::remove_file(path)?;
            } else if self.compress && !name.ends_with(GZ) {
                self.remove_beyond_bounds()?;
                if path.exists() {
                    compress(&path)?;
                }
            }
        }
        self.remove_beyond_bounds()
    }

    fn remove_beyond_bounds(&self) -> io::Result<()> {
        let mut total = fs::metadata(&self.path).map_or(0, |meta| meta.len());
        // The newest first.
        for (index, (path, _)) in self.names()?.into_iter().rev().enumerate() {
            total += fs::metadata(&path).map_or(0, |meta| meta.len());
            if index >= self.max_files || total > self.max_total {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Old files, the oldest first. Files of other names are nobody's business.
    fn names(&self) -> io::Result<Vec<(PathBuf, String)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && self.is_ours(&name)
            {
                found.push((entry.path(), name));
            }
        }
        found.sort_by(|(_, a), (_, b)| a.cmp(b));
        Ok(found)
    }

    fn is_ours(&self, name: &str) -> bool {
        let name = name.strip_suffix(UNFINISHED).or_else(|| name.strip_suffix(GZ)).unwrap_or(name);
        let time = name
            .strip_prefix(&self.stem)
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.strip_suffix(self.ending.as_str()));
        time.is_some_and(|time| {
            let pattern = "0000-00-00T00-00-00.000";
            time.len() == pattern.len()
                && time
                    .chars()
                    .zip(pattern.chars())
                    .all(|(is, wanted)| is == wanted || (wanted == '0' && is.is_ascii_digit()))
        })
    }
}

/// Puts the compressed form in place of the file, whole or not at all.
fn compress(path: &Path) -> io::Result<()> {
    let with = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let (unfinished, finished) = (with(UNFINISHED), with(GZ));
    let outcome = (|| {
        let source = File::open(path)?;
        let made = File::create(&unfinished)?;
        made.set_permissions(source.metadata()?.permissions())?;
        let mut encoder = GzEncoder::new(BufWriter::new(made), Compression::default());
        io::copy(&mut BufReader::new(source), &mut encoder)?;
        let made = encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        made.sync_all()?;
        fs::rename(&unfinished, finished)
    })();
    if outcome.is_err() {
        // It may never have been made.
        fs::remove_file(unfinished).ok();
        return outcome;
    }
    fs::remove_file(path)
}
