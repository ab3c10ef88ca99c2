//! From events to sinks.

use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::line::Line;
use super::sink::Sink;
use super::{Form, request};
use crate::clock::Clock;
use crate::telemetry::metrics::LogMetrics;

/// Writes every event as one line.
#[derive(Debug)]
pub(super) struct Lines {
    sink: Sink,
    form: Form,
    clock: Clock,
}

impl Lines {
    pub(super) fn new(sink: Sink, form: Form, clock: Clock) -> Self {
        Self { sink, form, clock }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = Line::of(event, self.clock.now(), request::id());
        self.sink.send(self.form.write(&line));
    }
}

impl<S: Subscriber> Layer<S> for LogMetrics {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.logged(*event.metadata().level());
    }
}
