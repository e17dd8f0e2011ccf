//! Starts and ends tracing and logging.

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, TracerProviderBuilder,
};
use tokio::sync::oneshot;
use tracing::{Metadata, Subscriber, warn};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use uuid::Uuid;

use super::exporter::OtlpExporter;
use super::log::log_layer;
use super::{MutationSampler, TelemetryOptions, names, propagation};

/// The running telemetry of a process. Call [`shutdown`](Self::shutdown) last of all, or the latest spans are lost.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

/// Starts tracing and logging for the whole process; it fails the second time.
pub fn init(options: &TelemetryOptions) -> anyhow::Result<Telemetry> {
    let (telemetry, subscriber) = Telemetry::build(options)?;
    subscriber.try_init().context("can't start logging: it has been started before")?;
    Ok(telemetry)
}

impl Telemetry {
    /// What [`init`] starts, but the subscriber is not made that of the process: tests give it to
    /// `tracing::subscriber::set_default`.
    pub fn build(
        options: &TelemetryOptions,
    ) -> anyhow::Result<(Self, impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync + use<>)> {
        Self::logging_to(options, stderr, stderr().is_terminal())
    }

    /// The same, with a log that goes to `writer`, in colours if `ansi`.
    pub fn logging_to<W>(
        options: &TelemetryOptions,
        writer: W,
        ansi: bool,
    ) -> anyhow::Result<(Self, impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync + use<W>)>
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        global::set_text_map_propagator(propagation::propagator());
        let provider = provider(options)?;
        let subscriber =
            tracing_subscriber::registry().with(Self::layer(&provider)).with(log_layer(options, writer, ansi)?);
        Ok((Self { provider }, subscriber))
    }

    /// The layer that turns our spans into those of `provider`.
    ///
    /// It has a filter of its own, so that the level of the log doesn't end tracing. It takes spans and no events: an
    /// event could carry anything to where traces are kept, and an error logged on the way would mark a call as failed
    /// that came to a good end.
    pub fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        traces::<S>(provider.tracer(env!("CARGO_PKG_NAME"))).with_filter(traced())
    }

    /// The provider of the spans.
    pub fn provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// Exports what there is and stops, within the grace period: what can't be exported until then is lost.
    pub async fn shutdown(self, grace: Duration) {
        let (done, outcome) = oneshot::channel();
        // A thread of its own that nobody joins: a runtime would wait at its end for a thread that it has lent.
        let thread = std::thread::Builder::new().name("telemetry-shutdown".to_owned());
        let started = thread.spawn(move || done.send(self.provider.shutdown_with_timeout(grace)));
        if let Err(error) = started {
            return warn!(%error, "the last traces are lost: can't start a thread");
        }
        match tokio::time::timeout(grace, outcome).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => warn!(%error, "the last traces may be lost"),
            Ok(Err(_)) | Err(_) => warn!(?grace, "the last traces may be lost: their export took too long"),
        }
    }
}

fn traces<S>(tracer: SdkTracer) -> OpenTelemetryLayer<S, SdkTracer>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // Spans carry what names.rs lists, not where in the code and on which thread they were made.
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
}

/// What is traced: the spans of our crates that are not for debugging.
fn traced() -> FilterFn<impl Fn(&Metadata<'_>) -> bool + Send + Sync + 'static> {
    filter_fn(is_traced).with_max_level_hint(tracing::Level::INFO)
}

fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && *metadata.level() <= tracing::Level::INFO && metadata.target().starts_with("nodeward")
}

fn provider(options: &TelemetryOptions) -> anyhow::Result<SdkTracerProvider> {
    let builder = SdkTracerProvider::builder()
        .with_resource(resource(options))
        .with_sampler(MutationSampler::new(options.mutation_sampling, options.read_sampling));
    let builder = match options.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) {
        Some(endpoint) => export(builder, endpoint, options)?,
        None => builder,
    };
    Ok(builder.build())
}

fn export(
    builder: TracerProviderBuilder,
    endpoint: &str,
    options: &TelemetryOptions,
) -> anyhow::Result<TracerProviderBuilder> {
    let batches = BatchConfigBuilder::default().with_scheduled_delay(options.export_delay()).build();
    Ok(builder.with_span_processor(
        BatchSpanProcessor::builder(OtlpExporter::new(endpoint)?).with_batch_config(batches).build(),
    ))
}

/// Who exports: what OTEL_RESOURCE_ATTRIBUTES says goes before what we find out, and an option before both.
fn resource(options: &TelemetryOptions) -> Resource {
    let found = [
        KeyValue::new(names::SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
        KeyValue::new(names::SERVICE_INSTANCE_ID, Uuid::new_v4().to_string()),
    ];
    let given = [
        (names::K8S_CLUSTER_NAME, &options.cluster_name),
        (names::K8S_POD_NAME, &options.pod_name),
        (names::K8S_NAMESPACE_NAME, &options.pod_namespace),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some(KeyValue::new(name, value.clone()?)));
    Resource::builder_empty()
        .with_attributes(found)
        .with_detectors(&[Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())])
        .with_attributes(given)
        .with_service_name(options.service_name.clone())
        .build()
}
