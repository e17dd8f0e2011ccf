//! Drains whose servers are killed: the node ends as it would have without that, and no pod is removed twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

use crate::support::crash::{Ground, Replica, Site, seed, shared_ground, times};

/// How often the drain of a site is written down: now and then once or twice more, as events come together or apart.
const WRITES: usize = 14;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_after_any_write_leaves_a_drain_that_the_next_one_ends() {
    let ground = &Ground::start(2).await;
    let mut server = Replica::start(ground).await;
    let mut site = Site::new(ground).await;
    // Two writes a drain, so that it does not take so long; where there is time, also each by itself.
    let pairs = (1..=WRITES / 2).map(|write| vec![write, write + WRITES / 2]);
    let singles = (1..=times(0, WRITES + 2)).map(|write| vec![write]);
    for writes in pairs.chain(singles) {
        let drain = site.drain(ground).await;
        let kills = async {
            for write in writes {
                if drain.story.writes(write).await {
                    server.kill().await;
                    server = Replica::start(ground).await;
                }
            }
            server
        };
        (server, site) = tokio::join!(kills, Site::new(ground));
        drain.ends_well(ground).await;
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
