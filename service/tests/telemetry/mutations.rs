//! What a change says of itself on its span.

use std::sync::Arc;

use nodeward_api::v1::Node;
use nodeward_server::telemetry::{MutationSpan, Outcome, TelemetryOptions};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::{Instrument as _, Span, info_span};

use crate::fixture::{Answer, CORDON, DEADLINE, Fixture, TRACE_ID};

fn change() -> Answer {
    let task = async {
        let span = MutationSpan::current();
        span.node("worker-1")
            .node_uid("u-1")
            .request("r-1", "maintenance", true)
            .changed_fields(["spec.taints", "metadata"]);
        // On the span of the call, whatever spans are made meanwhile.
        info_span!(target: "nodeward::test", "inner")
            .in_scope(|| span.outcome(Outcome::Changed).outcome(Outcome::Failed).node(""));
    };
    Box::pin(async {
        let done = tokio::spawn(task.instrument(Span::current())).await;
        done.map(|()| Node::default()).map_err(|error| Status::internal(error.to_string()))
    })
}

#[tokio::test]
async fn a_change_tells_what_it_did_from_the_task_that_does_it() {
    let mut fixture = Fixture::start(TelemetryOptions::default(), change).await;
    let id = fixture.cordon_id().await;
    let span = fixture.collector.wait_for(&id, CORDON, DEADLINE).await;
    for (name, value) in [
        ("k8s.node.name", "worker-1"),
        ("k8s.node.uid", "u-1"),
        ("nodeward.request_id", "r-1"),
        ("nodeward.reason", "maintenance"),
        ("nodeward.validate_only", "true"),
        ("nodeward.changed_fields", "spec.taints,metadata"),
        ("nodeward.outcome", "changed"),
    ] {
        assert_eq!(span.attribute(name).as_deref(), Some(value), "{name}");
        assert_eq!(span.data.attributes.iter().filter(|attribute| attribute.key == name).count(), 1, "{name}");
    }
}

/// A change that waits until its caller has left.
fn change_without_caller(begun: &Arc<Notify>) -> Answer {
    let left = CancellationToken::new();
    let guard = left.clone().drop_guard();
    let begun = Arc::clone(begun);
    let task = async move {
        let span = MutationSpan::current();
        begun.notify_one();
        left.cancelled().await;
        span.outcome(Outcome::Unchanged);
    };
    let task = tokio::spawn(task.instrument(Span::current()));
    Box::pin(async {
        let _guard = guard;
        task.await.map(|()| Node::default()).map_err(|error| Status::internal(error.to_string()))
    })
}

#[tokio::test]
async fn a_change_whose_caller_left_is_told_to_its_end() {
    let begun = Arc::new(Notify::new());
    let has_begun = Arc::clone(&begun);
    let mut fixture = Fixture::start(TelemetryOptions::default(), move || change_without_caller(&begun)).await;
    fixture.cordon_until(has_begun.notified()).await;
    let span = fixture.collector.wait_for(TRACE_ID, CORDON, DEADLINE).await;
    assert_eq!(span.attribute("nodeward.outcome").as_deref(), Some("unchanged"));
    assert_eq!(span.attribute("rpc.response.status_code").as_deref(), Some("CANCELLED"));
}

#[tokio::test]
async fn long_texts_are_cut() {
    let answer = || -> Answer {
        MutationSpan::current().request("", &"é".repeat(600_000), false).changed_fields(vec!["a"; 10_000]);
        Box::pin(async { Ok(Node::default()) })
    };
    let mut fixture = Fixture::start(TelemetryOptions::default(), answer).await;
    let id = fixture.cordon_id().await;
    let span = fixture.collector.wait_for(&id, CORDON, DEADLINE).await;
    assert_eq!(span.attribute("nodeward.reason"), Some("é".repeat(512)));
    assert_eq!(span.attribute("nodeward.changed_fields").unwrap().len(), 127);
    assert_eq!(span.attribute("nodeward.request_id"), None);
}

#[test]
fn nothing_happens_outside_a_span() {
    MutationSpan::current().node("a").outcome(Outcome::Changed);
}
