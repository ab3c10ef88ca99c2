//! The hub beside a bare limit and beside other registries, in one run on one machine.
//!
//! ```sh
//! cargo bench --bench peers                            # everything, about 40 minutes on two cores
//! cargo bench --bench peers -- reads                   # one chapter: see `Chapter`
//! cargo bench --bench peers -- reads --rounds 5 --seconds 4 --only hub
//! ```
//!
//! The limit is an axum server of a few lines that hands out the very answers of the hub, made
//! beforehand, with the same headers; that of registrations has each on disk before it answers, and
//! does nothing else (`durable`). Whoever is not measured is stopped. The load comes from `wrk`
//! (one thread), on the same cores. Results go to the terminal as tables, and to
//! `target/peers/` as JSON and as a plot.
//!
//! Peers are what is found here: Consul, Eureka and Nacos as `tests/servers/install` installs them,
//! r-nacos if `rnacos` is on the `PATH`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark: a failure is a panic"
)]

mod arguments;
mod changes;
mod durable;
mod faces;
mod hub;
mod idle;
mod limit;
mod one_change;
mod peer;
mod reads;
mod report;
mod size;
mod under_change;
mod writes;
mod wrk;

use arguments::{Arguments, Chapter};
use report::Report;

/// The same as the server's own, so that a difference is not the allocator's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let [word, port, file] = &words[..] {
        let port = || port.parse().unwrap();
        match word.as_str() {
            limit::WORD => return runtime.block_on(limit::serve(port(), file.as_ref())),
            durable::WORD => return runtime.block_on(durable::serve(port(), file.as_ref())),
            _ => {}
        }
    }
    runtime.block_on(run(Arguments::read(&words)));
}

async fn run(arguments: Arguments) {
    let mut report = Report::new();
    for chapter in &arguments.chapters {
        match chapter {
            Chapter::Reads => reads::run(&arguments, &mut report).await,
            Chapter::Faces => faces::run(&arguments, &mut report).await,
            Chapter::UnderChange => under_change::run(&arguments, &mut report).await,
            Chapter::Writes => writes::run(&arguments, &mut report).await,
            Chapter::Changes => changes::run(&arguments, &mut report).await,
            Chapter::OneChange => one_change::run(&arguments, &mut report).await,
            Chapter::Idle => idle::run(&arguments, &mut report).await,
            Chapter::Size => size::run(&arguments, &mut report).await,
        }
        report.save();
    }
}
