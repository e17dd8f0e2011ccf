//! Starts and ends telemetry.

use std::io::{IsTerminal as _, stderr};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::global;
use opentelemetry::metrics::Meter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
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

use super::copies::{self, Copies};
use super::exporter::Otlp;
use super::log::log_layer;
use super::log_writer::LogWriter;
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
    copies: Option<(SdkLoggerProvider, Copies)>,
    log: Option<LogWriter>,
}

/// Who sends copies for the process.
static COPIES: OnceLock<Copies> = OnceLock::new();

/// Who sends copies of records to the OTLP endpoint of the process, if it has one.
pub fn copies() -> Option<Copies> {
    COPIES.get().cloned()
}

/// Starts tracing, metrics and logging for the whole process; it fails the second time.
pub fn init(options: &TelemetryOptions) -> anyhow::Result<Telemetry> {
    let (telemetry, subscriber) = Telemetry::build(options)?;
    subscriber.try_init().context("can't start logging: it has been started before")?;
    if let Some(copies) = telemetry.copies() {
        let _ = COPIES.set(copies);
    }
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
        let (log, writer) = LogWriter::new(stderr());
        let (mut telemetry, subscriber) = Self::logging_to(options, writer, stderr().is_terminal())?;
        log.count_lost(&telemetry.meter());
        telemetry.log = Some(log);
        Ok((telemetry, subscriber))
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
        let (meters, metrics) = metrics::provider(options, resource.clone(), otlp.as_ref())?;
        let copies = copies::provider(options, resource, otlp.as_ref(), &metrics::meter_of(&meters))?;
        let log = log_layer(options, writer, ansi)?;
        let subscriber = tracing_subscriber::registry().with(Self::layer(&spans)).with(log);
        Ok((Self { spans, meters, metrics, copies, log: None }, subscriber))
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

    /// Who sends copies of records to the OTLP endpoint, if there is one.
    pub fn copies(&self) -> Option<Copies> {
        self.copies.as_ref().map(|(_, copies)| copies.clone())
    }

    /// The metrics, for whoever shows them.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Exports what there is and stops, within the grace period: what can't be exported until then is lost.
    pub async fn shutdown(mut self, grace: Duration) {
        // Last of all: what follows may be logged.
        let _log = self.log.take();
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
        let copies = self.copies.as_ref().map_or(Ok(()), |(provider, _)| provider.shutdown_with_timeout(grace));
        let spans = self.spans.shutdown_with_timeout(grace);
        self.meters.shutdown_with_timeout(grace).and(spans).and(copies)
    }
}
