//! One trace for every change, from its caller through the server into Kubernetes, as a collector receives it.

use std::time::Duration;

use nodeward_api::v1::patch_node_request::PatchType;
use nodeward_api::v1::{
    CordonNodeRequest, CreateNodeRequest, DeleteNodeRequest, DeleteNodesRequest, GetNodeRequest, Node, NodeCondition,
    NodeStatus, ObjectMeta, PatchNodeRequest, UncordonNodeRequest, UpdateNodeRequest, UpdateNodeStatusRequest,
};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tonic::{Code, IntoRequest, Request, Response, Status};
use uuid::Uuid;

use crate::support::watcher::mask;
use crate::support::{Span, assert_error, eventually, unique, world};

const DEADLINE: Duration = Duration::from_secs(20);

const REASON: &str = "maintenance of rack 7";

/// What a change says of itself.
struct Story {
    method: &'static str,
    node: String,
    request_id: String,
    trace_id: String,
}

impl Story {
    fn of(method: &'static str, node: &str) -> Self {
        Self {
            method,
            node: node.to_owned(),
            request_id: Uuid::new_v4().to_string(),
            trace_id: Uuid::new_v4().simple().to_string(),
        }
    }

    /// The request in the caller's trace.
    fn traced<T>(&self, message: T) -> Request<T> {
        let mut request = message.into_request();
        let parent = format!("00-{}-00f067aa0ba902b7-01", self.trace_id);
        request.metadata_mut().insert("traceparent", parent.parse().unwrap());
        request
    }

    /// The change has succeeded, and its spans have arrived.
    async fn told<T>(&self, response: Result<Response<T>, Status>) -> Span {
        let response = response.unwrap_or_else(|status| panic!("{}: {status:?}", self.method));
        assert_eq!(response.metadata().get("x-trace-id").unwrap(), self.trace_id.as_str());
        let collector = &world().await.collector;
        let name = format!("nodeward.v1.NodeService/{}", self.method);
        let span = collector.wait_for(&self.trace_id, &name, DEADLINE).await;

        assert_eq!(span.data.kind(), SpanKind::Server);
        assert_eq!(span.parent_id(), "00f067aa0ba902b7", "it is a child of the caller's span");
        for (attribute, value) in [
            ("rpc.system.name", "grpc"),
            ("rpc.method", name.as_str()),
            ("rpc.response.status_code", "OK"),
            ("nodeward.request_id", &self.request_id),
            ("nodeward.reason", REASON),
            ("nodeward.validate_only", "false"),
            ("nodeward.outcome", "changed"),
        ] {
            assert_eq!(span.attribute(attribute).as_deref(), Some(value), "{} {attribute}", self.method);
        }
        assert!(!span.is_error());
        span
    }

    /// The spans of the calls to Kubernetes that were made for the change.
    async fn calls(&self, span: &Span) -> Vec<Span> {
        let of_trace = world().await.collector.spans().into_iter().filter(|other| other.trace_id() == self.trace_id);
        let calls: Vec<Span> = of_trace.filter(|other| other.data.kind() == SpanKind::Client).collect();
        for call in &calls {
            assert_eq!(call.parent_id(), span.span_id(), "{} is a child of the change", call.name());
        }
        calls
    }

    /// As `told`, of a change of one node: it names the node and what changed, and calls Kubernetes with this verb.
    async fn told_of_node<T>(&self, response: Result<Response<T>, Status>, verb: &str) -> Span {
        let span = self.told(response).await;
        assert_eq!(span.attribute("k8s.node.name"), Some(self.node.clone()), "{}", self.method);
        assert_eq!(span.attribute("k8s.node.uid").map(|uid| uid.len()), Some(36), "{}", self.method);
        self.assert_calls(&span, verb).await;
        span
    }

