//! Clients that make up tokens: they are soon asked about no further, and whoever is known gets in all the while, from
//! wherever.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use nodeward_sandbox::{Subject, User};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::guarded::{Guarded, options, rbac_only};
use crate::support::somebody::Somebody;
use crate::support::tokens::{NAMESPACE, token};
use crate::support::{assert_error, eventually, unique, world};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// How long a known caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Attackers who show one made up token after another.
struct Attack {
    is_over: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
    attackers: Vec<JoinHandle<()>>,
}

impl Attack {
    /// On some connections from this address.
    async fn from(address: IpAddr, server: &Guarded) -> Self {
        let (is_over, refused) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let channels = join_all((0..2).map(|_| server.nobody_from(address))).await;
        let attackers: Vec<_> = channels
            .into_iter()
            .map(|nobody| {
                let (is_over, refused) = (is_over.clone(), refused.clone());
                tokio::spawn(async move {
                    while !is_over.load(Ordering::Relaxed) {
                        let shows = |_| made_up(nobody.clone());
                        for answer in join_all((0..16).map(shows)).await {
                            refused.fetch_add(
                                usize::from(answer.as_deref() == Some("AUTHENTICATION_OVERLOADED")),
                                Ordering::Relaxed,
                            );
                        }
                    }
                })
            })
            .collect();
        Self { is_over, refused, attackers }
    }

    /// Waits until it is not asked any more whose their tokens are.
    async fn is_refused(&self) {
        eventually("attackers are refused", async || (self.refused.load(Ordering::Relaxed) > 100).then_some(())).await;
    }

    async fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        for attacker in self.attackers {
            attacker.await.unwrap();
        }
    }
}

/// Shows a made up token: the reason with which it is refused, if it was not the connection that was given up.
async fn made_up(nobody: Somebody) -> Option<String> {
    let token = format!("Bearer {:032x}", rand::random::<u128>());
    let refused = nobody.saying("authorization", &token).ask("GetNode", "worker-1").await.unwrap_err();
    refused.get_details_error_info().map(|info| info.reason)
}

/// An account that may read, and its token, which the server has not seen yet.
async fn viewer_token() -> String {
    let account = unique("flooded");
    let token = token(&account).await;
    world().await.sandbox.bind(&Subject::service_account(NAMESPACE, &account), "nodeward-viewer").await.unwrap();
    token
}

async fn gets_in(somebody: &Somebody) {
    timeout(PATIENCE, somebody.ask("GetNode", "worker-1")).await.expect("an answer in time").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_known_gets_in_while_others_make_up_tokens() {
    let server = Guarded::start(rbac_only().await, options().await).await;
    let before = viewer_token().await;
    let known = server.with_token(&before).await;
    gets_in(&known).await;

    for address in [ELSEWHERE, HERE] {
        let attack = Attack::from(address, &server).await;
        attack.is_refused().await;
        for _ in 0..5 {
            // Who was known before, also on a new connection, who comes with a token that the server has not seen, and who has
            // a certificate.
            gets_in(&known).await;
            gets_in(&server.with_token(&before).await).await;
            gets_in(&server.with_token(&viewer_token().await).await).await;
            gets_in(&server.user(User::Viewer).await).await;
        }
        attack.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_refused_for_the_tokens_of_others_is_told_when_to_try_again() {
    let server = Guarded::start(rbac_only().await, options().await).await;
    let attack = Attack::from(HERE, &server).await;
    attack.is_refused().await;
    let nobody = server.nobody().await;
    made_up(nobody.clone()).await;
    let refused = eventually("a refusal", async || {
        let refused = nobody.clone().saying("authorization", &format!("Bearer {}", unique("made-up")));
        let refused = refused.ask("GetNode", "worker-1").await.unwrap_err();
        (refused.code() == Code::ResourceExhausted).then_some(refused)
    })
    .await;
    assert!(refused.get_details_retry_info().unwrap().retry_delay.unwrap() <= Duration::from_secs(1));
    assert_eq!(refused.get_details_quota_failure().unwrap().violations.len(), 1);
    assert_error(Err::<(), _>(refused), Code::ResourceExhausted, "AUTHENTICATION_OVERLOADED");
    attack.end().await;
}
