//! Everything that is traced, down to the last level, as one text.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// A second listener that stands for as long as the process does.
///
/// While there is but one, a place in the code that is reached for the first time asks the listener
/// of the thread that got there, and is silenced for every thread if that has none: a test without
/// a capture then robs another of its lines. Of two or more, all are asked.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Capture::default()));

/// Clones hold the same text.
#[derive(Clone, Default)]
pub struct Capture {
    text: Arc<Mutex<String>>,
    spans: Arc<AtomicU64>,
}

impl Capture {
    /// Listens to this thread until the guard is dropped.
    pub fn start() -> (Self, DefaultGuard) {
        LazyLock::force(&SECOND);
        let capture = Self::default();
        let guard = tracing::subscriber::set_default(capture.clone());
        (capture, guard)
    }

    /// What was traced so far, a line for each event and span.
    pub fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    fn line(&self, metadata: &Metadata<'_>, write: impl FnOnce(&mut Line<'_>)) {
        let mut text = self.text.lock().unwrap();
        write!(text, "{} {}:", metadata.level(), metadata.target()).unwrap();
        write(&mut Line(&mut text));
        text.push('\n');
    }
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.line(span.metadata(), |line| span.record(line));
        Id::from_u64(1 + self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut text = self.text.lock().unwrap();
        values.record(&mut Line(&mut text));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.line(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
