//! What is measured of calls: in the text that Prometheus reads, and at a collector.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::Arc;

use http::uri::PathAndQuery;
use k8s_openapi::api::core::v1::Node as KubeNode;
use kube::api::{Api, ListParams, WatchParams};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use nodeward_api::v1::{CordonNodeRequest, Node, WatchNodesRequest};
use nodeward_server::telemetry::{KubeTraceLayer, MetricsExporter, RpcTraceLayer, Telemetry, TelemetryOptions};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use tokio::sync::Notify;
use tonic::Status;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;
use tower::{BoxError, Layer as _, ServiceExt as _, service_fn};

use crate::fixture::{Answer, CORDON, DEADLINE, Fixture, GET, WATCH, traced, with};
use crate::nobody::Nobody;
use crate::series::Scrape;
use crate::watchdog::watch;

const DURATION: &str = "rpc_server_call_duration_seconds_count";
const STREAMS: &str = "nodeward_streams_duration_seconds_count";
const OPEN: &str = "nodeward_streams_open";
const KUBERNETES: &str = "http_client_request_duration_seconds_count";

fn scrape(telemetry: &Telemetry) -> Scrape {
    Scrape::of(telemetry.metrics().to_prometheus().expect("metrics"))
}

/// Waits until a series has this value.
async fn reaches(telemetry: &Telemetry, name: &str, labels: &[(&str, &str)], value: f64) {
    let reached = async {
        while scrape(telemetry).value(name, labels) != Some(value) {
            tokio::task::yield_now().await;
        }
    };
    let reached = tokio::time::timeout(DEADLINE, reached).await;
    assert!(reached.is_ok(), "{name} with {labels:?} is not {value}: {}", scrape(telemetry).text);
}

fn quiet() -> TelemetryOptions {
    TelemetryOptions { log_filter: "off".to_owned(), ..Default::default() }
}

fn telemetry() -> Telemetry {
    watch();
    Telemetry::build(&quiet()).expect("telemetry").0
}

#[tokio::test]
async fn a_call_is_measured_by_its_method_and_status() {
    let mut fixture = Fixture::ok().await;
    for _ in 0..2 {
        fixture.cordon(traced(true)).await.unwrap();
    }
    fixture.get(traced(false)).await.unwrap();
    let scrape = scrape(&fixture.telemetry);
    for (method, count) in [(CORDON, 2.0), (GET, 1.0)] {
        let labels = [("rpc_method", method), ("rpc_response_status_code", "OK"), ("rpc_system_name", "grpc")];
        assert_eq!(scrape.value(DURATION, &labels), Some(count), "{}", scrape.text);
    }
    let labels = scrape.labels(DURATION);
    assert!(labels.iter().eq(&["rpc_method", "rpc_response_status_code", "rpc_system_name"]), "{labels:?}");
    let fast = [("rpc_method", GET), ("le", "10")];
    assert_eq!(scrape.value("rpc_server_call_duration_seconds_bucket", &fast), Some(1.0));
}

#[tokio::test]
async fn a_refused_call_is_measured_by_what_kind_of_failure_it_is() {
    let mut fixture = Fixture::failing(Status::not_found("no node `canary`")).await;
    fixture.cordon(traced(true)).await.unwrap_err();
    let labels = [("rpc_method", CORDON), ("rpc_response_status_code", "NOT_FOUND"), ("error_type", "NOT_FOUND")];
    assert_eq!(scrape(&fixture.telemetry).value(DURATION, &labels), Some(1.0));
}

#[tokio::test]
async fn methods_that_do_not_exist_are_one() {
    let fixture = Fixture::ok().await;
    for path in ["/nodeward.v1.NodeService/Canary1", "/canary.Service/Canary2"] {
        let mut client = Grpc::new(fixture.channel.clone());
        client.ready().await.unwrap();
        let path = PathAndQuery::from_static(path);
        client.unary(with(traced(true), ()), path, ProstCodec::<(), ()>::default()).await.unwrap_err();
    }
    let scrape = scrape(&fixture.telemetry);
    assert_eq!(scrape.value(DURATION, &[("rpc_method", "_OTHER")]), Some(2.0));
    assert!(!scrape.text.contains("anary"), "{}", scrape.text);
}

