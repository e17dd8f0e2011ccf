//! An OTLP collector within the test process: traces, metrics and log records are exported to it over gRPC as to any other, and tests
//! wait for what arrives.
//!
//! Include it with `#[path = "…/tests/support/collector.rs"] mod collector;`. It needs `opentelemetry-proto`, `tonic` and
//! `tokio`.

// Each test binary has its own copy and uses a part of it.
#![allow(dead_code)]

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// A span as it was exported, with the resource it came from.
#[derive(Debug, Clone)]
pub struct Span {
    /// The exported span.
    pub data: opentelemetry_proto::tonic::trace::v1::Span,
    resource: Vec<KeyValue>,
}

impl Span {
    /// The name of the span.
    pub fn name(&self) -> &str {
        &self.data.name
    }

    /// The trace id as in the response metadata.
    pub fn trace_id(&self) -> String {
        hex(&self.data.trace_id)
    }

    /// The span id as in `traceparent`.
    pub fn span_id(&self) -> String {
        hex(&self.data.span_id)
    }

    /// The span id of the parent. Empty for a root.
    pub fn parent_id(&self) -> String {
        hex(&self.data.parent_span_id)
    }

    /// Whether the span's status is ERROR.
    pub fn is_error(&self) -> bool {
        self.data.status.as_ref().is_some_and(|status| status.code == 2)
    }

    /// The text of an attribute: a list as `a,b`, a number in decimal.
    pub fn attribute(&self, name: &str) -> Option<String> {
        text_of(&self.data.attributes, name)
    }

    /// The text of a resource attribute.
    pub fn resource(&self, name: &str) -> Option<String> {
        text_of(&self.resource, name)
    }
}

/// A metric as it was exported, with the resource it came from.
#[derive(Debug, Clone)]
pub struct Metric {
    /// The exported metric.
    pub data: opentelemetry_proto::tonic::metrics::v1::Metric,
    resource: Vec<KeyValue>,
}

impl Metric {
    /// The text of a resource attribute.
    pub fn resource(&self, name: &str) -> Option<String> {
        text_of(&self.resource, name)
    }
}

/// A log record as it was exported, with the resource it came from.
#[derive(Debug, Clone)]
pub struct LogRecord {
    /// The exported record.
    pub data: opentelemetry_proto::tonic::logs::v1::LogRecord,
    resource: Vec<KeyValue>,
}

impl LogRecord {
    /// Its text.
    pub fn body(&self) -> String {
        self.data.body.as_ref().map(text).unwrap_or_default()
    }

    /// The trace id as in the response metadata.
    pub fn trace_id(&self) -> String {
        hex(&self.data.trace_id)
    }

    /// The text of an attribute.
    pub fn attribute(&self, name: &str) -> Option<String> {
        text_of(&self.data.attributes, name)
    }

    /// The text of a resource attribute.
    pub fn resource(&self, name: &str) -> Option<String> {
        text_of(&self.resource, name)
    }
}

/// A collector that runs until it is dropped.
pub struct Collector {
    endpoint: String,
    spans: watch::Receiver<Vec<Span>>,
    metrics: watch::Receiver<Vec<Metric>>,
    logs: watch::Receiver<Vec<LogRecord>>,
    // The thread ends when this is dropped.
    _stop: oneshot::Sender<()>,
}

