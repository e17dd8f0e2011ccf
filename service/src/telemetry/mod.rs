//! Traces, metrics and logs: one trace for each change that the server makes, from its caller through to Kubernetes, and
//! numbers of all that it does.
//!
//! - [`init`] starts it, with what [`TelemetryOptions`] say; [`Telemetry::shutdown`] ends it.
//! - [`RpcTraceLayer`] goes around the gRPC services: it makes the span of each call, names its trace in the answer, and
//!   measures it.
//! - [`KubeTraceLayer`] goes around the Kubernetes client: it makes the span of each of its calls, sends the trace along,
//!   and measures it.
//! - [`MutationSpan`] is how the code that changes nodes says what it does; [`with_audit_id`] is how Kubernetes' audit log
//!   and ours are joined.
//! - [`copies`] is where audit records are copied to, if they are to be sent elsewhere as well.
//! - [`meter`] is where all rooms take their instruments from: [`metrics`] says how.
//!
//! ```no_run
//! # use nodeward_server::telemetry::{self, KubeTraceLayer, RpcTraceLayer, TelemetryOptions};
//! # async fn run(options: TelemetryOptions, config: kube::Config) -> anyhow::Result<()> {
//! let telemetry = telemetry::init(&options)?;
//! let layer = KubeTraceLayer::new(&config.cluster_url);
//! let client = kube::client::ClientBuilder::try_from(config)?.with_layer(&layer).build();
//! let server = tonic::transport::Server::builder().layer(RpcTraceLayer::new());
//! // ... serve; and when all calls have ended:
//! telemetry.shutdown(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! What is not in [`names`] is in no trace: headers, messages and objects stay out of it.

mod cache_metrics;
mod copies;
mod exporter;
mod kube_call;
mod kube_layer;
mod kube_metrics;
mod log;
mod log_writer;
pub(crate) mod methods;
pub mod metrics;
mod mutation;
pub mod names;
mod options;
mod propagation;
mod refusals;
mod resource;
mod rpc_call;
mod rpc_layer;
mod rpc_metrics;
mod rpc_status;
mod rpc_stream;
mod sampler;
mod setup;
mod spans;

pub use cache_metrics::{ObservedCache, count_relist, observe_cache};
pub use copies::{Copies, LogCopy};
pub use kube_layer::{KubeTrace, KubeTraceLayer, with_audit_id};
pub use metrics::{Metrics, meter};
pub use mutation::{MutationSpan, Outcome};
pub use options::{LogFormat, MetricsExporter, TelemetryOptions};
pub use refusals::Refusals;
pub use rpc_layer::{ResponseFuture, RpcTrace, RpcTraceLayer, TracedBody};
pub use sampler::MutationSampler;
pub use setup::{Telemetry, copies, init};

pub(crate) use opentelemetry::trace::{SpanId, TraceId};
pub(crate) use rpc_status::code_name;

/// The trace of the present call, and its span. `None` if there is no telemetry.
pub(crate) fn trace() -> Option<(TraceId, SpanId)> {
    use opentelemetry::trace::TraceContextExt as _;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;
    let context = tracing::Span::current().context();
    let (trace, span) = (context.span().span_context().trace_id(), context.span().span_context().span_id());
    (trace != TraceId::INVALID).then_some((trace, span))
}

/// The trace context of the present call as the header `traceparent` has it, for whoever goes on with it. Empty if there is no
/// telemetry.
pub(crate) fn trace_parent() -> String {
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;
    let mut headers = http::HeaderMap::new();
    propagation::inject(&tracing::Span::current().context(), &mut headers);
    let header = headers.get("traceparent").and_then(|value| value.to_str().ok());
    header.unwrap_or_default().to_owned()
}

/// Says on the span of the present call who is calling; nothing, if that is nobody in particular.
pub fn caller(username: &str) {
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;
    if !username.is_empty() {
        tracing::Span::current().set_attribute(names::USER_ID, username.to_owned());
    }
}