    async fn assert_calls(&self, span: &Span, verb: &str) {
        let calls = self.calls(span).await;
        let verbs: Vec<String> = calls.iter().filter_map(|call| call.attribute("nodeward.kubernetes.verb")).collect();
        assert!(verbs.iter().any(|found| found == verb), "{}: no {verb} in {verbs:?}", self.method);
    }
}

fn changed(span: &Span) -> String {
    span.attribute("nodeward.changed_fields").unwrap_or_default()
}

#[tokio::test]
async fn cordon_and_uncordon() {
    let node = world().await.node("traces").await;
    let name = format!("nodes/{node}");
    let mut client = world().await.client().await;

    let story = Story::of("CordonNode", &node);
    let (request_id, reason) = (story.request_id.clone(), REASON.to_owned());
    let request = CordonNodeRequest { name: name.clone(), request_id, reason, ..Default::default() };
    let span = story.told_of_node(client.cordon_node(story.traced(request)).await, "patch").await;
    assert_eq!(changed(&span), "cordon_claims,scheduling_state,spec.unschedulable");

    let story = Story::of("UncordonNode", &node);
    let (request_id, reason) = (story.request_id.clone(), REASON.to_owned());
    let request = UncordonNodeRequest { name, request_id, reason, ..Default::default() };
    let span = story.told_of_node(client.uncordon_node(story.traced(request)).await, "patch").await;
    assert!(changed(&span).contains("spec.unschedulable"), "{}", changed(&span));
}

#[tokio::test]
async fn create_and_delete() {
    let node = unique("traces");
    let mut client = world().await.client().await;

    let story = Story::of("CreateNode", &node);
    let (request_id, reason) = (story.request_id.clone(), REASON.to_owned());
    let request = CreateNodeRequest {
        node_id: node.clone(),
        node: Some(Node::default()),
        request_id,
        reason,
        ..Default::default()
    };
    story.told_of_node(client.create_node(story.traced(request)).await, "create").await;

    let story = Story::of("DeleteNode", &node);
    let (request_id, reason) = (story.request_id.clone(), REASON.to_owned());
    let request = DeleteNodeRequest { name: format!("nodes/{node}"), request_id, reason, ..Default::default() };
    story.told_of_node(client.delete_node(story.traced(request)).await, "delete").await;
}

#[tokio::test]
async fn delete_of_several() {
    let node = world().await.node("traces").await;
    let story = Story::of("DeleteNodes", &node);
    let request = DeleteNodesRequest {
        filter: format!("name = {node:?}"),
        expected_count: 1,
        request_id: story.request_id.clone(),
        reason: REASON.to_owned(),
        ..Default::default()
    };
    let mut client = world().await.client().await;
    let span = story.told(client.delete_nodes(story.traced(request)).await).await;
    assert_eq!(span.attribute("nodeward.node.count").as_deref(), Some("1"));
    assert_eq!(span.attribute("nodeward.node.names"), Some(node));
    story.assert_calls(&span, "delete").await;
}

#[tokio::test]
async fn update() {
    let node = world().await.node("traces").await;
    let story = Story::of("UpdateNode", &node);
    let metadata = ObjectMeta { labels: [("team".to_owned(), "blue".to_owned())].into(), ..Default::default() };
    let request = UpdateNodeRequest {
        node: Some(Node { name: format!("nodes/{node}"), metadata: Some(metadata), ..Default::default() }),
        update_mask: mask(&["metadata.labels.team"]),
        request_id: story.request_id.clone(),
        reason: REASON.to_owned(),
        ..Default::default()
    };
    let mut client = world().await.client().await;
    let span = story.told_of_node(client.update_node(story.traced(request)).await, "patch").await;
    assert_eq!(changed(&span), "metadata.labels.team");
}

