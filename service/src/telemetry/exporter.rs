//! The export of spans, metrics and log records over OTLP/gRPC.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::{Builder, Runtime};

/// Where to export to: the exporters made of it have one thread together.
pub(super) struct Otlp<'a> {
    endpoint: &'a str,
    thread: Arc<ExportThread>,
}

impl<'a> Otlp<'a> {
    /// Exporters to `endpoint`. They don't connect until there is something to export.
    pub fn new(endpoint: &'a str) -> anyhow::Result<Self> {
        Ok(Self { endpoint, thread: Arc::new(ExportThread::start()?) })
    }

    pub fn spans(&self) -> anyhow::Result<Exporter<opentelemetry_otlp::SpanExporter>> {
        let builder = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(self.endpoint);
        self.exporter("traces", || builder.build())
    }

    pub fn metrics(&self) -> anyhow::Result<Exporter<opentelemetry_otlp::MetricExporter>> {
        let builder = opentelemetry_otlp::MetricExporter::builder().with_tonic().with_endpoint(self.endpoint);
        self.exporter("metrics", || builder.build())
    }

    pub fn logs(&self) -> anyhow::Result<Exporter<opentelemetry_otlp::LogExporter>> {
        let builder = opentelemetry_otlp::LogExporter::builder().with_tonic().with_endpoint(self.endpoint);
        self.exporter("logs", || builder.build())
    }

    fn exporter<E>(
        &self,
        what: &str,
        build: impl FnOnce() -> Result<E, ExporterBuildError>,
    ) -> anyhow::Result<Exporter<E>> {
        let inner = self.thread.within(build);
        let endpoint = self.endpoint;
        let inner = inner.with_context(|| {
            format!("can't export {what} to `{endpoint}` (--otlp-endpoint, OTEL_EXPORTER_OTLP_ENDPOINT)")
        })?;
        Ok(Exporter { inner, _thread: Arc::clone(&self.thread) })
    }
}

/// An exporter whose connection is in the care of a runtime of its own.
///
/// The runtime of whoever starts telemetry would do as well while it runs. But the last export comes when that one is
/// ending, it could be busy with what is to be told, and in tests there are many of them, each shorter than telemetry.
#[derive(Debug)]
pub(super) struct Exporter<E> {
    inner: E,
    _thread: Arc<ExportThread>,
}

impl SpanExporter for Exporter<opentelemetry_otlp::SpanExporter> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.inner.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl PushMetricExporter for Exporter<opentelemetry_otlp::MetricExporter> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.inner.export(metrics).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}

impl LogExporter for Exporter<opentelemetry_otlp::LogExporter> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.inner.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// A runtime that ends without waiting for anything.
#[derive(Debug)]
struct ExportThread(Option<Runtime>);

impl ExportThread {
    fn start() -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("telemetry").enable_all().build();
        Ok(Self(Some(runtime.context("can't start a thread that exports telemetry")?)))
    }

    fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let _within = self.0.as_ref().map(Runtime::enter);
        work()
    }
}

impl Drop for ExportThread {
    fn drop(&mut self) {
        // Its own drop would wait for the connection, which may hang, and panics within another runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
