//! One call: its span from the request to the status.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use opentelemetry::trace::{Status as SpanStatus, TraceContextExt as _, TraceId};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::methods::{self, Method};
use super::mutation::{Outcome, Record};
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
    record: Arc<Record>,
    deadline: Option<Instant>,
    open: bool,
}

impl Call {
    /// Starts the span of a call to `path`.
    pub fn begin(path: &str, headers: &HeaderMap, ends: &Peer<'_>) -> Self {
        let original = path.trim_start_matches('/');
        let known = methods::lookup(original);
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
            method: known.map(|(_, method)| method),
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

    /// The handler has answered with `headers`. Gives the call back if its status is still to come.
    pub fn answered(self, headers: &HeaderMap) -> Option<Self> {
        if headers.contains_key("grpc-status") {
            self.finished(headers);
            return None;
        }
        if self.method.is_some_and(|method| method.streams) {
            self.opened();
            return None;
        }
        Some(self)
    }

    /// The call ends with the status in `headers`, which may be the trailers.
    pub fn finished(self, headers: &HeaderMap) {
        match Status::from_header_map(headers) {
            Some(status) => self.end(&status),
            None => self.broken(),
        }
    }

    /// The call ends without a status.
    pub fn broken(self) {
        self.end(&Status::unknown(""));
    }

    fn end(mut self, status: &Status) {
        self.open = false;
        self.span.set_attribute(names::RPC_RESPONSE_STATUS_CODE, code_name(status.code()));
        if status.code() != Code::Ok {
            self.failed(status);
        }
    }

    fn failed(&self, status: &Status) {
        let code = code_name(status.code());
        self.span.set_attribute(names::ERROR_TYPE, code);
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
    fn opened(mut self) {
        self.open = false;
        self.span.context().span().end();
    }

    /// Nobody waits for the answer any more, or the handler panicked. The change itself may still go on, so that its
    /// outcome is left open.
    fn abandoned(&self) {
        let (code, error) = match self.deadline {
            _ if std::thread::panicking() => (Code::Internal, names::PANIC),
            Some(deadline) if Instant::now() >= deadline => (Code::DeadlineExceeded, code_name(Code::DeadlineExceeded)),
            _ => (Code::Cancelled, code_name(Code::Cancelled)),
        };
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

/// Whether a status says that the server failed, not that the request can't be served.
fn is_fault_of_server(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The name of a status code in the gRPC specification.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
