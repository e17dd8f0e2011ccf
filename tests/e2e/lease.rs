//! Leadership on the real apiserver: one at a time, handed over at once, and lost before another gets it.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use nodeward_sandbox::SERVER_NAMESPACE;
use nodeward_server::cluster::lease::{Elector, LeaseTiming};
use nodeward_server::cluster::{Cluster, ClusterOptions, Connection};
use tokio::time::{Instant, timeout};

use crate::support::guarded::rbac_only;
use crate::support::proxy::Proxy;
use crate::support::{unique, world};

/// Shorter than those of a server, so that nobody waits long here.
const TIMING: LeaseTiming = LeaseTiming {
    duration: Duration::from_secs(3),
    renew_deadline: Duration::from_secs(2),
    retry: Duration::from_millis(400),
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

async fn elector_of(options: ClusterOptions, lease: &str, who: &str) -> Elector {
    let options = ClusterOptions { namespace: Some(SERVER_NAMESPACE.to_owned()), ..options };
    Cluster::new(Connection::open(&options).await.unwrap()).elector(lease, who, TIMING)
}

/// With the rights of deploy/rbac and no others.
async fn elector(lease: &str, who: &str) -> Elector {
    elector_of(rbac_only().await, lease, who).await
}

async fn elector_behind(kubeconfig: &Path, lease: &str) -> Elector {
    let options = ClusterOptions { kubeconfig: Some(kubeconfig.to_owned()), ..ClusterOptions::default() };
    elector_of(options, lease, "cut-off").await
}

async fn in_kubernetes(lease: &str) -> Lease {
    let client = world().await.sandbox.client().await.unwrap();
    Api::namespaced(client, SERVER_NAMESPACE).get(lease).await.unwrap()
}

#[tokio::test]
async fn of_several_one_holds_it_and_the_lease_says_which() {
    let lease = unique("lease");
    let mut electors = [elector(&lease, "a").await, elector(&lease, "b").await, elector(&lease, "c").await];
    let [a, b, c] = &mut electors;
    let first = timeout(PATIENCE, a.acquire()).await.unwrap();
    let others = async {
        tokio::select! { _ = b.acquire() => {}, _ = c.acquire() => {} }
    };
    assert!(timeout(2 * TIMING.duration, others).await.is_err());
    assert!(first.term().is_valid());

    let spec = in_kubernetes(&lease).await.spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some(a.holder()));
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(3), Some(1)));
}

#[tokio::test]
async fn who_gives_it_up_hands_it_over_at_once_in_a_new_epoch() {
    let lease = unique("lease");
    let [mut a, mut b] = [elector(&lease, "a").await, elector(&lease, "b").await];
    let mut epochs = Vec::new();
    for _ in 0..3 {
        let first = timeout(PATIENCE, a.acquire()).await.unwrap();
        epochs.push(first.term().epoch());
        let term = first.term().clone();
        let hand_over = async {
            first.release().await;
            Instant::now()
        };
        let (released, next) = tokio::join!(hand_over, timeout(PATIENCE, b.acquire()));
        // A pause is shorter than this; the rest is for the requests, on a machine that has other things to do.
        assert!(released.elapsed() < 2 * TIMING.retry, "{:?}", released.elapsed());
        let next = next.unwrap();
        assert!(!term.is_valid());
        epochs.push(next.term().epoch());
        next.release().await;
    }
    assert_eq!(epochs, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn who_can_not_reach_the_apiserver_has_lost_it_before_another_gets_it() {
    let lease = unique("lease");
    for is_stalled in [false, true] {
        let proxy = Proxy::start(&world().await.sandbox).await;
        let [mut a, mut b] = [elector_behind(proxy.kubeconfig(), &lease).await, elector(&lease, "b").await];
        let first = timeout(PATIENCE, a.acquire()).await.unwrap();
        assert!(timeout(TIMING.duration, b.acquire()).await.is_err(), "it is renewed");
        if is_stalled {
            proxy.stall();
        } else {
            proxy.cut();
        }
        let lost = async {
            first.term().lost().await;
            Instant::now()
        };
        let gained = async {
            let next = timeout(PATIENCE, b.acquire()).await.unwrap();
            (Instant::now(), next)
        };
        let (lost, (gained, next)) = tokio::join!(lost, gained);
        assert!(gained > lost);
        assert!(next.term().epoch() > first.term().epoch());
        // What was held back must not bring it back.
        proxy.mend();
        assert!(timeout(TIMING.duration, next.term().lost()).await.is_err());
        assert!(!first.term().is_valid());
        next.release().await;
    }
}

#[tokio::test]
async fn it_is_held_through_an_outage_that_is_shorter_than_its_time() {
    let lease = unique("lease");
    let proxy = Proxy::start(&world().await.sandbox).await;
    let mut a = elector_behind(proxy.kubeconfig(), &lease).await;
    let leadership = timeout(PATIENCE, a.acquire()).await.unwrap();
    proxy.stall();
    proxy.holds_something().await;
    proxy.mend();
    assert!(timeout(2 * TIMING.duration, leadership.term().lost()).await.is_err());
    assert_eq!(leadership.term().epoch(), 1);
}
