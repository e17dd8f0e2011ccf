//! One call that streams, from when its stream is open to its status.

use std::time::Instant;

use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState};
use opentelemetry::{Context, ContextGuard};
use tonic::Code;

use super::rpc_metrics::Stopwatch;
use super::rpc_status::{abandoned, error_type};

/// An open stream. Dropped before it has a status, it counts as cancelled by the caller.
#[derive(Debug)]
pub(super) struct OpenStream {
    stopwatch: Stopwatch,
    context: Context,
    deadline: Option<Instant>,
    open: bool,
}

impl OpenStream {
    /// A stream whose opening was the span `opening`.
    pub fn new(stopwatch: Stopwatch, opening: &SpanContext, deadline: Option<Instant>) -> Self {
        stopwatch.opened();
        Self { stopwatch, context: named_only(opening), deadline, open: true }
    }

    /// Enters the trace of the stream, so that its log lines name it.
    pub fn enter(&self) -> ContextGuard {
        self.context.clone().attach()
    }

    /// The stream ends with a status.
    pub fn end(mut self, code: Code) {
        self.open = false;
        self.stopwatch.stop(code, error_type(code));
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.stopwatch.closed();
        if self.open {
            let (code, error) = abandoned(self.deadline);
            self.stopwatch.stop(code, Some(error));
        }
    }
}

/// The same trace, but not sampled: its span has ended, and what the stream does for hours is not to be added to it.
fn named_only(opening: &SpanContext) -> Context {
    let (trace, span) = (opening.trace_id(), opening.span_id());
    let named = SpanContext::new(trace, span, TraceFlags::default(), false, TraceState::default());
    Context::new().with_remote_span_context(named)
}
