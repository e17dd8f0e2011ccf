//! CordonNode and UncordonNode.

use nodeward_api::v1::{CordonNodeRequest, GetNodeRequest, SchedulingState, UncordonNodeRequest};
use nodeward_server::args::ServeOptions;
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::support::{assert_error, assert_violation, connect, eventually, world};

fn cordon(node: &str) -> CordonNodeRequest {
    CordonNodeRequest { name: format!("nodes/{node}"), reason: "maintenance".into(), ..Default::default() }
}

fn uncordon(node: &str) -> UncordonNodeRequest {
    UncordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() }
}

async fn is_unschedulable(node: &str) -> bool {
    let node = world().await.kubernetes().await.get(node).await.unwrap();
    node.spec.unwrap().unschedulable.unwrap_or(false)
}

#[tokio::test]
async fn a_cordoned_node_is_unschedulable_until_it_is_uncordoned() {
    let node = world().await.node("cordon").await;
    let mut client = world().await.client().await;

    let cordoned = client.cordon_node(cordon(&node)).await.unwrap().into_inner();
    assert_eq!(cordoned.scheduling_state(), SchedulingState::Cordoned);
    assert!(is_unschedulable(&node).await);

    let uncordoned = client.uncordon_node(uncordon(&node)).await.unwrap().into_inner();
    assert_eq!(uncordoned.scheduling_state(), SchedulingState::Schedulable);
    assert!(!is_unschedulable(&node).await);
}

#[tokio::test]
async fn kubectl_sees_what_was_cordoned() {
    let node = world().await.node("cordon").await;
    world().await.client().await.cordon_node(cordon(&node)).await.unwrap();
    let output = world().await.sandbox.kubectl(["get", "node", &node]).await.unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("SchedulingDisabled"), "{output:?}");
}

#[tokio::test]
async fn cordoning_twice_changes_nothing_the_second_time() {
    let node = world().await.node("cordon").await;
    let mut client = world().await.client().await;
    client.cordon_node(cordon(&node)).await.unwrap();
    // Kubernetes' own controller follows with a taint; after that the node is at rest.
    let at_rest = eventually("the node has its taint", async || {
        let found = world().await.kubernetes().await.get(&node).await.ok()?;
        found.spec?.taints.map(|_| found.metadata.resource_version)
    })
    .await;
    let second = client.cordon_node(cordon(&node)).await.unwrap().into_inner();
    assert_eq!(second.metadata.unwrap().resource_version, at_rest);
}

#[tokio::test]
async fn a_node_stays_cordoned_until_the_last_who_asked_for_it_lets_it_go() {
    let node = world().await.node("cordon").await;
    let mut client = world().await.client().await;
    for owner in ["storage", "kernel"] {
        client.cordon_node(CordonNodeRequest { owner: owner.into(), ..cordon(&node) }).await.unwrap();
    }
    let request = UncordonNodeRequest { owner: "storage".into(), ..uncordon(&node) };
    let left = client.uncordon_node(request).await.unwrap().into_inner();
    let [claim] = left.cordon_claims.as_slice() else { panic!("{:?}", left.cordon_claims) };
    assert_eq!((claim.owner.as_str(), claim.reason.as_str()), ("kernel", "maintenance"));
    assert!(claim.since_time.is_some() && is_unschedulable(&node).await);

    let request = UncordonNodeRequest { owner: "kernel".into(), ..uncordon(&node) };
    let free = client.uncordon_node(request).await.unwrap().into_inner();
    assert!(free.cordon_claims.is_empty() && !is_unschedulable(&node).await);
}

#[tokio::test]
async fn what_others_keep_cordoned_stays_so_unless_it_is_taken_over() {
    let node = world().await.node("cordon").await;
    let mut client = world().await.client().await;
    client.cordon_node(CordonNodeRequest { owner: "storage".into(), ..cordon(&node) }).await.unwrap();
    let status =
        assert_error(client.uncordon_node(uncordon(&node)).await, Code::FailedPrecondition, "CORDONED_BY_OTHERS");
    assert!(status.message().contains("\"storage\""), "{}", status.message());
    assert!(is_unschedulable(&node).await);

    let request = UncordonNodeRequest { take_over: true, ..uncordon(&node) };
    client.uncordon_node(request).await.unwrap();
    assert!(!is_unschedulable(&node).await);
}

