//! The spans of calls to Kubernetes, and what Kubernetes is told.

use std::future::ready;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams, WatchParams};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use nodeward_api::v1;
use nodeward_server::telemetry::{KubeTraceLayer, TelemetryOptions, with_audit_id};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::Status;
use tower::{BoxError, service_fn};
use tracing::{Instrument as _, debug_span};
use uuid::Uuid;

use crate::collector::Span;
use crate::fixture::{Answer, CORDON, DEADLINE, Fixture, TRACE_ID, traced};
use crate::nobody::Nobody;

const KIND_CLIENT: i32 = 3;

fn uri() -> http::Uri {
    http::Uri::from_static("https://kubernetes.test:6443")
}

/// A client of a Kubernetes that answers all with `status` and hands over the headers that it is sent.
fn kubernetes(status: u16) -> (Client, UnboundedReceiver<HeaderMap>) {
    let (sender, receiver) = unbounded_channel();
    let transport = service_fn(move |request| answer(request, status, sender.clone()));
    (ClientBuilder::new(transport, "default").with_layer(&KubeTraceLayer::new(&uri())).build(), receiver)
}

async fn answer(
    request: Request<Body>,
    status: u16,
    headers: UnboundedSender<HeaderMap>,
) -> Result<Response<Body>, BoxError> {
    headers.send(request.headers().clone())?;
    let kind = if status < 400 { "Node" } else { "Status" };
    let body = format!(r#"{{"apiVersion":"v1","kind":"{kind}","metadata":{{}},"code":{status}}}"#);
    Ok(Response::builder().status(status).body(Body::from(body.into_bytes()))?)
}

async fn patch(client: Client) -> Result<v1::Node, Status> {
    let body = serde_json::json!({ "spec": { "unschedulable": true } });
    let patched = Api::<Node>::all(client).patch("worker-1", &PatchParams::default(), &Patch::Merge(body)).await;
    patched.map(|_| v1::Node::default()).map_err(|error| Status::unavailable(error.to_string()))
}

/// A server whose calls patch a node, in a task as changes do.
async fn patching(client: Client) -> Fixture {
    let answer = move || -> Answer {
        let task = patch(client.clone()).instrument(tracing::Span::current());
        Box::pin(async { tokio::spawn(task).await.expect("no panic") })
    };
    Fixture::start(TelemetryOptions::default(), answer).await
}

async fn arrive(fixture: &Fixture, trace_id: &str) -> (Span, Span) {
    let call = fixture.collector.wait_for(trace_id, CORDON, DEADLINE).await;
    (call, fixture.collector.wait_for(trace_id, "PATCH nodes", DEADLINE).await)
}

#[tokio::test]
async fn kubernetes_is_told_the_trace_of_the_call() {
    let (client, mut requests) = kubernetes(200);
    let mut fixture = patching(client).await;
    let id = fixture.cordon_id().await;
    let (rpc, kube) = arrive(&fixture, &id).await;
    assert_eq!(kube.parent_id(), rpc.span_id());
    let headers = requests.recv().await.unwrap();
    assert_eq!(headers["traceparent"], format!("00-{id}-{}-01", kube.span_id()));
    assert!(!headers.contains_key("baggage"));
}

#[tokio::test]
async fn the_span_tells_what_was_called() {
    let (client, _requests) = kubernetes(200);
    let mut fixture = patching(client).await;
    let id = fixture.cordon_id().await;
    let (_, span) = arrive(&fixture, &id).await;
    assert_eq!(span.data.kind, KIND_CLIENT);
    let expected = [
        ("http.request.method", "PATCH"),
        ("http.response.status_code", "200"),
        ("k8s.node.name", "worker-1"),
        ("nodeward.kubernetes.resource", "nodes"),
        ("nodeward.kubernetes.verb", "patch"),
        ("server.address", "kubernetes.test"),
        ("server.port", "6443"),
        ("url.template", "/api/v1/nodes/{name}"),
    ];
    for (name, value) in expected {
        assert_eq!(span.attribute(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(span.data.attributes.len(), expected.len());
    assert!(!span.is_error());
}

#[tokio::test]
async fn a_refusal_of_kubernetes_is_an_error_of_the_call_to_it() {
    let (client, _requests) = kubernetes(409);
    let mut fixture = patching(client).await;
    let id = fixture.cordon_id().await;
    let (_, span) = arrive(&fixture, &id).await;
    assert_eq!(span.attribute("http.response.status_code").as_deref(), Some("409"));
    assert_eq!(span.attribute("error.type").as_deref(), Some("409"));
    assert!(span.is_error());
}

#[tokio::test]
async fn an_unreachable_kubernetes_is_told_by_its_kind() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let nobody = Nobody::listens();
    let mut config = Config::new(nobody.url().parse().unwrap());
    config.default_retry = false;
    let layer = KubeTraceLayer::new(&config.cluster_url);
    let mut fixture = patching(ClientBuilder::try_from(config).unwrap().with_layer(&layer).build()).await;
    let id = fixture.cordon_id().await;
    let (_, span) = arrive(&fixture, &id).await;
    assert_eq!(span.attribute("error.type").as_deref(), Some("connection_refused"));
    assert_eq!(span.attribute("server.port"), Some(nobody.address().port().to_string()));
}

#[tokio::test]
async fn a_call_that_is_given_up_is_cancelled() {
    let transport = service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, BoxError>>());
    let client = ClientBuilder::new(transport, "default").with_layer(&KubeTraceLayer::new(&uri())).build();
    let answer = move || -> Answer {
        let patch = tokio::time::timeout(Duration::from_millis(10), patch(client.clone()));
        Box::pin(async { patch.await.unwrap_or_else(|_| Err(Status::deadline_exceeded(""))) })
    };
    let mut fixture = Fixture::start(TelemetryOptions::default(), answer).await;
    let id = fixture.cordon_id().await;
    let (_, span) = arrive(&fixture, &id).await;
    assert_eq!(span.attribute("error.type").as_deref(), Some("cancelled"));
}

#[tokio::test]
async fn the_span_of_a_watch_ends_when_it_is_open() {
    let body = || StreamBody::new(stream::pending::<Result<Frame<Bytes>, BoxError>>());
    let transport = service_fn(move |_: Request<Body>| ready(Ok::<_, BoxError>(Response::new(body()))));
    let client = ClientBuilder::new(transport, "default").with_layer(&KubeTraceLayer::new(&uri())).build();
    let answer = move || -> Answer {
        let nodes = Api::<Node>::all(client.clone());
        Box::pin(async move {
            let watch = nodes.watch(&WatchParams::default(), "0").await.expect("a watch");
            tokio::spawn(async move { pin!(watch).next().await });
            Ok(v1::Node::default())
        })
    };
    let mut fixture = Fixture::start(TelemetryOptions::default(), answer).await;
    let id = fixture.cordon_id().await;
    let span = fixture.collector.wait_for(&id, "GET nodes", DEADLINE).await;
    assert_eq!(span.attribute("nodeward.kubernetes.verb").as_deref(), Some("watch"));
}

#[tokio::test]
async fn an_unsampled_trace_is_passed_on_without_spans() {
    let (client, mut requests) = kubernetes(200);
    let mut fixture = patching(client).await;
    fixture.get(traced(false)).await.unwrap();
    let headers = requests.recv().await.unwrap();
    let parent = headers["traceparent"].to_str().unwrap();
    assert!(parent.starts_with(&format!("00-{TRACE_ID}-")) && parent.ends_with("-00"), "{parent}");
    let id = fixture.cordon_id().await;
    arrive(&fixture, &id).await;
    assert!(fixture.collector.spans().iter().all(|span| span.trace_id() == id));
}

#[tokio::test]
async fn calls_outside_a_trace_stay_so() {
    let (client, mut requests) = kubernetes(200);
    let fixture = Fixture::ok().await;
    patch(client).await.unwrap();
    assert!(!requests.recv().await.unwrap().contains_key("traceparent"));
    fixture.telemetry.shutdown(DEADLINE).await;
    assert!(fixture.collector.spans().is_empty());
}

#[tokio::test]
async fn a_span_that_is_only_logged_does_not_hide_the_trace() {
    let (client, mut requests) = kubernetes(200);
    let options = TelemetryOptions { log_filter: "debug".to_owned(), ..Default::default() };
    let answer = move || -> Answer { Box::pin(patch(client.clone()).instrument(debug_span!("for debugging"))) };
    let mut fixture = Fixture::start(options, answer).await;
    let id = fixture.cordon_id().await;
    let (rpc, kube) = arrive(&fixture, &id).await;
    assert_eq!(kube.parent_id(), rpc.span_id());
    assert!(requests.recv().await.unwrap().contains_key("traceparent"));
}

#[tokio::test]
async fn kubernetes_is_told_the_audit_id_of_the_task() {
    let (client, mut requests) = kubernetes(200);
    let ids = [Uuid::new_v4(), Uuid::new_v4()];
    let [first, second] = ids.map(|id| with_audit_id(id, patch(client.clone())));
    let (first, second) = tokio::join!(first, second);
    first.and(second).unwrap();
    patch(client).await.unwrap();
    for id in ids {
        assert_eq!(requests.recv().await.unwrap()["audit-id"], id.to_string());
    }
    assert!(!requests.recv().await.unwrap().contains_key("audit-id"));
}
