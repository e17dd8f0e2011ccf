//! The span of a call to the server.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::Arc;

use nodeward_api::v1::{Node, WatchNodesRequest};
use nodeward_server::telemetry::{RpcTraceLayer, TelemetryOptions};
use tokio::sync::Notify;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::{Layer as _, Service as _, service_fn};

use crate::collector::Span;
use crate::fixture::{Answer, CORDON, DEADLINE, Fixture, GET, PARENT_ID, TRACE_ID, WATCH, trace_id, traced, with};

const KIND_SERVER: i32 = 2;

fn attributes(span: &Span, names: &[&str]) -> Vec<Option<String>> {
    names.iter().map(|name| span.attribute(name)).collect()
}

async fn arrives(fixture: &Fixture, trace_id: &str, name: &str) -> Span {
    fixture.collector.wait_for(trace_id, name, DEADLINE).await
}

#[tokio::test]
async fn a_change_is_traced_though_its_caller_does_not() {
    let mut fixture = Fixture::ok().await;
    fixture.cordon(traced(false)).await.unwrap();
    let span = arrives(&fixture, TRACE_ID, CORDON).await;
    assert_eq!(span.parent_id(), PARENT_ID);
}

#[tokio::test]
async fn a_change_without_a_traced_caller_begins_a_trace() {
    let mut fixture = Fixture::ok().await;
    let id = fixture.cordon_id().await;
    let span = arrives(&fixture, &id, CORDON).await;
    assert_eq!(span.parent_id(), "");
}

#[tokio::test]
async fn a_read_is_traced_only_if_its_caller_traces() {
    let mut fixture = Fixture::ok().await;
    let alone = trace_id(&fixture.get(MetadataMap::new()).await.unwrap());
    let not_sampled = fixture.get(traced(false)).await.unwrap();
    assert_eq!(trace_id(&not_sampled), TRACE_ID);
    fixture.get(traced(true)).await.unwrap();

    let span = arrives(&fixture, TRACE_ID, GET).await;
    assert_eq!(span.parent_id(), PARENT_ID);
    let spans = fixture.collector.spans();
    assert_eq!(spans.len(), 1, "what is exported is exported in order: {spans:?}, {alone}");
}

#[tokio::test]
async fn the_shares_of_changes_and_reads_can_be_configured() {
    let options = TelemetryOptions { mutation_sampling: 0.0, read_sampling: 1.0, ..Default::default() };
    let mut fixture = Fixture::start(options, || Box::pin(ready(Ok(Node::default())))).await;
    fixture.cordon(traced(true)).await.unwrap();
    let read = trace_id(&fixture.get(MetadataMap::new()).await.unwrap());
    arrives(&fixture, &read, GET).await;
    assert_eq!(fixture.collector.spans().len(), 1);
}

#[tokio::test]
async fn the_level_of_the_log_does_not_end_tracing() {
    for log_filter in ["warn", "off"] {
        let options = TelemetryOptions { log_filter: log_filter.to_owned(), ..Default::default() };
        let mut fixture = Fixture::start(options, || Box::pin(ready(Ok(Node::default())))).await;
        let id = fixture.cordon_id().await;
        arrives(&fixture, &id, CORDON).await;
    }
}

