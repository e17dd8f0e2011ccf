//! The trace of an operation: one for the whole of it, whichever servers carry it out.
//!
//! Each server that does has a span in it that lasts as long, and within that one for each step. It is no part of the trace of
//! the request, which has ended long before, but names it by a link.

use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{names, propagation};

/// The part of an operation's trace that this server makes. Its span ends with the last clone.
#[derive(Clone, Debug)]
pub struct OperationTrace {
    span: Span,
    id: String,
}

impl OperationTrace {
    /// Begins it. `id` is that of the trace, if another server has begun before; `request` is the trace context of the request,
    /// in the form of the header `traceparent`, if it had one.
    pub fn begin(operation: &str, id: &str, request: &str) -> Self {
        let span = info_span!(parent: None, "drain", otel.kind = "internal", { names::OPERATION_NAME } = operation);
        if let Some(parent) = before(id) {
            // Fails only if nothing is traced.
            let _ = span.set_parent(parent);
        }
        if let Some(request) = requested(request) {
            span.add_link(request);
        }
        // This starts the span, and thereby samples it.
        let found = span.context().span().span_context().trace_id();
        let id = if found == TraceId::INVALID { id.to_owned() } else { found.to_string() };
        Self { span, id }
    }

    /// The id of the trace. Empty if nothing is traced, here or by those before.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Says on the span what node the operation is about.
    pub fn node(&self, name: &str, uid: &str) {
        self.span.set_attribute(names::K8S_NODE_NAME, name.to_owned());
        self.span.set_attribute(names::K8S_NODE_UID, uid.to_owned());
    }

    /// Says how it ended: with this state; and if that is a failure, why.
    pub fn ended(&self, state: &'static str, failure: Option<&str>) {
        self.span.set_attribute(names::OPERATION_STATE, state);
        if let Some(reason) = failure {
            self.span.set_attribute(names::ERROR_REASON, reason.to_owned());
            self.span.set_status(Status::error(reason.to_owned()));
        }
    }

    /// The span of a step, such as `evict` of this pod in this namespace.
    pub fn removal(&self, is_eviction: bool, namespace: &str, pod: &str) -> Span {
        let span = match is_eviction {
            true => info_span!(parent: &self.span, "evict"),
            false => info_span!(parent: &self.span, "delete"),
        };
        span.set_attribute(names::K8S_NAMESPACE_NAME, namespace.to_owned());
        span.set_attribute(names::K8S_POD_NAME, pod.to_owned());
        span
    }

    /// The span of a change of the node that is drained.
    pub fn change(&self) -> Span {
        info_span!(parent: &self.span, "cordon")
    }
}

/// Says on the span of a step which records it has, and the how manieth attempt it is.
pub fn step_is(span: &Span, audit_id: &str, attempt: u32) {
    span.set_attribute(names::AUDIT_ID, audit_id.to_owned());
    span.set_attribute(names::ATTEMPT, i64::from(attempt));
}

/// Says on the span of a step how it ended; a reason is that of a failure.
pub fn step_ended(span: &Span, outcome: &str, reason: &str) {
    if !outcome.is_empty() {
        span.set_attribute(names::OUTCOME, outcome.to_owned());
    }
    if !reason.is_empty() {
        span.set_attribute(names::ERROR_REASON, reason.to_owned());
    }
}

/// What to be a child of, so as to be in the trace that another server has begun: a span that stands for it, since its own is
/// not known.
fn before(id: &str) -> Option<Context> {
    let trace = TraceId::from_hex(id).ok().filter(|trace| *trace != TraceId::INVALID)?;
    let [.., a, b, c, d, e, f, g, h] = trace.to_bytes();
    let span = SpanId::from_bytes([a, b, c, d, e, f, g, h]);
    let context = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
    Some(Context::new().with_remote_span_context(context))
}

fn requested(parent: &str) -> Option<SpanContext> {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", HeaderValue::from_str(parent).ok()?);
    let context = propagation::extract(&headers).span().span_context().clone();
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_server_goes_on_in_the_same_trace() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        let context = before(id).unwrap();
        assert_eq!(context.span().span_context().trace_id().to_string(), id);
        assert!(context.span().span_context().is_valid());
        assert!(["", "x", "00000000000000000000000000000000"].iter().all(|none| before(none).is_none()));
    }

    #[test]
    fn a_request_that_was_not_traced_is_not_linked() {
        assert!(requested("").is_none());
        assert!(requested("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").is_some());
    }
}
