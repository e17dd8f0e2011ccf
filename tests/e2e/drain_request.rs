//! DrainNode: a drain is asked for, checked, and stored as an operation.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, CustomResourceExt as _};
use nodeward_api::google::longrunning::Operation;
use nodeward_api::google::longrunning::operation::Result as Ended;
use nodeward_api::v1::{CordonNodeRequest, DrainNodeRequest, DrainPolicy, OperationState};
use nodeward_sandbox::{Sandbox, SandboxOptions};
use nodeward_server::args::ServeOptions;
use nodeward_server::audit::Stage;
use nodeward_server::operation::{NodeOperation, State};
use tempfile::TempDir;
use tokio::time::Instant;
use tonic::Code;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::support::drains::{drain, drains, drains_of, ended, lease_of, metadata, operations_of, plan};
use crate::support::operations::resources;
use crate::support::records::records;
use crate::support::workload::Workload;
use crate::support::{assert_error, assert_violation, eventually, start_server, world};

async fn workload() -> Workload {
    Workload::new(world().await.sandbox.client().await.unwrap(), "request").await
}

/// A node that can't be emptied, since a budget holds its pod.
async fn held_node() -> (String, Workload) {
    let (node, workload) = (world().await.node("request").await, workload().await);
    workload.ready_pod("a", "web", &node).await;
    workload.budget("web", "web", 1, 1).await;
    (node, workload)
}

async fn is_untouched(node: &str) -> bool {
    let node = world().await.kubernetes().await.get(node).await.unwrap();
    node.spec.unwrap().unschedulable.is_none()
}

