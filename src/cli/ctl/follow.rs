//! The stream of events, followed over lost connections.

use std::process::ExitCode;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::blocks::{Block, Blocks};
use super::client::Client;
use super::events::COLUMNS;
use super::failure::Failure;
use super::output::Output;
use super::request::Request;

const PATH: &str = "/api/v1/events/subscribe";
/// A hub says something every 15 s. One that is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(45);
/// The pause before the first attempt to come back; it doubles.
const AGAIN: Duration = Duration::from_millis(500);
/// The longest pause.
const LATER: Duration = Duration::from_secs(10);
/// Ended by Ctrl-C, as shells say it.
const INTERRUPTED: u8 = 130;

/// Who follows, and how far it is.
pub(super) struct Follower<'c> {
    client: &'c Client,
    output: Output,
    query: Vec<(String, String)>,
    /// Everything up to it was shown.
    last: Option<String>,
    /// How many are to be shown still.
    left: Option<u64>,
    began: bool,
}

impl<'c> Follower<'c> {
    /// Follows what the question to the log asks for, from now on or from its place.
    ///
    /// # Errors
    /// It asks for something that has an end.
    pub(super) fn new(
        client: &'c Client,
        output: Output,
        request: Request,
        changes: Option<u64>,
    ) -> Result<Self, Failure> {
        let (mut query, mut last) = (Vec::new(), None);
        for (name, value) in request.query {
            match name.as_str() {
                "afterId" => last = Some(value),
                "startTime" | "endTime" | "limit" => {
                    let message = "--from, --to and --limit do not go with --watch; --since does";
                    return Err(Failure::Usage(message.to_owned()));
                }
                _ => query.push((name, value)),
            }
        }
        Ok(Self { client, output, query, last, left: changes, began: false })
    }

    /// Shows each event, until as many were shown as are wanted or somebody presses Ctrl-C.
    ///
    /// # Errors
    /// The hub says no, or cannot be reached at first.
    pub(super) async fn run(mut self) -> Result<ExitCode, Failure> {
        let interrupted = tokio::select! {
            biased;
            done = self.follow() => {
                done?;
                false
            }
            _ = tokio::signal::ctrl_c() => true,
        };
        if !interrupted {
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(last) = &self.last {
            eprintln!("registry-server ctl: --since {last} goes on from here");
        }
        Ok(ExitCode::from(INTERRUPTED))
    }

    async fn follow(&mut self) -> Result<(), Failure> {
        let mut pause = AGAIN;
        loop {
            let last = self.last.clone();
            let lost = match self.read().await {
                Ok(()) => return Ok(()),
                Err(failure) if self.began && is_passing(&failure) => failure,
                Err(failure) => return Err(failure),
            };
            if self.last != last {
                pause = AGAIN;
            }
            eprintln!("registry-server ctl: {lost}; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LATER);
        }
    }

    /// Reads one connection until enough was shown.
    async fn read(&mut self) -> Result<(), Failure> {
        let lost = |what: &str| Failure::Unreachable(format!("the stream {what}"));
        let mut stream = self.client.open(PATH, &self.query, self.last.as_deref()).await?;
        if self.last.is_none() {
            self.last = stream.index;
        }
        self.began = true;
        let mut blocks = Blocks::default();
        loop {
            let read = tokio::time::timeout(SILENCE, stream.answer.chunk()).await;
            let read = read.map_err(|_| lost("fell silent"))?;
            let bytes = read.map_err(|_| lost("broke off"))?.ok_or_else(|| lost("has ended"))?;
            blocks.push(&bytes)?;
            while let Some(block) = blocks.next() {
                self.take(block)?;
                if self.left == Some(0) {
                    return Ok(());
                }
            }
        }
    }

    fn take(&mut self, Block { id, data }: Block) -> Result<(), Failure> {
        let no_hub = |_| Failure::Unreachable("the stream is none of events".to_owned());
        let event: Value = serde_json::from_str(&data).map_err(no_hub)?;
        if event["eventType"] != "BOOKMARK" {
            super::print(&self.output.one(COLUMNS, &event)?)?;
            self.left = self.left.map(|left| left - 1);
        }
        // Heartbeats have none: nothing goes on from them.
        self.last = id.or_else(|| self.last.take());
        Ok(())
    }
}

/// Whether it may be otherwise soon.
fn is_passing(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable(_) => true,
        Failure::Refused(status, _) => {
            status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
        }
        Failure::Usage(_) | Failure::Local(_) => false,
    }
}