#[tokio::test]
async fn the_span_has_the_semantic_conventions_and_nothing_else() {
    let mut fixture = Fixture::ok().await;
    let id = fixture.cordon_id().await;
    let span = arrives(&fixture, &id, CORDON).await;
    assert_eq!(span.data.kind, KIND_SERVER);
    let names = ["rpc.system.name", "rpc.method", "rpc.response.status_code", "server.address", "server.port"];
    let expected = ["grpc", CORDON, "OK", "nodeward.test", "443"].map(|value| Some(value.to_owned()));
    assert_eq!(attributes(&span, &names), expected);
    assert_eq!(span.attribute("network.peer.address").as_deref(), Some("127.0.0.1"));
    let mut all: Vec<_> = span.data.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    all.sort_unstable();
    let mut known = [&names[..], &["network.peer.address", "network.peer.port"]].concat();
    known.sort_unstable();
    assert_eq!(all, known);
    assert_eq!(span.resource("service.name").as_deref(), Some("nodeward-server"));
    assert_eq!(span.resource("service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert!(span.resource("service.instance.id").is_some());
}

#[tokio::test]
async fn a_refused_call_says_why_but_is_no_error_of_the_server() {
    let details = ErrorDetails::with_error_info("NODE_NOT_FOUND", "nodeward.dev", []);
    let status = Status::with_error_details(Code::NotFound, "no node `a`", details);
    let mut fixture = Fixture::failing(status).await;
    let id = fixture.cordon_id().await;
    let span = arrives(&fixture, &id, CORDON).await;
    let names = ["rpc.response.status_code", "error.type", "nodeward.error.reason", "nodeward.outcome"];
    let expected = ["NOT_FOUND", "NOT_FOUND", "NODE_NOT_FOUND", "failed"].map(|value| Some(value.to_owned()));
    assert_eq!(attributes(&span, &names), expected);
    assert!(!span.is_error());
}

#[tokio::test]
async fn only_faults_of_the_server_are_errors() {
    let faults = [2, 4, 12, 13, 14, 15];
    for code in 1..=16 {
        let mut fixture = Fixture::failing(Status::new(Code::from(code), "")).await;
        let id = fixture.cordon_id().await;
        let span = arrives(&fixture, &id, CORDON).await;
        assert_eq!(span.is_error(), faults.contains(&code), "{:?}", Code::from(code));
    }
}

#[tokio::test]
async fn every_answer_names_its_trace() {
    let mut fixture = Fixture::failing(Status::aborted("")).await;
    let refused = fixture.cordon(traced(true)).await.unwrap_err();
    assert_eq!(trace_id(refused.metadata()), TRACE_ID);

    let mut fixture = Fixture::ok().await;
    let read = trace_id(&fixture.get(MetadataMap::new()).await.unwrap());
    let change = trace_id(&fixture.cordon(MetadataMap::new()).await.unwrap());
    assert_eq!((read.len(), change.len()), (32, 32));
    assert_ne!(read, change);

    let watch = fixture.client.watch_nodes(with(traced(true), WatchNodesRequest::default())).await.unwrap();
    assert_eq!(trace_id(watch.metadata()), TRACE_ID);
}

#[tokio::test]
async fn without_an_endpoint_traces_are_named_all_the_same() {
    let options = TelemetryOptions { otlp_endpoint: Some(String::new()), ..Default::default() };
    let mut fixture = Fixture::start(options, || Box::pin(ready(Ok(Node::default())))).await;
    assert_eq!(trace_id(&fixture.cordon(traced(false)).await.unwrap()), TRACE_ID);
    fixture.telemetry.shutdown(DEADLINE).await;
    assert!(fixture.collector.spans().is_empty());
}

#[tokio::test]
async fn no_header_becomes_part_of_a_trace() {
    let mut fixture = Fixture::failing(Status::internal("canary in the message")).await;
    let mut metadata = traced(true);
    for (name, value) in [("authorization", "Bearer canary"), ("x-canary", "canary"), ("baggage", "canary=canary")] {
        metadata.insert(name, value.parse().unwrap());
    }
    fixture.cordon(metadata).await.unwrap_err();
    let span = arrives(&fixture, TRACE_ID, CORDON).await;
    assert!(!format!("{span:?}").contains("canary"), "{span:?}");
}

#[tokio::test]
async fn what_is_logged_is_no_part_of_a_trace() {
    let answer = || -> Answer {
        tracing::error!(target: "nodeward_server", "canary");
        tracing::error_span!(target: "elsewhere", "canary").in_scope(|| {});
        Box::pin(ready(Ok(Node::default())))
    };
    let options = TelemetryOptions { log_filter: "off".to_owned(), ..Default::default() };
    let mut fixture = Fixture::start(options, answer).await;
    fixture.cordon(traced(true)).await.unwrap();
    let span = arrives(&fixture, TRACE_ID, CORDON).await;
    assert!(!span.is_error());
    let spans = fixture.collector.spans();
    assert!(!format!("{spans:?}").contains("canary"), "{spans:?}");
}

#[tokio::test]
async fn an_unknown_method_does_not_name_a_span() {
    let fixture = Fixture::ok().await;
    let mut client = Grpc::new(fixture.channel.clone());
    client.ready().await.unwrap();
    let codec = ProstCodec::<(), ()>::default();
    let path = http::uri::PathAndQuery::from_static("/nodeward.v1.NodeService/Nothing");
    let status = client.unary(with(traced(true), ()), path, codec).await.unwrap_err();
    assert_eq!(trace_id(status.metadata()), TRACE_ID);

    let span = arrives(&fixture, TRACE_ID, "grpc").await;
    let names = ["rpc.method", "rpc.method_original", "rpc.response.status_code"];
    let expected = ["_OTHER", "nodeward.v1.NodeService/Nothing", "UNIMPLEMENTED"].map(|value| Some(value.to_owned()));
    assert_eq!(attributes(&span, &names), expected);
}

#[tokio::test]
async fn the_span_of_a_stream_ends_when_it_is_open() {
    let mut fixture = Fixture::ok().await;
    let watch = fixture.client.watch_nodes(with(traced(true), WatchNodesRequest::default())).await.unwrap();
    let mut watch = watch.into_inner();
    assert!(watch.message().await.unwrap().is_some());
    let span = arrives(&fixture, TRACE_ID, WATCH).await;
    assert_eq!(span.attribute("rpc.response.status_code"), None, "it has none yet");
    drop(watch);
}

#[tokio::test]
async fn a_call_that_its_caller_leaves_is_cancelled() {
    let begun = Arc::new(Notify::new());
    let has_begun = Arc::clone(&begun);
    let answer = move || -> Answer {
        begun.notify_one();
        Box::pin(pending())
    };
    let mut fixture = Fixture::start(TelemetryOptions::default(), answer).await;
    fixture.cordon_until(has_begun.notified()).await;
    let span = arrives(&fixture, TRACE_ID, CORDON).await;
    let names = ["rpc.response.status_code", "error.type", "nodeward.outcome"];
    let expected = [Some("CANCELLED".to_owned()), Some("CANCELLED".to_owned()), None];
    assert_eq!(attributes(&span, &names), expected);
    assert!(!span.is_error());
}

#[tokio::test]
async fn a_call_that_outlasts_its_deadline_says_so() {
    let fixture = Fixture::ok().await;
    // Without a client, which would give up at the same time as the server: then it is a matter of luck who is first.
    let answer = |_: http::Request<()>| pending::<Result<http::Response<String>, Infallible>>();
    let mut server = RpcTraceLayer::new().layer(service_fn(answer));
    let request = http::Request::post(format!("/{CORDON}")).header("grpc-timeout", "1n");
    drop(server.call(request.body(()).unwrap()));
    let span = fixture.collector.wait_for_span(|span| span.name() == CORDON, DEADLINE).await;
    assert_eq!(span.attribute("rpc.response.status_code").as_deref(), Some("DEADLINE_EXCEEDED"));
    assert!(span.is_error());
}

#[tokio::test]
async fn a_handler_that_panics_is_an_error_of_the_server() {
    let mut fixture = Fixture::start(TelemetryOptions::default(), || panic!("on purpose")).await;
    fixture.cordon(traced(true)).await.unwrap_err();
    let span = arrives(&fixture, TRACE_ID, CORDON).await;
    assert_eq!(attributes(&span, &["error.type"]), [Some("panic".to_owned())]);
    assert!(span.is_error());
}