impl Collector {
    /// Starts a collector on a free port. It has a thread of its own, so that it may outlive the test that starts it:
    /// tests that share a process share its exporter, too.
    pub async fn start() -> Self {
        let (stop, stopped) = oneshot::channel();
        let (started, is_started) = oneshot::channel();
        let (spans_sender, spans) = watch::channel(Vec::new());
        let (metrics_sender, metrics) = watch::channel(Vec::new());
        let (logs_sender, logs) = watch::channel(Vec::new());
        let store = Store { spans: spans_sender, metrics: metrics_sender, logs: logs_sender };
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(store, started, stopped));
        });
        let endpoint = is_started.await.expect("the collector starts");
        Self { endpoint, spans, metrics, logs, _stop: stop }
    }

    /// Where to export to.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// All spans that have arrived so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.borrow().clone()
    }

    /// Waits until a span arrives, or has arrived, that `wanted` accepts. Panics if there is none within `deadline`, with
    /// the names of those there are.
    pub async fn wait_for_span(&self, wanted: impl Fn(&Span) -> bool, deadline: Duration) -> Span {
        let mut spans = self.spans.clone();
        let arrived = spans.wait_for(|spans| spans.iter().any(&wanted));
        match tokio::time::timeout(deadline, arrived).await {
            Ok(Ok(spans)) => spans.iter().find(|span| wanted(span)).cloned().expect("it was there"),
            _ => panic!(
                "no such span within {deadline:?}, only {:?}",
                self.spans().iter().map(describe).collect::<Vec<_>>()
            ),
        }
    }

    /// All metrics that have arrived so far: each as often as it was exported.
    pub fn metrics(&self) -> Vec<Metric> {
        self.metrics.borrow().clone()
    }

    /// Waits until a metric of this name arrives, or has arrived. Panics if there is none within `deadline`.
    pub async fn wait_for_metric(&self, name: &str, deadline: Duration) -> Metric {
        let named = |metric: &&Metric| metric.data.name == name;
        let mut metrics = self.metrics.clone();
        let arrived = metrics.wait_for(|metrics| metrics.iter().any(|metric| named(&metric)));
        let arrived = tokio::time::timeout(deadline, arrived).await;
        let Ok(Ok(arrived)) = arrived else { panic!("no metric {name} within {deadline:?}") };
        arrived.iter().rfind(named).cloned().expect("it was there")
    }

    /// All log records that have arrived so far.
    pub fn logs(&self) -> Vec<LogRecord> {
        self.logs.borrow().clone()
    }

    /// Waits until a log record arrives, or has arrived, that `wanted` accepts. Panics if there is none within `deadline`.
    pub async fn wait_for_log(&self, wanted: impl Fn(&LogRecord) -> bool, deadline: Duration) -> LogRecord {
        let mut logs = self.logs.clone();
        let arrived = logs.wait_for(|logs| logs.iter().any(&wanted));
        let arrived = tokio::time::timeout(deadline, arrived).await;
        let Ok(Ok(arrived)) = arrived else { panic!("no such log record within {deadline:?}: {:?}", self.logs()) };
        arrived.iter().find(|log| wanted(log)).cloned().expect("it was there")
    }

    /// Waits for the span of this name in a trace.
    pub async fn wait_for(&self, trace_id: &str, name: &str, deadline: Duration) -> Span {
        self.wait_for_span(|span| span.trace_id() == trace_id && span.name() == name, deadline).await
    }
}

async fn serve(store: Store, started: oneshot::Sender<String>, stopped: oneshot::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let server = Server::builder()
        .add_service(TraceServiceServer::new(store.clone()))
        .add_service(LogsServiceServer::new(store.clone()))
        .add_service(MetricsServiceServer::new(store));
    started.send(endpoint).expect("someone waits");
    tokio::select! {
        served = server.serve_with_incoming(TcpIncoming::from(listener)) => served.expect("the collector runs"),
        _ = stopped => {}
    }
}

#[derive(Clone)]
struct Store {
    spans: watch::Sender<Vec<Span>>,
    metrics: watch::Sender<Vec<Metric>>,
    logs: watch::Sender<Vec<LogRecord>>,
}

#[tonic::async_trait]
impl TraceService for Store {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let arrived = request.into_inner().resource_spans.into_iter().flat_map(|of_resource| {
            let resource = of_resource.resource.unwrap_or_default().attributes;
            let spans = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
            spans.map(move |data| Span { data, resource: resource.clone() })
        });
        self.spans.send_modify(|spans| spans.extend(arrived));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Store {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let arrived = request.into_inner().resource_metrics.into_iter().flat_map(|of_resource| {
            let resource = of_resource.resource.unwrap_or_default().attributes;
            let metrics = of_resource.scope_metrics.into_iter().flat_map(|of_scope| of_scope.metrics);
            metrics.map(move |data| Metric { data, resource: resource.clone() })
        });
        self.metrics.send_modify(|metrics| metrics.extend(arrived));
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Store {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let arrived = request.into_inner().resource_logs.into_iter().flat_map(|of_resource| {
            let resource = of_resource.resource.unwrap_or_default().attributes;
            let records = of_resource.scope_logs.into_iter().flat_map(|of_scope| of_scope.log_records);
            records.map(move |data| LogRecord { data, resource: resource.clone() })
        });
        self.logs.send_modify(|logs| logs.extend(arrived));
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

fn describe(span: &Span) -> String {
    format!("{} of {}", span.name(), span.trace_id())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text_of(attributes: &[KeyValue], name: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == name)?;
    Some(text(attribute.value.as_ref()?))
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        Some(Value::ArrayValue(array)) => array.values.iter().map(text).collect::<Vec<_>>().join(","),
        other => format!("{other:?}"),
    }
}
