//! One call: its span and its time from the request to the status.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use opentelemetry::ContextGuard;
use opentelemetry::trace::{Status as SpanStatus, TraceContextExt as _, TraceId};
use tonic::Status;
use tonic_types::StatusExt as _;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::methods::{self, Method};
use super::mutation::{Outcome, Record};
use super::rpc_metrics::{RpcMetrics, Stopwatch};
use super::rpc_status::{abandoned, code_name, error_type, is_fault_of_server};
use super::rpc_stream::OpenStream;
use super::{names, propagation};
use crate::grpc_timeout;

/// The longest name of an unknown method that is taken over, in bytes.
const MAX_ORIGINAL: usize = 128;

/// Both ends of a call.
pub(super) struct Peer<'a> {
    /// What the server calls itself.
    pub server: Option<&'a (String, u16)>,
    pub client: Option<SocketAddr>,
}

/// A call that has no status yet. Dropped, it counts as cancelled by the caller.
#[derive(Debug)]
pub(super) struct Call {
    span: Span,
    trace_id: Option<TraceId>,
    method: Option<Method>,
    stopwatch: Stopwatch,
    record: Arc<Record>,
    deadline: Option<Instant>,
    open: bool,
}

impl Call {
    /// Starts the span of a call to `path`, and its measuring.
    pub fn begin(path: &str, headers: &HeaderMap, ends: &Peer<'_>, metrics: &Arc<RpcMetrics>) -> Self {
        let original = path.trim_start_matches('/');
        let known = methods::lookup(original);
        let method = known.map(|(_, method)| method);
        let (name, streams) = known.map_or((names::OTHER, false), |(name, method)| (name, method.streams));
        let stopwatch = Stopwatch::start(metrics, name, streams);
        let span = match known {
            Some((name, _)) => server_span(name, name),
            None => other_span(original),
        };
        let (parent, record) = Record::attach(&propagation::extract(headers));
        // Fails only if nothing is traced, in which case there is nothing to attach.
        let _ = span.set_parent(parent);
        // This starts the span, and thereby samples it: all that the sampler looks at must be there.
        let context = span.context();
        // Most reads aren't traced: they don't pay for attributes that go nowhere.
        if context.span().is_recording() {
            ends.describe(&span);
        }
        let trace_id = Some(context.span().span_context().trace_id()).filter(|id| *id != TraceId::INVALID);
        Self {
            span,
            trace_id,
            method,
            stopwatch,
            record,
            deadline: grpc_timeout::of(headers).and_then(|timeout| Instant::now().checked_add(timeout)),
            open: true,
        }
    }

    pub fn span(&self) -> &Span {
        &self.span
    }

    /// The trace of the call. None if there is no telemetry.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.trace_id
    }

    /// The handler has answered with `headers`. Gives what is still to come of the call if that isn't its status.
    pub fn answered(self, headers: &HeaderMap) -> Option<Pending> {
        if headers.contains_key("grpc-status") {
            self.end(&status_in(headers));
            return None;
        }
        Some(match self.method {
            Some(method) if method.streams => Pending::Stream(self.opened()),
            _ => Pending::Answer(self),
        })
    }

    /// The call ends without a status.
    pub fn broken(self) {
        self.end(&no_status());
    }

    fn end(mut self, status: &Status) {
        self.open = false;
        let error = error_type(status.code());
        self.stopwatch.stop(status.code(), error);
        self.span.set_attribute(names::RPC_RESPONSE_STATUS_CODE, code_name(status.code()));
        if let Some(error) = error {
            self.failed(status, error);
        }
    }

    fn failed(&self, status: &Status, error: &'static str) {
        self.span.set_attribute(names::ERROR_TYPE, error);
        // Of the error only the reason: the message quotes the request.
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        if !reason.is_empty() {
            self.span.set_attribute(names::ERROR_REASON, reason.clone());
        }
        if is_fault_of_server(status.code()) {
            self.span.set_status(SpanStatus::error(reason));
        }
        if self.method.is_some_and(Method::mutates) {
            self.record.outcome(&self.span, Outcome::Failed);
        }
    }

    /// A stream is open: its span ends now, even if the handler has handed the span to the task that feeds the stream.
    fn opened(mut self) -> OpenStream {
        self.open = false;
        let context = self.span.context();
        context.span().end();
        OpenStream::new(self.stopwatch.clone(), context.span().span_context(), self.deadline)
    }

    /// Nobody waits for the answer any more, or the handler panicked. The change itself may still go on, so that its
    /// outcome is left open.
    fn abandoned(&self) {
        let (code, error) = abandoned(self.deadline);
        self.stopwatch.stop(code, Some(error));
        self.span.set_attribute(names::RPC_RESPONSE_STATUS_CODE, code_name(code));
        self.span.set_attribute(names::ERROR_TYPE, error);
        if is_fault_of_server(code) {
            self.span.set_status(SpanStatus::error(""));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.open {
            self.abandoned();
        }
    }
}

/// What is still to come of a call whose handler has answered.
#[derive(Debug)]
pub(super) enum Pending {
    /// The one message of the answer, and the status.
    Answer(Call),
    /// The messages of a stream, and the status.
    Stream(OpenStream),
}

impl Pending {
    /// The call ends with the status in `trailers`.
    pub fn finished(self, trailers: &HeaderMap) {
        self.end(&status_in(trailers));
    }

    /// The call ends without a status.
    pub fn broken(self) {
        self.end(&no_status());
    }

    fn end(self, status: &Status) {
        match self {
            Self::Answer(call) => call.end(status),
            Self::Stream(stream) => stream.end(status.code()),
        }
    }

    /// Enters the trace of a stream; the work on an answer is done.
    pub fn enter(&self) -> Option<ContextGuard> {
        match self {
            Self::Answer(_) => None,
            Self::Stream(stream) => Some(stream.enter()),
        }
    }
}

fn status_in(headers: &HeaderMap) -> Status {
    Status::from_header_map(headers).unwrap_or_else(no_status)
}

fn no_status() -> Status {
    Status::unknown("")
}

impl Peer<'_> {
    fn describe(&self, span: &Span) {
        span.set_attribute(names::RPC_SYSTEM_NAME, names::RPC_SYSTEM_GRPC);
        if let Some((address, port)) = self.server {
            span.set_attribute(names::SERVER_ADDRESS, address.clone());
            span.set_attribute(names::SERVER_PORT, i64::from(*port));
        }
        if let Some(client) = self.client {
            span.set_attribute(names::NETWORK_PEER_ADDRESS, client.ip().to_string());
            span.set_attribute(names::NETWORK_PEER_PORT, i64::from(client.port()));
        }
    }
}

fn server_span(name: &str, method: &'static str) -> Span {
    info_span!("rpc", otel.name = name, otel.kind = "server", { names::RPC_METHOD } = method)
}

/// The span of a call to a method that doesn't exist: its name could be anything, and so is no name for a span.
fn other_span(original: &str) -> Span {
    let span = server_span(names::RPC_SYSTEM_GRPC, names::OTHER);
    let original: String = original.chars().filter(char::is_ascii_graphic).take(MAX_ORIGINAL).collect();
    span.set_attribute(names::RPC_METHOD_ORIGINAL, original);
    span
}