async fn begun(request: DrainNodeRequest) -> Operation {
    drains().await.drain_node(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_an_operation_that_empties_the_node() {
    let (node, workload) = (world().await.node("request").await, workload().await);
    workload.ready_pod("a", "web", &node).await;
    let request_id = Uuid::new_v4().to_string();
    let response = drains().await.drain_node(DrainNodeRequest { request_id: request_id.clone(), ..drain(&node) }).await;
    let response = response.unwrap();
    let audit_id = response.metadata().get("x-audit-id").unwrap().to_str().unwrap().to_owned();
    let trace_id = response.metadata().get("x-trace-id").unwrap().to_str().unwrap().to_owned();
    let operation = response.into_inner();
    assert!(operation.name.starts_with("operations/") && !operation.done, "{operation:?}");
    let shown = metadata(&operation);
    let uid = world().await.kubernetes().await.get(&node).await.unwrap().metadata.uid.unwrap();
    assert_eq!((shown.node.as_str(), shown.node_uid.as_str()), (format!("nodes/{node}").as_str(), uid.as_str()));
    assert_eq!((shown.state(), shown.reason.as_str()), (OperationState::Pending, "new disk"));
    assert_eq!((shown.request_id, &shown.audit_id), (request_id, &audit_id));
    assert!(shown.create_time.is_some() && shown.policy.is_some());

    assert_eq!(ended(&operation).await, State::Succeeded);
    assert!(workload.pods().list(&Default::default()).await.unwrap().items.is_empty());
    let [stored] = operations_of(&node).await.try_into().unwrap();
    assert!(stored.spec.trace_parent.starts_with(&format!("00-{trace_id}-")), "{}", stored.spec.trace_parent);
    assert_eq!(stored.metadata.labels.unwrap()["nodeward.dev/node-uid"], uid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_sent_again_is_answered_with_the_same_operation_by_any_server() {
    let (node, workload) = held_node().await;
    let request = DrainNodeRequest { request_id: Uuid::new_v4().to_string(), ..drain(&node) };
    let first = begun(request.clone()).await;
    assert_eq!(begun(request.clone()).await.name, first.name);
    // A server that has just started knows nothing but what the cluster tells it.
    let other = world().await.another_server(ServeOptions::default()).await;
    let again = drains_of(other.address()).await.drain_node(request.clone()).await.unwrap().into_inner();
    assert_eq!(again.name, first.name);
    assert_eq!(operations_of(&node).await.len(), 1);

    // Also when it has ended, and the plan would be another one by now.
    workload.budgets().delete("web", &DeleteParams::default()).await.unwrap();
    ended(&first).await;
    assert_eq!(begun(request).await.name, first.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_stands_for_one_request() {
    let [node, other] = [world().await.node("request").await, world().await.node("request").await];
    let request = DrainNodeRequest { request_id: Uuid::new_v4().to_string(), ..drain(&node) };
    let first = begun(request.clone()).await;
    let mut drains = drains().await;
    for another in [
        DrainNodeRequest { name: format!("nodes/{other}"), ..request.clone() },
        DrainNodeRequest { policy: None, ..request.clone() },
        DrainNodeRequest { reason: "another".to_owned(), ..request.clone() },
    ] {
        assert_error(drains.drain_node(another).await, Code::InvalidArgument, "REQUEST_ID_CONFLICT");
    }
    assert!(is_untouched(&other).await && operations_of(&other).await.is_empty());
    ended(&first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_of_a_change_of_the_node_begins_no_drain() {
    let node = world().await.node("request").await;
    let (name, request_id) = (format!("nodes/{node}"), Uuid::new_v4().to_string());
    let cordon = CordonNodeRequest { name, request_id: request_id.clone(), ..CordonNodeRequest::default() };
    world().await.client().await.cordon_node(cordon).await.unwrap();
    let request = DrainNodeRequest { request_id, ..drain(&node) };
    assert_error(drains().await.drain_node(request).await, Code::InvalidArgument, "REQUEST_ID_CONFLICT");
    assert!(operations_of(&node).await.is_empty());
}

/// Both are sent at the same time, so that neither server knows of the other's.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_requests_with_one_id_for_two_nodes_one_is_refused_and_its_node_stays_free() {
    let nodes = [world().await.node("request").await, world().await.node("request").await];
    let request_id = Uuid::new_v4().to_string();
    let requests = nodes.clone().map(|node| {
        let request = DrainNodeRequest { request_id: request_id.clone(), ..drain(&node) };
        async move { drains().await.drain_node(request).await.map(|answer| answer.into_inner()) }
    });
    let answers = join_all(requests).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    for (node, answer) in nodes.iter().zip(answers) {
        match answer {
            Ok(operation) => drop(ended(&operation).await),
            Err(status) => {
                assert_error(Err::<(), _>(status), Code::InvalidArgument, "REQUEST_ID_CONFLICT");
                ended(&begun(drain(node)).await).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_drains_of_a_node_one_is_carried_out_whichever_server_is_asked() {
    let (node, _workload) = held_node().await;
    let other = world().await.another_server(ServeOptions::default()).await;
    let servers = [world().await.server.address(), other.address()];
    let calls = (0..20).map(|number| {
        let request = drain(&node);
        async move { drains_of(servers[number % 2]).await.drain_node(request).await }
    });
    let answers = join_all(calls).await;
    let (begun, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let [only] = operations_of(&node).await.try_into().unwrap();
    let name = format!("operations/{}", only.metadata.name.unwrap());
    let begun: Vec<String> = begun.into_iter().map(|answer| answer.unwrap().into_inner().name).collect();
    assert_eq!(begun, std::slice::from_ref(&name));
    for answer in refused {
        let status = assert_error(answer, Code::Aborted, "OPERATION_IN_PROGRESS");
        let info = status.get_details_error_info().unwrap();
        assert_eq!((&info.metadata["node"], &info.metadata["operation"]), (&node, &name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_can_be_drained_again_when_its_drain_has_ended_whether_or_not_it_is_forgotten() {
    let node = world().await.node("request").await;
    let first = begun(drain(&node)).await;
    ended(&first).await;
    let second = begun(drain(&node)).await;
    assert_ne!(second.name, first.name);
    ended(&second).await;
    let name = second.name.trim_start_matches("operations/");
    resources().await.delete(name, &DeleteParams::default()).await.unwrap();
    let asked = Instant::now();
    ended(&begun(drain(&node)).await).await;
    assert!(asked.elapsed() < Duration::from_secs(60));
}

/// A server that has announced an operation and crashed before it was stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_the_operation_is_stored_holds_others_up_for_some_seconds() {
    let node = world().await.node("request").await;
    ended(&begun(drain(&node)).await).await;
    let (leases, mut lease) = lease_of(&node).await;
    let owner = &lease.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((owner.kind.as_str(), &owner.name), ("Node", &node));
    let spec = lease.spec.as_mut().unwrap();
    spec.holder_identity = Some(Uuid::new_v4().to_string());
    spec.lease_duration_seconds = Some(5);
    leases.replace(lease.metadata.name.as_deref().unwrap(), &PostParams::default(), &lease).await.unwrap();
    let asked = Instant::now();
    let operation = begun(drain(&node)).await;
    assert!(asked.elapsed() >= Duration::from_secs(5), "{:?}", asked.elapsed());
    ended(&operation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_the_policy_refuses_touches_nothing() {
    let (node, workload) = (world().await.node("request").await, workload().await);
    workload.ready_pod("a", "web", &node).await;
    let refused = drains().await.drain_node(DrainNodeRequest { policy: None, ..drain(&node) }).await;
    let status = assert_error(refused, Code::FailedPrecondition, "DRAIN_REFUSED");
    let violations = status.get_details_precondition_failure().unwrap().violations;
    let found: Vec<_> = violations.iter().map(|one| (one.r#type.as_str(), one.subject.as_str())).collect();
    assert_eq!(found, [("DRAIN_REFUSED", format!("{}/a", workload.namespace).as_str())]);
    assert_eq!(status.get_details_error_info().unwrap().metadata["pods"], "1");
    assert!(is_untouched(&node).await && operations_of(&node).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_what_was_planned_or_nothing() {
    let (node, workload) = (world().await.node("request").await, workload().await);
    let mut drains = drains().await;
    let plan_hash = drains.plan_drain(plan(&node)).await.unwrap().into_inner().plan_hash;
    let request = DrainNodeRequest { plan_hash, ..drain(&node) };
    workload.ready_pod("a", "web", &node).await;
    let changed = assert_error(drains.drain_node(request.clone()).await, Code::Aborted, "PLAN_CHANGED");
    let metadata = changed.get_details_error_info().unwrap().metadata;
    assert_eq!(metadata["node"], node);
    assert!(is_untouched(&node).await);
    let request = DrainNodeRequest { plan_hash: metadata["plan_hash"].clone(), ..request };
    ended(&begun(request).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_can_be_bound_to_the_version_of_the_node() {
    let node = world().await.node("request").await;
    let stale = DrainNodeRequest { etag: "\"1\"".to_owned(), ..drain(&node) };
    assert_error(drains().await.drain_node(stale).await, Code::Aborted, "ETAG_MISMATCH");
    assert!(is_untouched(&node).await);
    let version = world().await.kubernetes().await.get(&node).await.unwrap().metadata.resource_version.unwrap();
    ended(&begun(DrainNodeRequest { etag: format!("{version:?}"), ..drain(&node) }).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_is_only_tried_begins_nothing() {
    let (node, _workload) = held_node().await;
    let tried = DrainNodeRequest { validate_only: true, ..drain(&node) };
    let operation = begun(tried.clone()).await;
    assert!(operation.name.is_empty() && operation.done);
    assert!(matches!(operation.result, Some(Ended::Response(_))), "{operation:?}");
    assert_eq!(metadata(&operation).node, format!("nodes/{node}"));
    assert!(is_untouched(&node).await && operations_of(&node).await.is_empty());
    // What would be refused is refused.
    begun(drain(&node)).await;
    assert_error(drains().await.drain_node(tried).await, Code::Aborted, "OPERATION_IN_PROGRESS");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_drained_is_refused_with_why() {
    let node = world().await.node("request").await;
    let mut drains = drains().await;
    let policy = Some(DrainPolicy { parallelism: -1, ..DrainPolicy::default() });
    for (request, field) in [
        (DrainNodeRequest { policy, ..drain(&node) }, "policy.parallelism"),
        (DrainNodeRequest { reason: "x".repeat(1025), ..drain(&node) }, "reason"),
        (DrainNodeRequest { request_id: "1".to_owned(), ..drain(&node) }, "request_id"),
        (DrainNodeRequest { plan_hash: "1".to_owned(), ..drain(&node) }, "plan_hash"),
        (DrainNodeRequest { etag: "1".to_owned(), ..drain(&node) }, "etag"),
        (DrainNodeRequest { name: node.clone(), ..drain(&node) }, "name"),
    ] {
        assert_violation(drains.drain_node(request).await, field);
    }
    assert_error(drains.drain_node(drain("nobody")).await, Code::NotFound, "NODE_NOT_FOUND");
    assert!(is_untouched(&node).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_on_record_with_its_operation() {
    let node = world().await.node("request").await;
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log");
    let mut options = ServeOptions::default();
    options.audit.audit_dir = Some(log.clone());
    let server = world().await.another_server(options).await;
    let mut drains = drains_of(server.address()).await;
    let operation = drains.drain_node(drain(&node)).await.unwrap().into_inner();
    assert_error(drains.drain_node(drain("nobody")).await, Code::NotFound, "NODE_NOT_FOUND");
    let records = records(&log);
    let [intent, outcome, _, refusal] = records.as_slice() else { panic!("{records:#?}") };
    assert_eq!((intent.stage, outcome.stage), (Stage::RequestReceived, Stage::ResponseComplete));
    assert_eq!(intent.rpc, "nodeward.v1.DrainService/DrainNode");
    assert_eq!((intent.request.reason.as_str(), &intent.audit_id), ("new disk", &outcome.audit_id));
    let status = outcome.response_status.as_ref().unwrap();
    assert_eq!((status.outcome.as_str(), &status.operation), ("changed", &operation.name));
    assert_eq!(outcome.request.object_ref.as_ref().unwrap().name, node);
    assert_eq!(refusal.response_status.as_ref().unwrap().reason, "NODE_NOT_FOUND");
    ended(&operation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_resource_of_operations_nothing_is_begun() {
    let sandbox = Sandbox::start(SandboxOptions { nodes: 1, ..SandboxOptions::default() }).await.unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(sandbox.client().await.unwrap());
    let name = NodeOperation::crd().metadata.name.unwrap();
    definitions.delete(&name, &DeleteParams::default()).await.unwrap();
    eventually("it is gone", async || definitions.get_opt(&name).await.unwrap().is_none().then_some(())).await;
    let server = start_server(sandbox.kubeconfig_path(), ServeOptions::default()).await;
    server.ready().await;
    let mut drains = drains_of(server.address()).await;
    let node = "worker-1";
    for request in [
        drain(node),
        DrainNodeRequest { validate_only: true, ..drain(node) },
        DrainNodeRequest { request_id: Uuid::new_v4().to_string(), ..drain(node) },
    ] {
        assert_error(drains.drain_node(request).await, Code::FailedPrecondition, "OPERATIONS_UNAVAILABLE");
    }
    drains.plan_drain(plan(node)).await.unwrap();
    let leases: Api<Lease> = Api::all(sandbox.client().await.unwrap());
    let leases = leases.list(&Default::default()).await.unwrap().items;
    let is_of_node = |lease: &Lease| lease.metadata.name.as_deref().unwrap_or_default().starts_with("nodeward-node-");
    assert!(!leases.iter().any(is_of_node), "{leases:?}");
}