#[tokio::test]
async fn nothing_that_callers_choose_becomes_a_label() {
    let mut fixture = Fixture::failing(Status::internal("canary")).await;
    let mut metadata = traced(true);
    for name in ["authorization", "user-agent", "x-canary"] {
        metadata.insert(name, "canary".parse().unwrap());
    }
    let request =
        CordonNodeRequest { name: "nodes/canary".to_owned(), reason: "canary".to_owned(), ..Default::default() };
    fixture.client.cordon_node(with(metadata, request)).await.unwrap_err();
    let scrape = scrape(&fixture.telemetry);
    assert!(scrape.value(DURATION, &[]).is_some());
    assert!(!scrape.text.contains("canary"), "{}", scrape.text);
}

#[tokio::test]
async fn a_call_that_its_caller_leaves_is_measured_once() {
    let begun = Arc::new(Notify::new());
    let has_begun = Arc::clone(&begun);
    let answer = move || -> Answer {
        begun.notify_one();
        Box::pin(pending())
    };
    let mut fixture = Fixture::start(quiet(), answer).await;
    fixture.cordon_until(has_begun.notified()).await;
    let labels = [("rpc_response_status_code", "CANCELLED"), ("error_type", "CANCELLED")];
    reaches(&fixture.telemetry, DURATION, &labels, 1.0).await;
    assert_eq!(scrape(&fixture.telemetry).value(DURATION, &[("rpc_method", CORDON)]), Some(1.0));
}

#[tokio::test]
async fn a_stream_is_counted_while_it_is_open_and_measured_at_its_end() {
    let mut fixture = Fixture::ok().await;
    let watch = fixture.client.watch_nodes(with(traced(true), WatchNodesRequest::default())).await.unwrap();
    let mut watch = watch.into_inner();
    assert!(watch.message().await.unwrap().is_some());
    let method = ("rpc_method", WATCH);
    let while_open = scrape(&fixture.telemetry);
    assert_eq!(while_open.value(OPEN, &[method]), Some(1.0), "{}", while_open.text);
    assert_eq!(while_open.value(STREAMS, &[method]), None);

    drop(watch);
    reaches(&fixture.telemetry, OPEN, &[method], 0.0).await;
    let labels = [method, ("rpc_response_status_code", "CANCELLED"), ("error_type", "CANCELLED")];
    reaches(&fixture.telemetry, STREAMS, &labels, 1.0).await;
    assert_eq!(scrape(&fixture.telemetry).value(DURATION, &[method]), None, "a stream is no short call");
}

#[tokio::test]
async fn a_stream_that_does_not_open_is_measured_and_was_never_open() {
    let telemetry = telemetry();
    let refuse = |_: http::Request<()>| ready(Ok::<_, Infallible>(Status::out_of_range("").into_http::<String>()));
    let server = RpcTraceLayer::new().measured_by(&telemetry.meter()).layer(service_fn(refuse));
    server.oneshot(http::Request::post(format!("/{WATCH}")).body(()).unwrap()).await.unwrap();
    let scrape = scrape(&telemetry);
    let labels = [("rpc_method", WATCH), ("rpc_response_status_code", "OUT_OF_RANGE")];
    assert_eq!(scrape.value(STREAMS, &labels), Some(1.0), "{}", scrape.text);
    assert_eq!(scrape.value(OPEN, &[]), None);
}