#[tokio::test]
async fn what_kubectl_cordoned_stays_so_unless_it_is_taken_over() {
    let node = world().await.node("cordon").await;
    let mut client = world().await.client().await;
    world().await.sandbox.kubectl(["cordon", &node]).await.unwrap();
    assert_error(client.uncordon_node(uncordon(&node)).await, Code::FailedPrecondition, "CORDONED_BY_OTHERS");
    let both = client.cordon_node(cordon(&node)).await.unwrap().into_inner();
    assert_eq!(both.cordon_claims.iter().filter(|claim| claim.is_foreign).count(), 1);
    client.uncordon_node(uncordon(&node)).await.unwrap();
    assert!(is_unschedulable(&node).await);

    let request = UncordonNodeRequest { take_over: true, ..uncordon(&node) };
    client.uncordon_node(request).await.unwrap();
    assert!(!is_unschedulable(&node).await);
}

#[tokio::test]
async fn kubectl_uncordon_ends_all_claims() {
    let node = world().await.node("cordon").await;
    let mut client = world().await.client().await;
    client.cordon_node(CordonNodeRequest { owner: "storage".into(), ..cordon(&node) }).await.unwrap();
    world().await.sandbox.kubectl(["uncordon", &node]).await.unwrap();
    let again = client.cordon_node(CordonNodeRequest { owner: "kernel".into(), ..cordon(&node) }).await.unwrap();
    let owners: Vec<String> = again.into_inner().cordon_claims.into_iter().map(|claim| claim.owner).collect();
    assert_eq!(owners, ["kernel"]);
}

#[tokio::test]
async fn an_absent_node_is_not_found() {
    let mut client = world().await.client().await;
    assert_error(client.cordon_node(cordon("nowhere")).await, Code::NotFound, "NODE_NOT_FOUND");
    assert_error(client.uncordon_node(uncordon("nowhere")).await, Code::NotFound, "NODE_NOT_FOUND");
}

#[tokio::test]
async fn an_outdated_etag_is_refused_and_told_from_the_current_one() {
    let node = world().await.node("cordon").await;
    let mut client = world().await.client().await;
    // Kubernetes' controllers may still be changing a new node.
    let etag = eventually("the node is cordoned at the etag that was read", async || {
        let request = GetNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
        let etag = client.get_node(request).await.unwrap().into_inner().etag;
        let request = CordonNodeRequest { etag: etag.clone(), ..cordon(&node) };
        client.cordon_node(request).await.is_ok().then_some(etag)
    })
    .await;
    let result = client.uncordon_node(UncordonNodeRequest { etag: etag.clone(), ..uncordon(&node) }).await;
    let status = assert_error(result, Code::Aborted, "ETAG_MISMATCH");
    let metadata = status.get_details_error_info().unwrap().metadata;
    assert_eq!(metadata["etag"], etag);
    assert_ne!(metadata["currentEtag"], etag);
    assert!(is_unschedulable(&node).await);

    let result = client.cordon_node(CordonNodeRequest { etag, ..cordon(&node) }).await;
    assert_error(result, Code::Aborted, "ETAG_MISMATCH");
}

#[tokio::test]
async fn validating_only_shows_the_result_and_changes_nothing() {
    let node = world().await.node("cordon").await;
    let mut client = world().await.client().await;
    let request = CordonNodeRequest { validate_only: true, ..cordon(&node) };
    let shown = client.cordon_node(request).await.unwrap().into_inner();
    assert_eq!(shown.scheduling_state(), SchedulingState::Cordoned);
    assert!(!is_unschedulable(&node).await);

    client.cordon_node(cordon(&node)).await.unwrap();
    let request = UncordonNodeRequest { validate_only: true, ..uncordon(&node) };
    let shown = client.uncordon_node(request).await.unwrap().into_inner();
    assert_eq!(shown.scheduling_state(), SchedulingState::Schedulable);
    assert!(is_unschedulable(&node).await);
}

#[tokio::test]
async fn a_request_sent_again_is_carried_out_once_even_after_it_was_undone() {
    let node = world().await.node("cordon").await;
    let mut client = world().await.client().await;
    let request = CordonNodeRequest { request_id: Uuid::new_v4().to_string(), ..cordon(&node) };
    client.cordon_node(request.clone()).await.unwrap();
    let again = client.cordon_node(request.clone()).await.unwrap().into_inner();
    assert_eq!(again.scheduling_state(), SchedulingState::Cordoned);

    client.uncordon_node(uncordon(&node)).await.unwrap();
    let late = client.cordon_node(request).await.unwrap().into_inner();
    assert_eq!(late.scheduling_state(), SchedulingState::Schedulable);
    assert!(!is_unschedulable(&node).await);

    let request = UncordonNodeRequest { request_id: Uuid::new_v4().to_string(), ..uncordon(&node) };
    client.uncordon_node(request.clone()).await.unwrap();
    client.cordon_node(cordon(&node)).await.unwrap();
    let late = client.uncordon_node(request).await.unwrap().into_inner();
    assert_eq!(late.scheduling_state(), SchedulingState::Cordoned);
}

