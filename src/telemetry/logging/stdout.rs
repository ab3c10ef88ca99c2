//! Standard output.

use std::io::{self, Write};

use super::sink::Output;

/// Standard output of the process.
#[derive(Debug)]
pub(super) struct Stdout;

impl Output for Stdout {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(line)?;
        out.flush()
    }
}
