use std::sync::mpsc::channel;

use parking_lot::{Condvar, Mutex};

use super::*;
use crate::telemetry::metrics::Metrics;

/// A place that can be blocked and broken.
#[derive(Clone, Default)]
struct Page(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    text: String,
    blocked: bool,
    broken: bool,
    reopened: usize,
}

impl Page {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.0.lock());
        self.0.1.notify_all();
    }

    fn text(&self) -> String {
        self.0.0.lock().text.clone()
    }
}

impl Output for Page {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let mut state = self.0.0.lock();
        self.0.1.wait_while(&mut state, |state| state.blocked);
        if state.broken {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.text.push_str(std::str::from_utf8(line).unwrap());
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.change(|state| state.reopened += 1);
        Ok(())
    }
}

fn sink() -> (Sink, Page, Metrics) {
    let (page, metrics) = (Page::default(), Metrics::new());
    let form = Form::Text { coloured: false };
    let sink = Sink::start(Place::File, page.clone(), form, Clock::System, &metrics.log).unwrap();
    (sink, page, metrics)
}

const LONG: Duration = Duration::from_secs(30);

fn lost(metrics: &Metrics, reason: &str) -> u64 {
    let text = String::from_utf8(metrics.scrape(|| {})).unwrap();
    let name = "hub_registry_log_lost_lines_total";
    let series = format!("{name}{{place=\"file\",reason=\"{reason}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
}

#[test]
fn a_place_that_blocks_holds_nobody_up() {
    let (sink, page, metrics) = sink();
    page.change(|state| state.blocked = true);
    let (done, wait) = channel();
    let writer = sink.clone();
    std::thread::spawn(move || {
        for number in 0..LINES + 1000 {
            writer.send(format!("{number}\n"));
        }
        // Few, but large.
        for _ in 0..20 {
            writer.send(format!("{}\n", "x".repeat(BYTES / 4)));
        }
        done.send(()).unwrap();
    });
    wait.recv_timeout(LONG).expect("nobody waits for the log");
    assert!(lost(&metrics, "queue_full") >= 999 + 20);
    // Nor for its end.
    sink.flush(Duration::from_millis(50));

    page.change(|state| state.blocked = false);
    sink.flush(LONG);
    let (text, lost) = (page.text(), lost(&metrics, "queue_full"));
    let sent = |line: &&str| line.parse::<u32>().is_ok() || line.starts_with('x');
    let written = text.lines().filter(sent).count();
    assert_eq!(written as u64 + lost, LINES as u64 + 1000 + 20);
    let told = text.lines().filter(|line| line.contains("log lines were lost here"));
    let told: u64 =
        told.map(|line| line.rsplit_once("lost=").unwrap().1.parse::<u64>().unwrap()).sum();
    assert_eq!(told, lost);
}

#[test]
fn what_a_broken_place_lost_is_told_when_it_works_again() {
    let (sink, page, metrics) = sink();
    sink.send("one\n".to_owned());
    sink.flush(LONG);
    page.change(|state| state.broken = true);
    for _ in 0..5 {
        sink.send("gone\n".to_owned());
    }
    sink.flush(LONG);
    assert_eq!(lost(&metrics, "write_failed"), 5);
    page.change(|state| state.broken = false);
    sink.send("two\n".to_owned());
    sink.flush(LONG);
    let text = page.text();
    assert!(text.starts_with("one\ntwo\n") && text.contains("lost here lost=5\n"), "{text}");
}

#[test]
fn reopening_is_never_lost() {
    let (sink, page, _) = sink();
    sink.reopen();
    sink.flush(LONG);
    assert_eq!(page.0.0.lock().reopened, 1);
}
