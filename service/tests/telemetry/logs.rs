//! The log of a call.

use std::io;
use std::sync::{Arc, Mutex};

use nodeward_api::v1::{Node, WatchNodesRequest};
use nodeward_server::telemetry::{LogFormat, Telemetry, TelemetryOptions};
use tonic::Status;
use tonic::metadata::MetadataMap;
use tracing::{Instrument as _, Span};

use crate::fixture::{Answer, CORDON, DEADLINE, Fixture, TRACE_ID, trace_id, traced, with};
use crate::subscriber::with_default;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The one line with this text.
    fn line(&self, text: &str) -> String {
        let log = String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8");
        let lines: Vec<_> = log.lines().filter(|line| line.contains(text)).collect();
        assert_eq!(lines.len(), 1, "{log}");
        lines[0].to_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server that logs a line in the task of each call, as changes do.
async fn logging(options: TelemetryOptions) -> (Fixture, Log) {
    let log = Log::default();
    let writer = log.clone();
    let answer = || -> Answer {
        let task = async { tracing::warn!(target: "nodeward::test", node = "worker-1", "at work") };
        let task = tokio::spawn(task.instrument(Span::current()));
        Box::pin(async { task.await.map(|()| Node::default()).map_err(|error| Status::internal(error.to_string())) })
    };
    (Fixture::logging_to(options, move || writer.clone(), answer).await, log)
}

fn options(log_format: LogFormat, log_filter: &str) -> TelemetryOptions {
    TelemetryOptions { log_format, log_filter: log_filter.to_owned(), ..Default::default() }
}

fn parsed(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[tokio::test]
async fn a_line_of_a_change_names_the_trace_that_its_answer_names() {
    let (mut fixture, log) = logging(options(LogFormat::Text, "info")).await;
    let id = fixture.cordon_id().await;
    let span = fixture.collector.wait_for(&id, CORDON, DEADLINE).await;
    let line = log.line("at work");
    assert!(line.ends_with(&format!(r#"at work node="worker-1" trace_id={id} span_id={}"#, span.span_id())), "{line}");
}

#[tokio::test]
async fn a_line_in_json_has_the_ids_of_trace_and_span_as_fields() {
    let (mut fixture, log) = logging(options(LogFormat::Json, "info")).await;
    let id = fixture.cordon_id().await;
    let span = fixture.collector.wait_for(&id, CORDON, DEADLINE).await;
    let line = parsed(&log.line("at work"));
    for (name, value) in
        [("trace_id", id.as_str()), ("span_id", &span.span_id()), ("message", "at work"), ("node", "worker-1")]
    {
        assert_eq!(line[name], value, "{name} in {line}");
    }
}

#[tokio::test]
async fn a_log_of_warnings_names_traces_too() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let (mut fixture, log) = logging(options(format, "warn")).await;
        let id = fixture.cordon_id().await;
        assert!(log.line("at work").contains(&id));
    }
}

#[tokio::test]
async fn a_line_of_a_read_that_is_not_traced_names_the_trace_all_the_same() {
    let (mut fixture, log) = logging(options(LogFormat::Json, "info")).await;
    let id = trace_id(&fixture.get(MetadataMap::new()).await.unwrap());
    assert_eq!(parsed(&log.line("at work"))["trace_id"], id);
}

#[tokio::test]
async fn a_line_of_a_stream_names_the_trace_that_its_opening_named() {
    let (mut fixture, log) = logging(options(LogFormat::Json, "debug")).await;
    let watch = fixture.client.watch_nodes(with(traced(true), WatchNodesRequest::default())).await.unwrap();
    assert!(watch.into_inner().message().await.unwrap().is_some());
    assert_eq!(parsed(&log.line("a change is sent"))["trace_id"], TRACE_ID);
}

#[test]
fn a_line_outside_of_calls_names_no_trace() {
    for (format, end) in [(LogFormat::Text, "by itself\n"), (LogFormat::Json, "}\n")] {
        let log = Log::default();
        let writer = log.clone();
        let options = options(format, "info");
        let (_telemetry, subscriber) = Telemetry::logging_to(&options, move || writer.clone(), false).unwrap();
        with_default(subscriber, || tracing::info!(target: "nodeward::test", "by itself"));
        let line = log.line("by itself");
        assert!(!line.contains("trace_id") && format!("{line}\n").ends_with(end), "{line}");
    }
}
