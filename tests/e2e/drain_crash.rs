//! Drains whose servers are killed: the node ends as it would have without that, and no pod is removed twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

use crate::support::drains::{Ground, Replica, Site, seed, shared_ground, times};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_after_any_write_leaves_a_drain_that_the_next_one_ends() {
    let ground = &Ground::start(2).await;
    let mut server = Replica::start(ground).await;
    let mut site = Site::new(ground).await;
    // How often a drain is written down differs, as events come together or apart: until one has ended before.
    for write in 1..=times(9, usize::MAX) {
        let drain = site.drain(ground).await;
        let (is_reached, next) = tokio::join!(drain.story.writes(write), Site::new(ground));
        if is_reached {
            server.kill().await;
            server = Replica::start(ground).await;
        }
        drain.ends_well(ground).await;
        if !is_reached {
            break;
        }
        site = next;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_are_killed_at_any_moment_end_every_drain() {
    let ground = &*shared_ground().await;
    let mut random = StdRng::seed_from_u64(seed());
    let mut replicas = [Replica::start(ground).await, Replica::start(ground).await];
    let is_over = AtomicBool::new(false);
    let drains = async {
        while !is_over.load(Ordering::Relaxed) {
            Site::new(ground).await.drain(ground).await.ends_well(ground).await;
        }
    };
    let kills = async {
        for _ in 0..times(6, 30) {
            sleep(Duration::from_millis(random.random_range(0..6000))).await;
            let replica = &mut replicas[random.random_range(0..2)];
            let next = Replica::start(ground).await;
            std::mem::replace(replica, next).kill().await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(drains, kills);
}
