//! Start and end of telemetry.

use std::time::{Duration, Instant};

use nodeward_server::telemetry::{self, Telemetry, TelemetryOptions};
use tokio::net::TcpListener;
use tracing::info_span;

use crate::collector::Collector;
use crate::nobody::Nobody;
use crate::subscriber::with_default;

fn options(endpoint: &str) -> TelemetryOptions {
    TelemetryOptions {
        otlp_endpoint: Some(endpoint.to_owned()),
        read_sampling: 1.0,
        // Only the shutdown exports.
        trace_export_delay_ms: 3_600_000,
        ..Default::default()
    }
}

/// Shuts down after a span, and tells how long it took.
async fn shutdown(endpoint: &str, grace: Duration) -> Duration {
    let (telemetry, subscriber) = Telemetry::build(&options(endpoint)).expect("telemetry");
    with_default(subscriber, || info_span!(target: "nodeward::test", "the last").in_scope(|| {}));
    let begin = Instant::now();
    telemetry.shutdown(grace).await;
    begin.elapsed()
}

#[tokio::test]
async fn the_last_spans_are_exported_at_shutdown() {
    let collector = Collector::start().await;
    let grace = Duration::from_secs(10);
    assert!(shutdown(collector.endpoint(), grace).await < grace);
    assert_eq!(collector.spans().iter().map(|span| span.name()).collect::<Vec<_>>(), ["the last"]);
}

#[tokio::test]
async fn shutdown_ends_within_its_grace_without_a_collector() {
    let nobody = Nobody::listens();
    let grace = Duration::from_millis(300);
    assert!(shutdown(&nobody.url(), grace).await < Duration::from_secs(2));
}

#[tokio::test]
async fn shutdown_ends_within_its_grace_if_the_collector_is_silent() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let grace = Duration::from_millis(300);
    let took = shutdown(&format!("http://{}", silent.local_addr().unwrap()), grace).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn telemetry_is_started_once() {
    let options = TelemetryOptions { log_filter: "off".to_owned(), ..Default::default() };
    let telemetry = telemetry::init(&options).unwrap();
    let error = telemetry::init(&options).unwrap_err();
    assert!(error.to_string().contains("started before"), "{error}");
    telemetry.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn what_is_wrong_with_an_option_is_said() {
    let cases = [
        (TelemetryOptions { log_filter: "nodeward=loud".to_owned(), ..Default::default() }, "RUST_LOG"),
        (options("not a URL"), "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ];
    for (options, named) in cases {
        let error = Telemetry::build(&options).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn traces_are_exported_without_a_runtime_and_after_one() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let collector = runtime().block_on(Collector::start());
    let (telemetry, subscriber) = Telemetry::build(&options(collector.endpoint())).unwrap();
    let span = || info_span!(target: "nodeward::test", "any").in_scope(|| {});
    with_default(subscriber, || {
        span();
        runtime().block_on(async { span() });
    });
    runtime().block_on(telemetry.shutdown(Duration::from_secs(10)));
    assert_eq!(collector.spans().len(), 2);
}

#[tokio::test]
async fn an_exporter_over_tls_can_be_started() {
    let nobody = Nobody::listens();
    let grace = Duration::from_millis(300);
    assert!(shutdown(&format!("https://{}", nobody.address()), grace).await < Duration::from_secs(2));
}
