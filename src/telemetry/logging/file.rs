//! A file, begun anew by size and by time.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::thread::JoinHandle;

use chrono::{DateTime, TimeDelta, Utc};

use super::archive::Archive;
use super::sink::Output;
use crate::clock::Clock;
use crate::config::{LogFileConfig, LogRotation};

/// Who may read it: what a log tells is not for everybody on the machine.
const MODE: u32 = 0o640;
/// After a rotation that failed, the next attempt.
const PAUSE: TimeDelta = TimeDelta::seconds(30);

/// The log file.
#[derive(Debug)]
pub(super) struct LogFile {
    archive: Archive,
    max_size: u64,
    rotation: LogRotation,
    clock: Clock,
    file: File,
    size: u64,
    /// The hour or day it is of.
    period: i64,
    /// It may end in the middle of a line.
    torn: bool,
    /// A rotation failed: none before then.
    not_before: Option<DateTime<Utc>>,
    tidying: Option<JoinHandle<()>>,
}

impl LogFile {
    /// Opens it to write behind what is there.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn open(archive: Archive, config: &LogFileConfig, clock: Clock) -> io::Result<Self> {
        let file = append_to(&archive)?;
        let meta = file.metadata()?;
        let (rotation, size) = (config.rotate, meta.len());
        let written = if size == 0 { clock.now() } else { meta.modified()?.into() };
        let period = period(rotation, written);
        let mut log = Self {
            archive,
            max_size: config.max_size,
            rotation,
            clock,
            file,
            size,
            period,
            torn: false,
            not_before: None,
            tidying: None,
        };
        log.tidy();
        Ok(log)
    }

    fn is_due(&self, next: u64, now: DateTime<Utc>) -> bool {
        let due = self.size > 0
            && (self.size + next > self.max_size || period(self.rotation, now) != self.period);
        due && self.not_before.is_none_or(|time| now >= time)
    }

    /// Begins a new file. While that fails the old one is written on: better too large than lost.
    fn rotate(&mut self, now: DateTime<Utc>) {
        // Somebody may have emptied or moved it.
        let outcome = match self.file.metadata() {
            Ok(meta) if meta.len() == 0 => Ok(()),
            _ => self.archive.retire(now).and_then(|()| self.begin(now)),
        };
        match outcome {
            Ok(()) => {
                (self.size, self.period) = (0, period(self.rotation, now));
                self.not_before = None;
                self.tidy();
            }
            Err(error) => {
                self.not_before = Some(now + PAUSE);
                tracing::error!(%error, path = %self.archive.path().display(),
                    "the log file cannot be rotated; it is written on, and it is tried again");
            }
        }
    }

    fn begin(&mut self, now: DateTime<Utc>) -> io::Result<()> {
        self.file = append_to(&self.archive)?;
        self.size = self.file.metadata()?.len();
        (self.period, self.torn) = (period(self.rotation, now), false);
        Ok(())
    }

    /// Compressing takes seconds, and lines come meanwhile.
    fn tidy(&mut self) {
        if self.tidying.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let archive = self.archive.clone();
        let tidy = move || {
            if let Err(error) = archive.tidy() {
                tracing::warn!(%error, path = %archive.path().display(),
                    "old log files cannot be compressed or removed; it is tried again");
            }
        };
        self.tidying = std::thread::Builder::new().name("log-tidy".to_owned()).spawn(tidy).ok();
    }
}

impl Output for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let now = self.clock.now();
        if self.is_due(line.len() as u64, now) {
            self.rotate(now);
        }
        if self.torn {
            self.file.write_all(b"\n")?;
            (self.size, self.torn) = (self.size + 1, false);
        }
        let outcome = self.file.write_all(line);
        if outcome.is_ok() {
            self.size += line.len() as u64;
        } else {
            // A part of it may be there.
            self.size = self.file.metadata().map_or(self.size, |meta| meta.len());
            self.torn = self.size > 0;
        }
        outcome
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        if self.is_due(0, now) {
            self.rotate(now);
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.begin(self.clock.now())
    }
}

fn append_to(archive: &Archive) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(MODE).open(archive.path())
}

/// The number of the hour or day.
fn period(rotation: LogRotation, time: DateTime<Utc>) -> i64 {
    match rotation {
        LogRotation::Hourly => time.timestamp().div_euclid(3600),
        LogRotation::Daily => time.timestamp().div_euclid(86_400),
        LogRotation::Never => 0,
    }
}

#[cfg(test)]
mod tests;