#[tokio::test]
async fn update_of_the_status() {
    let node = world().await.node("traces").await;
    let story = Story::of("UpdateNodeStatus", &node);
    let condition = NodeCondition { r#type: "RackPower".into(), status: "False".into(), ..Default::default() };
    let status = NodeStatus { conditions: vec![condition], ..Default::default() };
    let request = UpdateNodeStatusRequest {
        node: Some(Node { name: format!("nodes/{node}"), status: Some(status), ..Default::default() }),
        update_mask: mask(&["status.conditions.RackPower"]),
        request_id: story.request_id.clone(),
        reason: REASON.to_owned(),
        ..Default::default()
    };
    let mut client = world().await.client().await;
    let span = story.told_of_node(client.update_node_status(story.traced(request)).await, "patch").await;
    assert!(changed(&span).starts_with("status.conditions"), "{}", changed(&span));
    let calls = story.calls(&span).await;
    let resources: Vec<_> = calls.iter().filter_map(|call| call.attribute("nodeward.kubernetes.resource")).collect();
    assert!(resources.iter().any(|resource| resource == "nodes/status"), "{resources:?}");
}

#[tokio::test]
async fn patch() {
    let node = world().await.node("traces").await;
    let story = Story::of("PatchNode", &node);
    let request = PatchNodeRequest {
        name: format!("nodes/{node}"),
        r#type: PatchType::Merge.into(),
        patch: r#"{"metadata": {"annotations": {"note": "x"}}}"#.into(),
        request_id: story.request_id.clone(),
        reason: REASON.to_owned(),
        ..Default::default()
    };
    let mut client = world().await.client().await;
    let span = story.told_of_node(client.patch_node(story.traced(request)).await, "patch").await;
    assert_eq!(changed(&span), "metadata.annotations.note");
}

#[tokio::test]
async fn a_change_without_a_caller_that_traces_is_traced_all_the_same() {
    let node = world().await.node("traces").await;
    let request = CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    let response = world().await.client().await.cordon_node(request).await.unwrap();
    let trace_id = response.metadata().get("x-trace-id").unwrap().to_str().unwrap();
    let span = world().await.collector.wait_for(trace_id, "nodeward.v1.NodeService/CordonNode", DEADLINE).await;
    assert_eq!(span.parent_id(), "");
    assert_eq!(span.attribute("nodeward.outcome").as_deref(), Some("changed"));
}

#[tokio::test]
async fn a_failed_change_says_why() {
    let story = Story::of("CordonNode", "nowhere");
    let request = CordonNodeRequest { name: "nodes/nowhere".into(), reason: REASON.to_owned(), ..Default::default() };
    let result = world().await.client().await.cordon_node(story.traced(request)).await;
    let status = assert_error(result, Code::NotFound, "NODE_NOT_FOUND");
    assert_eq!(status.metadata().get("x-trace-id").unwrap(), story.trace_id.as_str());
    let collector = &world().await.collector;
    let span = collector.wait_for(&story.trace_id, "nodeward.v1.NodeService/CordonNode", DEADLINE).await;
    for (attribute, value) in [
        ("rpc.response.status_code", "NOT_FOUND"),
        ("error.type", "NOT_FOUND"),
        ("nodeward.error.reason", "NODE_NOT_FOUND"),
        ("nodeward.outcome", "failed"),
        ("k8s.node.name", "nowhere"),
        ("nodeward.reason", REASON),
    ] {
        assert_eq!(span.attribute(attribute).as_deref(), Some(value), "{attribute}");
    }
}

#[tokio::test]
async fn a_refused_change_says_what_was_asked_for() {
    let node = world().await.node("traces").await;
    let mut client = world().await.client().await;
    let outdated = CordonNodeRequest { etag: "\"1\"".into(), ..Default::default() };
    let malformed = CordonNodeRequest { etag: "not an etag".into(), ..Default::default() };
    for (request, reason) in [(outdated, "ETAG_MISMATCH"), (malformed, "INVALID_FIELD")] {
        let story = Story::of("CordonNode", &node);
        let (name, request_id) = (format!("nodes/{node}"), story.request_id.clone());
        let request = CordonNodeRequest { name, request_id, reason: REASON.to_owned(), ..request };
        client.cordon_node(story.traced(request)).await.unwrap_err();
        let collector = &world().await.collector;
        let span = collector.wait_for(&story.trace_id, "nodeward.v1.NodeService/CordonNode", DEADLINE).await;
        for (attribute, value) in [
            ("nodeward.error.reason", reason),
            ("nodeward.outcome", "failed"),
            ("nodeward.request_id", &story.request_id),
            ("nodeward.reason", REASON),
            ("k8s.node.name", &node),
        ] {
            assert_eq!(span.attribute(attribute).as_deref(), Some(value), "{reason} {attribute}");
        }
        let known = reason == "ETAG_MISMATCH"; // The other was refused before any node was looked for.
        assert_eq!(span.attribute("k8s.node.uid").is_some(), known, "{reason}");
    }
}

#[tokio::test]
async fn a_dry_run_and_a_replay_say_so() {
    let node = world().await.node("traces").await;
    let mut client = world().await.client().await;
    let collector = &world().await.collector;
    let cordon = || CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };

    let story = Story::of("CordonNode", &node);
    client.cordon_node(story.traced(CordonNodeRequest { validate_only: true, ..cordon() })).await.unwrap();
    let span = collector.wait_for(&story.trace_id, "nodeward.v1.NodeService/CordonNode", DEADLINE).await;
    assert_eq!(span.attribute("nodeward.validate_only").as_deref(), Some("true"));
    assert_eq!(span.attribute("nodeward.outcome").as_deref(), Some("validated"));
    assert!(changed(&span).contains("spec.unschedulable"), "{}", changed(&span));

    let story = Story::of("CordonNode", &node);
    let request = CordonNodeRequest { request_id: story.request_id.clone(), ..cordon() };
    client.cordon_node(request.clone()).await.unwrap();
    client.cordon_node(story.traced(request)).await.unwrap();
    let span = collector.wait_for(&story.trace_id, "nodeward.v1.NodeService/CordonNode", DEADLINE).await;
    assert_eq!(span.attribute("nodeward.outcome").as_deref(), Some("replayed"));
}

