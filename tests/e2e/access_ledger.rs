//! Callers who have too many creations and deletions remembered.

use nodeward_api::v1::{CordonNodeRequest, DeleteNodeRequest};
use nodeward_sandbox::{ClientCertificate, Subject};
use nodeward_server::cluster::ClusterOptions;
use nodeward_server::cluster::mutate::LedgerOptions;
use tokio::time::{Duration, sleep};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::support::grants::Grant;
use crate::support::guarded::{Guarded, options, rbac_only};
use crate::support::somebody::Somebody;
use crate::support::{assert_error, eventually, unique};

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