/// A client of a Kubernetes that answers all with `status`, outside of any trace.
fn kubernetes(telemetry: &Telemetry, status: u16) -> Client {
    let transport = service_fn(move |_: http::Request<Body>| {
        let body = format!(r#"{{"apiVersion":"v1","kind":"Status","metadata":{{}},"items":[],"code":{status}}}"#);
        ready(http::Response::builder().status(status).body(Body::from(body.into_bytes())).map_err(BoxError::from))
    });
    let layer = KubeTraceLayer::new(&http::Uri::from_static("https://kubernetes.test:6443"));
    ClientBuilder::new(transport, "default").with_layer(&layer.measured_by(&telemetry.meter())).build()
}

#[tokio::test]
async fn a_call_to_kubernetes_is_measured_by_verb_resource_and_status() {
    let telemetry = telemetry();
    let (fine, failing) = (kubernetes(&telemetry, 200), kubernetes(&telemetry, 503));
    Api::<KubeNode>::all(fine.clone()).list(&ListParams::default()).await.unwrap();
    let _ = Api::<KubeNode>::all(fine).watch(&WatchParams::default(), "0").await.unwrap();
    Api::<KubeNode>::all(failing).get_status("canary").await.unwrap_err();
    let scrape = scrape(&telemetry);
    for (verb, resource, status) in
        [("list", "nodes", "200"), ("watch", "nodes", "200"), ("get", "nodes/status", "503")]
    {
        let labels = [
            ("nodeward_kubernetes_verb", verb),
            ("nodeward_kubernetes_resource", resource),
            ("http_response_status_code", status),
            ("http_request_method", "GET"),
            ("server_address", "kubernetes.test"),
            ("server_port", "6443"),
        ];
        assert_eq!(scrape.value(KUBERNETES, &labels), Some(1.0), "{verb}: {}", scrape.text);
    }
    assert_eq!(scrape.value(KUBERNETES, &[("error_type", "503")]), Some(1.0));
    assert!(!scrape.text.contains("canary"), "{}", scrape.text);
}

#[tokio::test]
async fn a_call_that_does_not_reach_kubernetes_is_measured_by_why() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let telemetry = telemetry();
    let nobody = Nobody::listens();
    let mut config = Config::new(nobody.url().parse().unwrap());
    config.default_retry = false;
    let layer = KubeTraceLayer::new(&config.cluster_url).measured_by(&telemetry.meter());
    let client = ClientBuilder::try_from(config).unwrap().with_layer(&layer).build();
    Api::<KubeNode>::all(client).list(&ListParams::default()).await.unwrap_err();
    let scrape = scrape(&telemetry);
    let labels = [("nodeward_kubernetes_verb", "list"), ("error_type", "connection_refused")];
    assert_eq!(scrape.value(KUBERNETES, &labels), Some(1.0), "{}", scrape.text);
    assert!(!scrape.labels(KUBERNETES).contains("http_response_status_code"));
}

#[test]
fn the_build_is_told() {
    let scrape = scrape(&telemetry());
    let version = [("service_version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(scrape.value("nodeward_build_info", &version), Some(1.0));
    assert_eq!(scrape.value("target_info", &[("service_name", "nodeward-server")]), Some(1.0));
}

#[tokio::test]
async fn metrics_arrive_at_the_collector_with_unit_and_buckets() {
    let mut fixture = Fixture::ok().await;
    fixture.cordon(traced(true)).await.unwrap();
    let metric = fixture.collector.wait_for_metric("rpc.server.call.duration", DEADLINE).await;
    assert_eq!(metric.data.unit, "s");
    assert_eq!(metric.resource("service.name").as_deref(), Some("nodeward-server"));
    let Some(Data::Histogram(histogram)) = metric.data.data else { panic!("{:?}", metric.data) };
    let bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    assert_eq!(histogram.data_points[0].explicit_bounds, bounds);
}

#[tokio::test]
async fn the_last_metrics_are_exported_at_shutdown() {
    let collector = crate::collector::Collector::start().await;
    let options = TelemetryOptions {
        otlp_endpoint: Some(collector.endpoint().to_owned()),
        metric_export_interval_ms: 3_600_000,
        ..quiet()
    };
    let (telemetry, _) = Telemetry::build(&options).unwrap();
    telemetry.shutdown(DEADLINE).await;
    let names: Vec<_> = collector.metrics().into_iter().map(|metric| metric.data.name).collect();
    assert!(names.contains(&"nodeward.build.info".to_owned()), "{names:?}");
}

#[tokio::test]
async fn metrics_stay_away_from_a_collector_that_takes_only_traces() {
    let options = TelemetryOptions { metrics_exporter: MetricsExporter::None, ..quiet() };
    let mut fixture = Fixture::start(options, || Box::pin(ready(Ok(Node::default())))).await;
    let id = fixture.cordon_id().await;
    fixture.collector.wait_for(&id, CORDON, DEADLINE).await;
    assert!(scrape(&fixture.telemetry).value(DURATION, &[]).is_some());
    fixture.telemetry.shutdown(DEADLINE).await;
    assert!(fixture.collector.metrics().is_empty());
}