/// Reads a node, with or without a caller's trace, and returns the trace's id.
async fn read(parent_flags: Option<&str>) -> String {
    let mut request = GetNodeRequest { name: "nodes/worker-1".into(), ..Default::default() }.into_request();
    if let Some(flags) = parent_flags {
        let parent = format!("00-{}-00f067aa0ba902b7-{flags}", Uuid::new_v4().simple());
        request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    }
    let response = world().await.client().await.get_node(request).await.unwrap();
    response.metadata().get("x-trace-id").unwrap().to_str().unwrap().to_owned()
}

#[tokio::test]
async fn reads_are_traced_only_with_a_caller_that_traces() {
    let collector = &world().await.collector;
    let silent = [read(None).await, read(Some("00")).await];
    // Spans are exported in the order in which they end: once this one has come, so would have the others.
    let sampled = read(Some("01")).await;
    let span = collector.wait_for(&sampled, "nodeward.v1.NodeService/GetNode", DEADLINE).await;
    assert_eq!(span.data.kind(), SpanKind::Server);
    let spans = collector.spans();
    assert!(!spans.iter().any(|span| silent.contains(&span.trace_id())));
}

#[tokio::test]
async fn kubernetes_is_called_within_the_trace() {
    let node = world().await.node("traces").await;
    let story = Story::of("CordonNode", &node);
    let request = CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    world().await.client().await.cordon_node(story.traced(request)).await.unwrap();
    let call = eventually("the call's span has come", async || {
        let spans = world().await.collector.spans();
        let of_trace = |span: &Span| span.trace_id() == story.trace_id && span.name() == "PATCH nodes";
        spans.into_iter().find(of_trace)
    })
    .await;
    assert_eq!(call.attribute("http.response.status_code").as_deref(), Some("200"));
    assert_eq!(call.attribute("k8s.node.name"), Some(node));
    assert_eq!(call.attribute("url.template").as_deref(), Some("/api/v1/nodes/{name}"));
}