#[tokio::test]
async fn a_request_without_effect_is_remembered_too() {
    let node = world().await.node("cordon").await;
    let mut client = world().await.client().await;
    client.cordon_node(cordon(&node)).await.unwrap();
    let request = CordonNodeRequest { request_id: Uuid::new_v4().to_string(), ..cordon(&node) };
    client.cordon_node(request.clone()).await.unwrap();
    client.uncordon_node(uncordon(&node)).await.unwrap();
    client.cordon_node(request).await.unwrap();
    assert!(!is_unschedulable(&node).await);
}

#[tokio::test]
async fn another_server_and_a_restarted_one_remember_the_request() {
    let node = world().await.node("cordon").await;
    let request = CordonNodeRequest { request_id: Uuid::new_v4().to_string(), ..cordon(&node) };
    let first = world().await.another_server(ServeOptions::default()).await;
    connect(first.address()).await.cordon_node(request.clone()).await.unwrap();
    first.stop().await.unwrap();
    world().await.client().await.uncordon_node(uncordon(&node)).await.unwrap();

    let second = world().await.another_server(ServeOptions::default()).await;
    connect(second.address()).await.cordon_node(request).await.unwrap();
    assert!(!is_unschedulable(&node).await);
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_id_of_another_request_is_refused() {
    let [node, other] = [world().await.node("cordon").await, world().await.node("cordon").await];
    let mut client = world().await.client().await;
    let request_id = Uuid::new_v4().to_string();
    client.cordon_node(CordonNodeRequest { request_id: request_id.clone(), ..cordon(&node) }).await.unwrap();

    let result = client.uncordon_node(UncordonNodeRequest { request_id: request_id.clone(), ..uncordon(&node) }).await;
    assert_error(result, Code::InvalidArgument, "REQUEST_ID_CONFLICT");
    eventually("the cache has the request", async || {
        let request = CordonNodeRequest { request_id: request_id.clone(), validate_only: true, ..cordon(&other) };
        client.cordon_node(request).await.err()
    })
    .await;
    let result = client.cordon_node(CordonNodeRequest { request_id, ..cordon(&other) }).await;
    assert_error(result, Code::InvalidArgument, "REQUEST_ID_CONFLICT");
}

#[tokio::test]
async fn simultaneous_requests_with_one_id_are_one_change() {
    let node = world().await.node("cordon").await;
    let other = world().await.another_server(ServeOptions::default()).await;
    let request = CordonNodeRequest { request_id: Uuid::new_v4().to_string(), ..cordon(&node) };
    let mut clients = [world().await.client().await, connect(other.address()).await];
    let [a, b] = &mut clients;
    let (a, b) = tokio::join!(a.cordon_node(request.clone()), b.cordon_node(request.clone()));
    a.unwrap();
    b.unwrap();
    let found = world().await.kubernetes().await.get(&node).await.unwrap();
    let remembered = &found.metadata.annotations.unwrap()["nodeward.dev/requests"];
    assert_eq!(remembered.matches(&request.request_id).count(), 1);
    other.stop().await.unwrap();
}

#[tokio::test]
async fn bad_fields_are_named() {
    let mut client = world().await.client().await;
    for name in ["", "worker-1", "nodes/", "nodes/UPPER", "nodes/a/b", "nodes/\u{fc}"] {
        assert_violation(client.cordon_node(CordonNodeRequest { name: name.into(), ..cordon("x") }).await, "name");
        assert_violation(
            client.uncordon_node(UncordonNodeRequest { name: name.into(), ..uncordon("x") }).await,
            "name",
        );
    }
    let bad = [
        ("request_id", CordonNodeRequest { request_id: "1".into(), ..cordon("x") }),
        ("etag", CordonNodeRequest { etag: "1".into(), ..cordon("x") }),
        ("reason", CordonNodeRequest { reason: "x".repeat(1025), ..cordon("x") }),
        ("owner", CordonNodeRequest { owner: "x".repeat(254), ..cordon("x") }),
        ("owner", CordonNodeRequest { owner: "a\nb".into(), ..cordon("x") }),
        ("expire_time", CordonNodeRequest { expire_time: Some(prost_types::Timestamp::default()), ..cordon("x") }),
    ];
    for (field, request) in bad {
        assert_violation(client.cordon_node(request).await, field);
    }
    let bad = [
        ("request_id", UncordonNodeRequest { request_id: "1".into(), ..uncordon("x") }),
        ("etag", UncordonNodeRequest { etag: "1".into(), ..uncordon("x") }),
        ("reason", UncordonNodeRequest { reason: "x".repeat(1025), ..uncordon("x") }),
    ];
    for (field, request) in bad {
        assert_violation(client.uncordon_node(request).await, field);
    }
}
