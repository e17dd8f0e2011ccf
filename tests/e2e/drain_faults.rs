//! Drains while what they stand on stands still, is cut off or is gone: the server that leads, the network, the apiserver, etcd.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use nodeward_sandbox::Component;
use nodeward_server::operation::State;
use tokio::time::{sleep, timeout};

use crate::support::crash::{Ended, Ground, Replica, Site, shared_ground, times};

/// How soon a drain goes on once it can.
const SOON: Duration = Duration::from_secs(20);

/// Does this to the leader of a drain that waits for a budget, until another leads; then lets it go on, in the moment in which the
/// budget opens.
async fn overtake(ground: &Ground, leader: &Replica, harm: impl Fn(), mend: impl Fn()) {
    let other = Replica::start(ground).await;
    loop {
        let drain = Site::gated(ground).await.drain(ground).await;
        let waiting = drain.story.until("it waits for the budget", |status| status.state == State::Blocked).await;
        harm();
        let taken = drain.story.until("another leads", |status| status.term > waiting.term).await;
        let mended = Timestamp::now();
        mend();
        drain.open_gate().await;
        let Ended { asked, status } = drain.ends_well(ground).await;
        let by_old = asked.iter().filter(|asked| asked.credential == leader.credential);
        assert!(by_old.clone().count() > 0, "it was the leader");
        // On a machine with other things to do the old leader can come to lead again.
        if status.term == taken.term {
            let late: Vec<_> = by_old.filter(|asked| asked.at >= mended).collect();
            assert!(
                late.iter().all(|asked| !asked.is_removal() && !asked.is_done()),
                "it has been replaced: {late:#?}"
            );
            break;
        }
    }
    other.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_wakes_after_its_lease_does_nothing() {
    let ground = &*shared_ground().await;
    for _ in 0..times(1, 5) {
        let leader = Replica::start(ground).await.leads().await;
        overtake(ground, &leader, || leader.process.pause(), || leader.process.resume()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_cut_off_for_longer_than_its_lease_does_nothing() {
    let ground = &*shared_ground().await;
    for _ in 0..times(1, 5) {
        let (leader, proxy) = Replica::start_behind_a_proxy(ground).await;
        let leader = leader.leads().await;
        overtake(ground, &leader, || proxy.stall(), || proxy.mend()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_goes_on_when_the_apiserver_is_back() {
    let ground = &*shared_ground().await;
    let _server = Replica::start(ground).await.leads().await;
    for round in 0..times(2, 10) {
        let drain = Site::new(ground).await.drain(ground).await;
        drain.story.writes(2 + 2 * (round % 4)).await;
        ground.sandbox.kill(Component::ApiServer).await.unwrap();
        ground.sandbox.restart(Component::ApiServer).await.unwrap();
        timeout(SOON, drain.story.goes_on()).await.expect("it goes on soon");
        drain.ends_well_by_a_broken_account(ground).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_goes_on_when_etcd_has_stood_still() {
    let ground = &*shared_ground().await;
    let _server = Replica::start(ground).await.leads().await;
    for round in 0..times(1, 5) {
        let drain = Site::new(ground).await.drain(ground).await;
        drain.story.writes(3 + round).await;
        ground.sandbox.pause(Component::Etcd).await.unwrap();
        sleep(Duration::from_secs(10)).await;
        ground.sandbox.resume(Component::Etcd).await.unwrap();
        timeout(SOON, drain.story.goes_on()).await.expect("it goes on soon");
        drain.ends_well_by_a_broken_account(ground).await;
    }
}
