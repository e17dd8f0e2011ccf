//! Who client certificates let in.

use std::io;
use std::time::{Duration, SystemTime};

use nodeward_sandbox::{ClientCertificate, Signer, Subject, User};
use rustls::AlertDescription;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::guarded::guarded;
use crate::support::raw::methods;
use crate::support::requests::OF_A_VIEWER;
use crate::support::{unique, world};

/// The server gives up the connection because of the certificate, and answers nothing.
async fn assert_is_refused(certificate: ClientCertificate, why: AlertDescription) {
    let files = world().await.sandbox.issue(&certificate).unwrap();
    assert_eq!(alert(guarded().await.tls(&files).await).await, why);
    let somebody = guarded().await.with_certificate(&files).await;
    for method in methods() {
        let status = somebody.ask(method.name(), "worker-1").await.unwrap_err();
        assert!(status.details().is_empty(), "{}: {status:?}", method.name());
    }
}

/// What the server says of the certificate, which with TLS 1.3 comes after the client has done its part.
async fn alert(connected: io::Result<TlsStream<TcpStream>>) -> AlertDescription {
    let error = match connected {
        Ok(mut stream) => stream.read_u8().await.unwrap_err(),
        Err(error) => error,
    };
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => panic!("{error:?}"),
    }
}

fn viewer() -> ClientCertificate {
    ClientCertificate::of("alice").group(User::Viewer.group())
}

#[tokio::test]
async fn a_certificate_of_the_client_ca_is_its_common_name_and_groups() {
    let guarded = guarded().await;
    assert_eq!(guarded.with(viewer()).await.may("worker-1").await, OF_A_VIEWER);
    let second = ClientCertificate::of("alice").group("nobodys").group(User::Viewer.group());
    assert_eq!(guarded.with(second).await.may("worker-1").await, OF_A_VIEWER);
    let name = unique("bob");
    world().await.sandbox.bind(&Subject::user(&name), "nodeward-viewer").await.unwrap();
    assert_eq!(guarded.with(ClientCertificate::of(name)).await.may("worker-1").await, OF_A_VIEWER);
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused() {
    let hour = Duration::from_secs(3600);
    let now = SystemTime::now();
    let expired = viewer().valid(now - 2 * hour..now - hour);
    assert_is_refused(expired, AlertDescription::CertificateExpired).await;
}

#[tokio::test]
async fn a_certificate_that_is_not_yet_valid_is_refused() {
    let hour = Duration::from_secs(3600);
    let now = SystemTime::now();
    let early = viewer().valid(now + hour..now + 2 * hour);
    assert_is_refused(early, AlertDescription::CertificateExpired).await;
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused() {
    assert_is_refused(viewer().signed_by(Signer::Stranger), AlertDescription::DecryptError).await;
    // Also one of the cluster, whose CA gives one to every kubelet.
    assert_is_refused(viewer().signed_by(Signer::Cluster), AlertDescription::UnknownCA).await;
}

#[tokio::test]
async fn a_certificate_without_a_name_is_nobodys() {
    let nameless = ClientCertificate::without_name().group(User::Admin.group());
    let detail = guarded().await.with(nameless).await.is_unknown().await;
    assert!(detail.contains("neither a common name nor a SPIFFE id"), "{detail}");
}

fn workload(namespace: &str, account: &str) -> ClientCertificate {
    ClientCertificate::without_name().uri(format!("spiffe://example.org/ns/{namespace}/sa/{account}"))
}

#[tokio::test]
async fn a_workload_is_the_service_account_that_a_rule_maps_its_spiffe_id_to() {
    let account = unique("workload");
    let subject = Subject::service_account("default", &account);
    world().await.sandbox.bind(&subject, "nodeward-viewer").await.unwrap();
    let guarded = guarded().await;
    assert_eq!(guarded.with(workload("default", &account)).await.may("worker-1").await, OF_A_VIEWER);
    assert!(guarded.with(workload("other", &account)).await.may("worker-1").await.is_empty());
}

#[tokio::test]
async fn a_workload_is_in_the_groups_of_its_service_account() {
    let group = Subject::group("system:serviceaccounts:access-workloads");
    world().await.sandbox.bind(&group, "nodeward-viewer").await.unwrap();
    let guarded = guarded().await;
    assert_eq!(guarded.with(workload("access-workloads", "any")).await.may("worker-1").await, OF_A_VIEWER);
    assert!(guarded.with(workload("default", "any")).await.may("worker-1").await.is_empty());
}

#[tokio::test]
async fn a_workload_that_no_rule_maps_is_nobody() {
    for stranger in [ClientCertificate::without_name(), ClientCertificate::of("alice")] {
        let stranger = stranger.uri("spiffe://example.com/ns/default/sa/backend");
        let detail = guarded().await.with(stranger).await.is_unknown().await;
        assert!(detail.starts_with("no rule maps the client certificate's SPIFFE id"), "{detail}");
    }
    let several = workload("default", "a").uri("spiffe://example.org/ns/default/sa/b");
    let detail = guarded().await.with(several).await.is_unknown().await;
    assert!(detail.contains("several SPIFFE ids"), "{detail}");
}
