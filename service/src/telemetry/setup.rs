//! Starts and ends telemetry.

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::global;
use opentelemetry::metrics::Meter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot;
use tracing::subscriber::{NoSubscriber, with_default};
use tracing::{Subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::exporter::Otlp;
use super::log::log_layer;
use super::metrics::{self, Metrics};
use super::resource::resource;
use super::{TelemetryOptions, propagation, spans};

/// The running telemetry of a process. Call [`shutdown`](Self::shutdown) last of all, or the latest spans and metrics are
/// lost.
#[derive(Debug)]
pub struct Telemetry {
    spans: SdkTracerProvider,
    meters: SdkMeterProvider,
    metrics: Metrics,
}

/// Starts tracing, metrics and logging for the whole process; it fails the second time.
pub fn init(options: &TelemetryOptions) -> anyhow::Result<Telemetry> {
    let (telemetry, subscriber) = Telemetry::build(options)?;
    subscriber.try_init().context("can't start logging: it has been started before")?;
    // Which it would log as news.
    with_default(NoSubscriber::default(), || global::set_meter_provider(telemetry.meters.clone()));
    Ok(telemetry)
}

impl Telemetry {
    /// What [`init`] starts, but neither the subscriber nor the meter is made that of the process: tests give the one to
    /// `tracing::subscriber::set_default`, and take [the other](Self::meter) for what they test.
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
        let resource = resource(options);
        let otlp = options.endpoint().map(Otlp::new).transpose()?;
        let spans = spans::provider(options, resource.clone(), otlp.as_ref())?;
        let (meters, metrics) = metrics::provider(options, resource, otlp.as_ref())?;
        let log = log_layer(options, writer, ansi)?;
        let subscriber = tracing_subscriber::registry().with(Self::layer(&spans)).with(log);
        Ok((Self { spans, meters, metrics }, subscriber))
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
        spans::layer(provider)
    }

    /// The provider of the spans.
    pub fn provider(&self) -> &SdkTracerProvider {
        &self.spans
    }

    /// Where instruments are taken from whose metrics are these.
    pub fn meter(&self) -> Meter {
        metrics::meter_of(&self.meters)
    }

    /// The metrics, for whoever shows them.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Exports what there is and stops, within the grace period: what can't be exported until then is lost.
    pub async fn shutdown(self, grace: Duration) {
        let (done, outcome) = oneshot::channel();
        // A thread of its own that nobody joins: a runtime would wait at its end for a thread that it has lent.
        let thread = std::thread::Builder::new().name("telemetry-shutdown".to_owned());
        let started = thread.spawn(move || done.send(self.export_the_rest(grace)));
        if let Err(error) = started {
            return warn!(%error, "the last traces and metrics are lost: can't start a thread");
        }
        match tokio::time::timeout(grace, outcome).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => warn!(%error, "the last traces and metrics may be lost"),
            Ok(Err(_)) | Err(_) => {
                warn!(?grace, "the last traces and metrics may be lost: their export took too long");
            }
        }
    }

    fn export_the_rest(&self, grace: Duration) -> OTelSdkResult {
        let spans = self.spans.shutdown_with_timeout(grace);
        self.meters.shutdown_with_timeout(grace).and(spans)
    }
}
