//! Copies of records at a collector.

use std::time::{Duration, SystemTime};

use nodeward_server::telemetry::{LogCopy, Telemetry, TelemetryOptions};
use tokio::net::TcpListener;

use crate::collector::Collector;
use crate::fixture::DEADLINE;
use crate::nobody::Nobody;
use crate::series::Scrape;
use crate::watchdog::watch;

fn telemetry(endpoint: &str) -> Telemetry {
    watch();
    let options = TelemetryOptions {
        otlp_endpoint: Some(endpoint.to_owned()),
        trace_export_delay_ms: 10,
        log_filter: "off".to_owned(),
        ..Default::default()
    };
    Telemetry::build(&options).expect("telemetry").0
}

fn copy(body: String) -> LogCopy {
    let attributes = vec![("nodeward.audit.id", "7".to_owned()), ("user.id", String::new())];
    LogCopy { event: "nodeward.audit.record", time: SystemTime::UNIX_EPOCH, body, trace: None, attributes }
}

fn lost(telemetry: &Telemetry, why: &str) -> f64 {
    let scrape = Scrape::of(telemetry.metrics().to_prometheus().expect("metrics"));
    scrape.value("nodeward_audit_copies_lost_total", &[("nodeward_audit_loss", why)]).unwrap_or_default()
}

#[tokio::test]
async fn a_copy_arrives_as_a_log_record_with_what_it_is_found_by() {
    let collector = Collector::start().await;
    let telemetry = telemetry(collector.endpoint());
    telemetry.copies().unwrap().send(copy(r#"{"a": 1}"#.to_owned()));
    let record = collector.wait_for_log(|_| true, DEADLINE).await;
    assert_eq!(record.body(), r#"{"a": 1}"#);
    assert_eq!(record.data.event_name, "nodeward.audit.record");
    assert_eq!(record.attribute("nodeward.audit.id").as_deref(), Some("7"));
    assert_eq!(record.attribute("user.id"), None, "it has no value");
    assert_eq!(record.resource("service.name").as_deref(), Some("nodeward-server"));
    telemetry.shutdown(DEADLINE).await;
}

#[tokio::test]
async fn the_last_copies_are_sent_at_shutdown() {
    let collector = Collector::start().await;
    let telemetry = telemetry(collector.endpoint());
    let copies = telemetry.copies().unwrap();
    (0..100).for_each(|number| copies.send(copy(number.to_string())));
    telemetry.shutdown(DEADLINE).await;
    assert_eq!(collector.logs().len(), 100);
}

#[tokio::test]
async fn a_collector_that_is_not_there_loses_copies_and_they_are_counted() {
    let nobody = Nobody::listens();
    let telemetry = telemetry(&nobody.url());
    telemetry.copies().unwrap().send(copy(String::new()));
    let counted = async {
        while lost(&telemetry, "export") != 1.0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, counted).await.expect("the loss is counted");
    telemetry.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn copies_that_a_silent_collector_does_not_take_are_dropped_before_they_fill_the_memory() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let telemetry = telemetry(&format!("http://{}", silent.local_addr().unwrap()));
    let copies = telemetry.copies().unwrap();
    for _ in 0..20 {
        copies.send(copy("x".repeat(1 << 20)));
    }
    // Eight are what may wait, with what is around them.
    assert_eq!(lost(&telemetry, "full"), 13.0);
    telemetry.shutdown(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn without_an_endpoint_there_are_no_copies() {
    let options = TelemetryOptions { log_filter: "off".to_owned(), ..Default::default() };
    assert!(Telemetry::build(&options).unwrap().0.copies().is_none());
}
