//! Which traces are recorded: changes always, unless configured otherwise; reads if their caller records them.
//!
//! It runs when a span is started, which is when it is first entered or its context is asked for, not when it is made: by
//! then the span's kind and method are known and its parent is the caller's.

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

use super::{methods, names};

/// The sampling of the server.
///
/// - A change is sampled with a probability of its own, whatever its caller says: a caller that doesn't trace, or not
///   this time, must not leave a change without its record. The probability is of the trace id, so replicas agree.
/// - So is an operation, which changes nodes and pods too.
/// - Any other span follows its parent, be it the caller's or one of this process.
/// - A span without a parent is sampled with the probability of reads.
#[derive(Debug, Clone)]
pub struct MutationSampler {
    mutations: Sampler,
    roots: Sampler,
}

impl MutationSampler {
    /// A sampler with the probability, from 0 to 1, of changes and that of reads whose caller doesn't trace.
    pub fn new(mutations: f64, reads: f64) -> Self {
        Self { mutations: ratio(mutations), roots: ratio(reads) }
    }
}

impl ShouldSample for MutationSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        // Without the parent, since a ratio would otherwise take over the parent's flag.
        let by = |sampler: &Sampler| sampler.should_sample(None, trace_id, name, kind, attributes, links).decision;
        let decision = match parent.filter(|parent| parent.has_active_span() && is_valid(parent)) {
            _ if *kind == SpanKind::Server && mutates(attributes) => by(&self.mutations),
            _ if is_operation(attributes) => by(&self.mutations),
            Some(parent) if parent.span().span_context().is_sampled() => SamplingDecision::RecordAndSample,
            Some(_) => SamplingDecision::Drop,
            None => by(&self.roots),
        };
        SamplingResult { decision, attributes: Vec::new(), trace_state: state(parent) }
    }
}

fn is_valid(context: &Context) -> bool {
    context.span().span_context().is_valid()
}

/// The caller's trace state, which goes on to whom we call.
fn state(parent: Option<&Context>) -> TraceState {
    parent.map(|parent| parent.span().span_context().trace_state().clone()).unwrap_or_default()
}

/// Whether these are the attributes of a call that may change nodes.
fn mutates(attributes: &[KeyValue]) -> bool {
    let method = attributes.iter().find(|attribute| attribute.key.as_str() == names::RPC_METHOD);
    method.and_then(|method| methods::lookup(&method.value.as_str())).is_some_and(|(_, method)| method.mutates())
}

/// Whether these are the attributes of the span of an operation. All its servers decide alike.
fn is_operation(attributes: &[KeyValue]) -> bool {
    attributes.iter().any(|attribute| attribute.key.as_str() == names::OPERATION_NAME)
}

fn ratio(ratio: f64) -> Sampler {
    if ratio >= 1.0 { Sampler::AlwaysOn } else { Sampler::TraceIdRatioBased(ratio) }
}
