//! Networks of a test's own: the test runs in one, a server in another, and between them is a line
//! that can be made bad. Nothing of it is in the machine's own network, and nothing is left behind:
//! a network ends with the last process in it.

mod line;

pub use line::{Far, Line, Quality};

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use super::environment;

/// What has to be there besides the kernel's part.
const TOOLS: [&str; 6] = ["ip", "nsenter", "python3", "sh", "timeout", "unshare"];

/// How a network of one's own is had: as root, or as whoever may be root among their own.
const WAYS: [&[&str]; 2] = [&["--net"], &["--user", "--map-root-user", "--net"]];

/// All that a line needs of the kernel.
const TRIAL: &str = "ip link set lo up && ip link add name one type veth peer name other && \
    exec python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)'";

/// Whether the calling test, `test` by its full name, runs in a network of its own. Where it does
/// not, it is run again in one, for `patience` at most, and the answer is no: there is nothing left
/// to do. Where no such network can be had, that is said instead.
///
/// # Panics
/// When the test fails there, and in CI when a program is missing for it.
#[must_use]
pub fn apart(test: &str, patience: Duration) -> bool {
    if environment::is_apart() {
        return true;
    }
    let Some(way) = way() else { return false };
    let seconds = patience.as_secs().to_string();
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("which test: {error}"));
    let output = Command::new("timeout")
        .args(["--kill-after=5", &seconds, "unshare"])
        .args(way)
        .args(["--", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"])
        .arg(program)
        .args([test, "--exact", "--nocapture"])
        .env(environment::APART, "1")
        .output();
    let output = output.unwrap_or_else(|error| panic!("{test} is not run apart: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    let passed = output.status.success() && said.contains("1 passed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(passed, "apart: {}\n{said}\n{errors}", output.status);
    eprintln!("{errors}");
    false
}

/// How a network of one's own is had here; `None`, visibly, where it is not.
fn way() -> Option<&'static [&'static str]> {
    let missing: Vec<_> = TOOLS.into_iter().filter(|tool| !environment::has(tool)).collect();
    let cure = "tests/servers/install network";
    assert!(missing.is_empty() || !environment::is_ci(), "no {missing:?}; installed by: {cure}");
    let mut reason = format!("there is no {missing:?}; installed by: {cure}");
    if missing.is_empty() {
        for way in WAYS {
            let trial = Command::new("unshare").args(way).args(["--", "sh", "-c", TRIAL]).output();
            match trial {
                Ok(output) if output.status.success() => return Some(way),
                Ok(output) => reason = String::from_utf8_lossy(&output.stderr).into_owned(),
                Err(error) => reason = error.to_string(),
            }
        }
    }
    // Not `eprintln!`: the test runner keeps what that prints of a test that passes.
    let line = format!("SKIPPED network of its own: {}\n", reason.trim());
    std::io::stderr().write_all(line.as_bytes()).ok();
    None
}
