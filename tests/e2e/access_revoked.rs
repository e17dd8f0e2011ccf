//! Credentials that are revoked and rights that are granted or taken away: what was so counts for ten seconds at most.

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use nodeward_sandbox::{ClientCertificate, Subject};
use nodeward_server::access::AccessOptions;
use serde_json::json;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::support::grants::{Grant, eventually_unable};
use crate::support::guarded::{ASKING, GOOD_FOR, guarded};
use crate::support::somebody::Somebody;
use crate::support::tokens::{NAMESPACE, token};
use crate::support::{assert_error, eventually, unique, world};

/// Asserts that nodeward, which has just answered, refuses in time, whatever Kubernetes has said before.
async fn refused_in_time(somebody: &Somebody) -> Status {
    let since = Instant::now();
    let status = somebody.refusal("GetNode", "worker-1").await;
    let took = since.elapsed();
    assert!(took < GOOD_FOR + ASKING, "it took {took:?}");
    status
}

async fn accounts() -> Api<ServiceAccount> {
    Api::namespaced(world().await.sandbox.client().await.unwrap(), NAMESPACE)
}

#[tokio::test]
async fn the_token_of_a_service_account_that_is_deleted_is_no_good() {
    let account = unique("deleted");
    let token = token(&account).await;
    let _grant = Grant::to(Subject::service_account(NAMESPACE, &account), "nodeward-viewer").await;
    let somebody = guarded().await.with_token(&token).await;
    somebody.ask("GetNode", "worker-1").await.unwrap();
    accounts().await.delete(&account, &DeleteParams::default()).await.unwrap();
    let refused = refused_in_time(&somebody).await;
    assert_error(Err::<(), _>(refused), Code::Unauthenticated, "CREDENTIALS_INVALID");
    assert_eq!(somebody.is_unknown().await, "the token is not valid, or not for this service");
}

/// As good as what it is bound to: a pod, elsewhere.
#[tokio::test]
async fn a_token_whose_secret_is_deleted_is_no_good() {
    let account = unique("bound");
    token(&account).await; // So that there is such an account.
    let _grant = Grant::to(Subject::service_account(NAMESPACE, &account), "nodeward-viewer").await;
    let secrets: Api<Secret> = Api::namespaced(world().await.sandbox.client().await.unwrap(), NAMESPACE);
    let secret = serde_json::from_value(json!({ "metadata": { "name": account } })).unwrap();
    let secret = secrets.create(&PostParams::default(), &secret).await.unwrap();
    let spec = TokenRequestSpec {
        audiences: Some(vec![AccessOptions::AUDIENCE.to_owned()]),
        bound_object_ref: Some(BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Secret".to_owned()),
            name: Some(account.clone()),
            uid: secret.metadata.uid,
        }),
        expiration_seconds: Some(600),
    };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let made = accounts().await.create_token_request(&account, &PostParams::default(), &request).await.unwrap();
    let somebody = guarded().await.with_token(&made.status.unwrap().token.unwrap()).await;
    somebody.ask("GetNode", "worker-1").await.unwrap();
    secrets.delete(&account, &DeleteParams::default()).await.unwrap();
    assert_error(Err::<(), _>(refused_in_time(&somebody).await), Code::Unauthenticated, "CREDENTIALS_INVALID");
}

#[tokio::test]
async fn a_right_counts_soon_after_it_is_granted_and_not_long_after_it_is_taken_away() {
    let name = unique("granted");
    let somebody = guarded().await.with(ClientCertificate::of(&name)).await;
    assert!(somebody.may("worker-1").await.is_empty());
    let grant = Grant::to(Subject::user(&name), "nodeward-viewer").await;
    let since = Instant::now();
    eventually("the right counts", async || somebody.ask("GetNode", "worker-1").await.ok()).await;
    let took = since.elapsed();
    assert!(took < GOOD_FOR + ASKING, "it took {took:?}");

    grant.take_away().await;
    assert_error(Err::<(), _>(refused_in_time(&somebody).await), Code::PermissionDenied, "ACCESS_DENIED");
}

/// What nodeward has heard before is not what decides about a change.
#[tokio::test]
async fn a_change_is_refused_as_soon_as_kubernetes_knows_that_the_right_is_gone() {
    let name = unique("changes");
    let node = guarded().await.node("changes").await;
    let subject = Subject::user(&name);
    let grant = Grant::to(subject.clone(), "nodeward-operator").await;
    let somebody = guarded().await.with(ClientCertificate::of(&name)).await;
    let since = Instant::now();
    somebody.ask("CordonNode", &node).await.unwrap();
    grant.take_away().await;
    eventually_unable(&subject, "patch").await;
    assert_error(somebody.ask("CordonNode", &node).await, Code::PermissionDenied, "ACCESS_DENIED");
    assert!(since.elapsed() < GOOD_FOR, "the answer of before was no longer good anyway");
}

/// It is its service account's again only if it is made anew, with a token of its own.
#[tokio::test]
async fn an_account_of_the_same_name_does_not_make_an_old_token_good() {
    let account = unique("again");
    let old = token(&account).await;
    let _grant = Grant::to(Subject::service_account(NAMESPACE, &account), "nodeward-viewer").await;
    accounts().await.delete(&account, &DeleteParams::default()).await.unwrap();
    let new = token(&account).await;
    guarded().await.with_token(&new).await.ask("GetNode", "worker-1").await.unwrap();
    guarded().await.with_token(&old).await.is_unknown().await;
}
