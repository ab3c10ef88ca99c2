//! A server's process and the watchdog that ends it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::plan::Plan;

/// Starts the server, says its process id, and passes on the signals it is told. When nobody holds
/// the other end of its standard input any more, which is also so when the test was killed, it
/// kills the server. A shell does this without unsafe code and on every Unix.
///
/// A database server may be several processes: what is told to it is told to its children too, and
/// to it first, so that it makes no more of them.
///
/// `read` is built in, so that the watcher is one process, and it is a child of its own, so that
/// the shell can wait for the server at the same time.
///
/// A test that keeps its servers until it ends drops nothing. So when the server is killed, a third
/// process looks whether the test is gone too, and then removes the server's folder.
const WATCHDOG: &str = r#"
folder=$1
log=$2
shift 2
tell() {
    kill -s "$1" "$server"
    for stat in /proc/[0-9]*/stat; do
        read -r line <"$stat" || continue
        set -- "$1" ${line##*) }
        if [ "$3" = "$server" ]; then
            kill -s "$1" "${line%% *}"
        fi
    done
}
exec 3<&0 </dev/null
"$@" 3<&- >>"$log" 2>&1 &
server=$!
(
    while read -r signal; do
        tell "$signal"
        echo "$signal"
    done <&3
    (
        for look in 1 2 3 4 5 6 7 8 9 10; do
            if ! kill -0 "$PPID"; then
                rm -rf "$folder"
                exit
            fi
            sleep 0.2
        done
    ) &
    tell KILL
) 2>/dev/null &
watcher=$!
exec 3<&-
echo "$server"
wait "$server"
status=$?
kill "$watcher"
exit "$status"
"#;

/// How often a process that is to end is looked at.
const POLL: Duration = Duration::from_millis(5);

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    watchdog: Child,
    signals: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    id: u32,
}

impl Process {
    /// Starts it; what it prints is appended to the log.
    pub(super) fn start(plan: &Plan, folder: &Path, log: &Path) -> io::Result<Self> {
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(folder)
            .arg(log)
            .arg(&plan.program)
            .args(&plan.arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(log)?)
            .spawn()?;
        let (Some(signals), Some(answers)) = (watchdog.stdin.take(), watchdog.stdout.take()) else {
            return Err(io::Error::other("the watchdog has no pipes"));
        };
        let mut process =
            Self { watchdog, signals: Some(signals), answers: BufReader::new(answers), id: 0 };
        let answer = process.answer()?;
        process.id = answer.parse().map_err(io::Error::other)?;
        Ok(process)
    }

    /// The server's process id.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.watchdog.try_wait().ok().flatten()
    }

    /// Sends it a signal by its name; returns when it is sent.
    pub(super) fn signal(&mut self, name: &str) -> io::Result<()> {
        let Some(signals) = &mut self.signals else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        writeln!(signals, "{name}")?;
        let answer = self.answer()?;
        if answer == name { Ok(()) } else { Err(io::Error::other(format!("{name} was not sent"))) }
    }

    /// Freezes it. The signal alone is not enough: on a busy machine a thread can go on for a
    /// while, and answer.
    pub(super) async fn pause(&mut self) -> io::Result<()> {
        self.signal("STOP")?;
        while !self.is_stopped() {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Whether none of its threads can run. Where there is no `/proc`, nobody can say.
    fn is_stopped(&self) -> bool {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.id)) else {
            return true;
        };
        threads.flatten().all(|thread| {
            // `id (name) state ...`; a thread that ended meanwhile has no file any more.
            let state = std::fs::read_to_string(thread.path().join("stat"));
            state.map_or(true, |state| {
                let state = state.rsplit_once(')').map_or("", |(_, state)| state);
                state.trim_start().starts_with('T')
            })
        })
    }

    /// Kills it and waits for its end.
    pub(super) async fn kill(&mut self) {
        self.signals = None;
        while self.ended().is_none() {
            tokio::time::sleep(POLL).await;
        }
    }

    /// The watchdog answers at once: it starts a process or sends a signal, and that is all.
    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signals = None;
        // Its folder is removed next, and it must not write there any more.
        self.watchdog.wait().ok();
    }
}
