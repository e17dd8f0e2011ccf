//! Callers who have too many creations and deletions remembered.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use nodeward_api::v1::{CordonNodeRequest, CreateNodeRequest, DeleteNodeRequest, Node};
use nodeward_sandbox::{ClientCertificate, SERVER_NAMESPACE, Subject, User};
use nodeward_server::cluster::ClusterOptions;
use nodeward_server::cluster::mutate::LedgerOptions;
use serde_json::json;
use tokio::time::{Duration, sleep};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::support::grants::Grant;
use crate::support::guarded::{Guarded, guarded, options, rbac_only};
use crate::support::somebody::Somebody;
use crate::support::{assert_error, eventually, unique, world};

/// What is remembered of each user.
const MOST: u32 = 3;

async fn forgetful() -> Guarded {
    let ledger = LedgerOptions { of_user: MOST, of_all: 0 };
    Guarded::start(ClusterOptions { ledger, ..rbac_only().await }, options().await).await
}

/// Somebody who may do everything.
async fn somebody(server: &Guarded) -> (Somebody, Grant) {
    let name = unique("remembered");
    let grant = Grant::to(Subject::user(&name), "nodeward-admin").await;
    (server.with(ClientCertificate::of(&name)).await, grant)
}

/// Deletes a node that there is not.
async fn delete(somebody: &Somebody, request_id: &str) -> Result<(), Status> {
    let name = "nodes/there-is-none".to_owned();
    let request =
        DeleteNodeRequest { name, allow_missing: true, request_id: request_id.to_owned(), ..Default::default() };
    somebody.client().delete_node(request).await.map(drop)
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

#[tokio::test]
async fn who_has_too_many_requests_remembered_is_refused_and_can_do_all_else() {
    let server = forgetful().await;
    let (hasty, _grant) = somebody(&server).await;
    let first = new_id();
    delete(&hasty, &first).await.unwrap();
    let mut allowed = 1;
    let refused = eventually("a refusal", async || match delete(&hasty, &new_id()).await {
        Ok(()) => {
            allowed += 1;
            // The server counts what Kubernetes has told it.
            sleep(Duration::from_millis(100)).await;
            None
        }
        Err(refused) => Some(refused),
    })
    .await;
    assert!(allowed >= MOST, "only {allowed} were remembered");
    let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(wait > Duration::from_secs(23 * 3600), "{wait:?}");
    assert!(refused.get_details_quota_failure().unwrap().violations[0].subject.starts_with("user:remembered-"));
    assert_error(Err::<(), _>(refused), Code::ResourceExhausted, "REQUEST_LEDGER_FULL");

    // What needs not be remembered there, what was sent before, and others.
    delete(&hasty, "").await.unwrap();
    delete(&hasty, &first).await.unwrap();
    let node = server.node("remembered").await;
    let cordon = CordonNodeRequest { name: format!("nodes/{node}"), request_id: new_id(), ..Default::default() };
    hasty.client().cordon_node(cordon).await.unwrap();
    hasty.ask("GetNode", &node).await.unwrap();
    let (other, _grant) = somebody(&server).await;
    delete(&other, &new_id()).await.unwrap();
}

/// Another server may have noted the request, and be about to send it.
#[tokio::test]
async fn a_request_that_was_noted_before_is_not_forgotten_when_it_is_refused() {
    let admin = guarded().await.user(User::Admin).await;
    let (name, id) = (unique("noted"), new_id());
    let request = CreateNodeRequest {
        node_id: name.clone(),
        node: Some(Node::default()),
        request_id: id.clone(),
        ..CreateNodeRequest::default()
    };
    admin.client().create_node(request.clone()).await.unwrap();
    // As if it had come no further than the note, and the node were somebody else's.
    let notes: Api<ConfigMap> = Api::namespaced(world().await.sandbox.client().await.unwrap(), SERVER_NAMESPACE);
    let note = format!("nodeward-request-{id}");
    let unsent = Patch::Merge(json!({ "data": { "created": null } }));
    notes.patch(&note, &PatchParams::default(), &unsent).await.unwrap();
    let nodes = world().await.kubernetes().await;
    nodes.delete(&name, &DeleteParams::default()).await.unwrap();
    eventually("the node is gone", async || nodes.get_opt(&name).await.unwrap().is_none().then_some(())).await;
    world().await.sandbox.create_nodes(std::slice::from_ref(&name)).await.unwrap();

    assert_error(admin.client().create_node(request).await, Code::AlreadyExists, "NODE_ALREADY_EXISTS");
    assert!(notes.get_opt(&note).await.unwrap().is_some());
}
