//! Whom bearer tokens let in, and that they come before certificates.

use nodeward_sandbox::{Subject, User};
use serde_json::json;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::support::guarded::guarded;
use crate::support::raw::send;
use crate::support::requests::{OF_A_VIEWER, harmless};
use crate::support::somebody::Somebody;
use crate::support::tokens::{Jwt, NAMESPACE, token, token_for};
use crate::support::{assert_error, unique, world};

/// A service account that may read nodes: its name.
async fn viewer() -> String {
    let account = unique("viewer");
    let subject = Subject::service_account(NAMESPACE, &account);
    world().await.sandbox.bind(&subject, "nodeward-viewer").await.unwrap();
    account
}

async fn assert_is_no_good(token: &str) {
    let detail = guarded().await.with_token(token).await.is_unknown().await;
    assert_eq!(detail, "the token is not valid, or not for this service", "{token}");
}

#[tokio::test]
async fn a_token_of_a_service_account_is_good_for_its_rights() {
    let token = token(&viewer().await).await;
    assert_eq!(guarded().await.with_token(&token).await.may("worker-1").await, OF_A_VIEWER);
    // Also beside a certificate that is good for more.
    let admin = guarded().await.user(User::Admin).await.saying("authorization", &format!("bearer {token}"));
    assert_eq!(admin.may("worker-1").await, OF_A_VIEWER);
}

#[tokio::test]
async fn a_token_for_somebody_else_is_no_good() {
    let account = viewer().await;
    assert_is_no_good(&token_for(&account, &[]).await).await;
    assert_is_no_good(&token_for(&account, &["vault"]).await).await;
    // One that is for nodeward too is.
    let for_both = token_for(&account, &["vault", "nodeward"]).await;
    assert_eq!(guarded().await.with_token(&for_both).await.may("worker-1").await, OF_A_VIEWER);
}

#[tokio::test]
async fn a_token_that_has_expired_is_no_good() {
    let jwt = Jwt::of(&token(&viewer().await).await);
    // Kubernetes makes none that is this old: the test signs one itself, and shows first that it can.
    let signed = jwt.clone().signed().await;
    assert_eq!(guarded().await.with_token(&signed).await.may("worker-1").await, OF_A_VIEWER);
    let mut expired = jwt;
    for time in ["iat", "nbf", "exp"] {
        expired.claims[time] = json!(expired.claims[time].as_i64().unwrap() - 3600);
    }
    assert_is_no_good(&expired.signed().await).await;
}

#[tokio::test]
async fn a_token_that_nobody_has_signed_is_no_good() {
    let token = token(&viewer().await).await;
    let jwt = Jwt::of(&token);
    for alg in ["none", "None", "HS256"] {
        let mut unsigned = jwt.clone();
        unsigned.header["alg"] = json!(alg);
        assert_is_no_good(&unsigned.text()).await;
        unsigned.signature.clear();
        assert_is_no_good(&unsigned.text()).await;
    }
    let mut other = jwt;
    other.claims["sub"] = json!("system:serviceaccount:kube-system:default");
    assert_is_no_good(&other.text()).await;
    assert_is_no_good(token.rsplit_once('.').unwrap().0).await;
}

#[tokio::test]
async fn what_is_no_token_is_no_good() {
    for token in ["garbage", "a.b.c", "e30.e30.", "\u{7e}\u{7e}", &"x".repeat(8 << 10)] {
        assert_is_no_good(token).await;
    }
}

#[tokio::test]
async fn a_bad_token_is_not_made_good_by_a_certificate() {
    let admin = guarded().await.user(User::Admin).await;
    let detail = admin.clone().saying("authorization", "Bearer garbage").is_unknown().await;
    assert_eq!(detail, "the token is not valid, or not for this service");
    for header in ["Basic YWRtaW46YWRtaW4=", "Bearer", "Bearer ", "garbage", "Negotiate abc", ""] {
        let detail = admin.clone().saying("authorization", header).is_unknown().await;
        assert!(detail.contains("must be `Bearer` and a token"), "{header:?}: {detail}");
    }
}

#[tokio::test]
async fn two_tokens_are_one_too_many() {
    let token = format!("Bearer {}", token(&viewer().await).await);
    for other in [token.as_str(), "Bearer garbage", "Basic YWRtaW46YWRtaW4="] {
        let both = guarded().await.nobody().await.saying("authorization", &token).saying("authorization", other);
        let detail = both.is_unknown().await;
        assert!(detail.contains("more than one authorization header"), "{detail}");
    }
}

#[tokio::test]
async fn whoever_shows_nothing_is_nobody() {
    let detail = guarded().await.nobody().await.is_unknown().await;
    assert_eq!(detail, "there is neither a client certificate nor a bearer token");
}

async fn reflect(somebody: &Somebody) -> Result<(), Status> {
    let mut client = ServerReflectionClient::with_interceptor(somebody.channel.clone(), somebody.says());
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut answers = client.server_reflection_info(futures::stream::iter([request])).await?.into_inner();
    answers.message().await?.expect("an answer");
    Ok(())
}

#[tokio::test]
async fn the_health_is_anybodys_and_the_contract_is_not() {
    let nobody = guarded().await.nobody().await;
    let mut health = HealthClient::new(nobody.channel.clone());
    let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    // Also with a token that is not good: probes may be given one.
    let garbage = guarded().await.with_token("garbage").await;
    let mut health = HealthClient::with_interceptor(garbage.channel.clone(), garbage.says());
    health.check(HealthCheckRequest::default()).await.unwrap();

    assert_error(reflect(&nobody).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
    // Everybody who is known may learn it, whatever their rights.
    reflect(&guarded().await.user(User::Auditor).await).await.unwrap();
}

#[tokio::test]
async fn nothing_but_the_health_is_behind_its_path() {
    let nobody = guarded().await.nobody().await;
    for path in [
        "/grpc.health.v1.Health/../nodeward.v1.NodeService/GetNode",
        "/grpc.health.v1.Health/%2e%2e/nodeward.v1.NodeService/GetNode",
        "/grpc.health.v1.Health//nodeward.v1.NodeService/GetNode",
        "/grpc.health.v1.Health/nodeward.v1.NodeService/GetNode",
        "/grpc.health.v1.Healthy/Check",
        "//grpc.health.v1.Health/Check",
        "/nodeward.v1.NodeService/",
        "/NODEWARD.v1.NodeService/GetNode",
    ] {
        let status = send(&nobody.channel, path, harmless("GetNode", "worker-1")).await.unwrap_err();
        assert!([Code::Unauthenticated, Code::Unimplemented].contains(&status.code()), "{path}: {status:?}");
    }
}
