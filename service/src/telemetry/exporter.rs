//! The export of spans over OTLP/gRPC.

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::{Builder, Runtime};

/// An exporter whose connection is in the care of a runtime of its own.
///
/// The runtime of whoever starts telemetry would do as well while it runs. But the last export comes when that one is
/// ending, it could be busy with what is to be traced, and in tests there are many of them, each shorter than tracing.
#[derive(Debug)]
pub(super) struct OtlpExporter {
    inner: opentelemetry_otlp::SpanExporter,
    runtime: Option<Runtime>,
}

impl OtlpExporter {
    /// An exporter to `endpoint`. It doesn't connect until there is something to export.
    pub fn new(endpoint: &str) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("traces").enable_all().build();
        let runtime = runtime.context("can't start a thread that exports traces")?;
        let inner = {
            let _within = runtime.enter();
            opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()
        };
        let named = || format!("can't export traces to `{endpoint}` (--otlp-endpoint, OTEL_EXPORTER_OTLP_ENDPOINT)");
        match inner.with_context(named) {
            Ok(inner) => Ok(Self { inner, runtime: Some(runtime) }),
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }
}

impl SpanExporter for OtlpExporter {
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

impl Drop for OtlpExporter {
    fn drop(&mut self) {
        // Its own drop would wait for the connection, which may hang, and panics within another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
