//! Which spans there are, how they are sampled, and where they go.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::exporter::Otlp;
use super::{MutationSampler, TelemetryOptions};

/// The provider of spans, which exports them if there is somewhere to export to.
pub(super) fn provider(
    options: &TelemetryOptions,
    resource: Resource,
    otlp: Option<&Otlp<'_>>,
) -> anyhow::Result<SdkTracerProvider> {
    let builder = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(MutationSampler::new(options.mutation_sampling, options.read_sampling));
    let Some(otlp) = otlp else { return Ok(builder.build()) };
    let batches = BatchConfigBuilder::default().with_scheduled_delay(options.export_delay()).build();
    let processor = BatchSpanProcessor::builder(otlp.spans()?).with_batch_config(batches).build();
    Ok(builder.with_span_processor(processor).build())
}

/// The layer that turns our spans into those of `provider`.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    // Spans carry what names.rs lists, not where in the code and on which thread they were made.
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(env!("CARGO_PKG_NAME")))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(traced())
}

/// What is traced: the spans of our crates that are not for debugging.
fn traced() -> FilterFn<impl Fn(&Metadata<'_>) -> bool + Send + Sync + 'static> {
    filter_fn(is_traced).with_max_level_hint(tracing::Level::INFO)
}

fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && *metadata.level() <= tracing::Level::INFO && metadata.target().starts_with("nodeward")
}
