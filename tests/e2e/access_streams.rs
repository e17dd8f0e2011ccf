//! Open watches of callers who may no longer read.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::DeleteParams;
use nodeward_api::v1::watch_nodes_response::Event;
use nodeward_api::v1::{WatchNodesRequest, WatchNodesResponse};
use nodeward_sandbox::{ClientCertificate, Subject, User};
use nodeward_server::access::AccessOptions;
use nodeward_server::args::ServeOptions;
use serde_json::json;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status, Streaming};

use crate::support::grants::Grant;
use crate::support::guarded::{ASKING, GOOD_FOR, Guarded, guarded, options, rbac_only};
use crate::support::nodes::set_label;
use crate::support::somebody::{Refusal, Somebody};
use crate::support::tokens::{Jwt, NAMESPACE, token};
use crate::support::{assert_error, eventually, unique, world};

const ASKED_EVERY: Duration = Duration::from_millis(200);

/// A server that asks more often than every five minutes whether a watch may go on.
async fn inquisitive() -> &'static Guarded {
    static SERVER: OnceCell<Guarded> = OnceCell::const_new();
    let start = async || {
        let options = options().await;
        let access = AccessOptions { ask_again: ASKED_EVERY, ..options.access };
        Guarded::start(rbac_only().await, ServeOptions { access, ..options }).await
    };
    SERVER.get_or_init(start).await
}

/// A watch whose snapshot has come.
struct Watch(Streaming<WatchNodesResponse>);

impl Watch {
    async fn open(somebody: &Somebody) -> Self {
        let request = WatchNodesRequest { filter: r#"name = "worker-*""#.to_owned(), ..WatchNodesRequest::default() };
        let mut watch = Self(somebody.client().watch_nodes(request).await.unwrap().into_inner());
        while !matches!(watch.next().await.unwrap().event, Some(Event::SnapshotComplete(_))) {}
        watch
    }

    async fn next(&mut self) -> Result<WatchNodesResponse, Status> {
        let message = timeout(Duration::from_secs(60), self.0.message()).await.expect("a message in time")?;
        Ok(message.expect("it does not end without a reason"))
    }

    /// Waits until it ends, which it must with a bookmark and this reason: the bookmark's token, and the status.
    async fn ended(mut self, code: Code, reason: &str) -> (String, Status) {
        let mut last = None;
        loop {
            match self.next().await {
                Ok(message) => last = Some(message),
                Err(status) => {
                    let last = last.expect("a last message");
                    assert!(matches!(last.event, Some(Event::Bookmark(_))), "{last:?}");
                    return (last.resume_token, assert_error(Err::<(), _>(status), code, reason));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_watch_ends_with_the_certificate_of_its_caller() {
    let now = SystemTime::now();
    let validity = now - Duration::from_secs(60)..now + Duration::from_secs(5);
    let certificate = ClientCertificate::of("brief").group(User::Viewer.group());
    let somebody = guarded().await.with(certificate.clone().valid(validity.clone())).await;
    let watch = Watch::open(&somebody).await;
    let (token, status) = watch.ended(Code::Unauthenticated, "CREDENTIALS_INVALID").await;
    assert_eq!(status.detail(), "the credential has ended");
    let late = SystemTime::now().duration_since(validity.end - Duration::from_secs(1)).unwrap();
    assert!(late < ASKING, "it ended {late:?} too late");

    // The connection is still there, and of no more use.
    assert!(somebody.is_unknown().await.contains("has expired"));
    // With a new certificate it goes on where it was.
    let request = WatchNodesRequest {
        filter: r#"name = "worker-*""#.to_owned(),
        resume_token: token,
        ..WatchNodesRequest::default()
    };
    guarded().await.with(certificate).await.client().watch_nodes(request).await.unwrap();
}

#[tokio::test]
async fn a_watch_ends_with_the_token_of_its_caller() {
    let account = unique("brief");
    let mut jwt = Jwt::of(&token(&account).await);
    let _grant = Grant::to(Subject::service_account(NAMESPACE, &account), "nodeward-viewer").await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    jwt.claims["exp"] = json!(now + 6);
    let somebody = guarded().await.with_token(&jwt.signed().await).await;
    let watch = Watch::open(&somebody).await;
    watch.ended(Code::Unauthenticated, "CREDENTIALS_INVALID").await;
    // What Kubernetes said of it a few seconds ago does not count.
    assert!(somebody.is_unknown().await.contains("not valid"));
}

#[tokio::test]
async fn a_watch_ends_when_its_caller_loses_the_right() {
    let name = unique("watching");
    let grant = Grant::to(Subject::user(&name), "nodeward-viewer").await;
    let watch = Watch::open(&inquisitive().await.with(ClientCertificate::of(&name)).await).await;
    grant.take_away().await;
    let since = Instant::now();
    watch.ended(Code::PermissionDenied, "ACCESS_DENIED").await;
    assert!(since.elapsed() < ASKING, "it took {:?}", since.elapsed());
}

#[tokio::test]
async fn a_watch_ends_when_the_token_of_its_caller_is_revoked() {
    let account = unique("watching");
    let token = token(&account).await;
    let _grant = Grant::to(Subject::service_account(NAMESPACE, &account), "nodeward-viewer").await;
    let watch = Watch::open(&inquisitive().await.with_token(&token).await).await;
    let accounts: Api<ServiceAccount> = Api::namespaced(world().await.sandbox.client().await.unwrap(), NAMESPACE);
    accounts.delete(&account, &DeleteParams::default()).await.unwrap();
    let since = Instant::now();
    watch.ended(Code::Unauthenticated, "CREDENTIALS_INVALID").await;
    assert!(since.elapsed() < GOOD_FOR + ASKING, "it took {:?}", since.elapsed());
}

/// Whoever may go on is not disturbed, however often it is asked.
#[tokio::test]
async fn a_watch_goes_on_while_its_caller_may_read() {
    let somebody = inquisitive().await.user(User::Viewer).await;
    let mut watch = Watch::open(&somebody).await;
    let nodes = world().await.kubernetes().await;
    let purpose = unique("watched");
    let since = Instant::now();
    // Until it has been asked many times.
    for change in 0.. {
        set_label(&nodes, "worker-1", &purpose, Some(&change.to_string())).await;
        let change = eventually("the change", async || match watch.next().await.unwrap().event {
            Some(Event::Change(change)) => Some(change),
            _ => None,
        });
        change.await;
        if since.elapsed() > 10 * ASKED_EVERY {
            break;
        }
    }
}
