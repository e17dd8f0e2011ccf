//! 10,000 streams and one change each second for a minute: every stream has every change, in order; the server's memory stays as
//! it is; and the apiserver sees one watch.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::FutureExt;
use futures::future::LocalBoxFuture;

use crate::cpu;
use crate::ground::Ground;
use crate::report::{Finding, Limit};
use crate::stats::Estimate;
use crate::watchers::{Shape, Watchers};

const PATIENCE: Duration = Duration::from_secs(60);

/// How much more memory the server may have at the end than in the middle.
const GROWTH: f64 = 1.05;

pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>> {
    measure(ground).boxed_local()
}

async fn measure(ground: &mut Ground) -> Result<Vec<Finding>> {
    let streams = ground.plan.pick(10_000, 1_000);
    let half = Duration::from_secs(ground.plan.pick(30, 5));
    let system = ground.our_watch()?;
    let watchers = Watchers::open(&system, Shape::of(streams)).await.context("open the streams")?;
    let mut memory = Vec::new();
    let mut changes = 0;
    for _ in 0..2 {
        changes += ground.writer.write(1.0, half).await?.count();
        watchers.have((changes * streams) as u64, PATIENCE).await?;
        memory.push(cpu::resident(ground.server_pid()?)? as f64 / f64::from(1 << 20));
    }
    let complete = watchers.complete(changes as u64);
    let upstream = upstream_watches(ground).await?;
    drop(watchers);
    Ok(vec![
        Finding {
            name: format!("watch: streams of {streams} that had all {changes} changes in order"),
            ours: Some(complete as f64),
            limit: Some(Limit::AtLeast(streams as f64)),
            ..Finding::default()
        },
        Finding {
            name: format!("watch: memory with {streams} streams, at the end / in the middle"),
            unit: "MB",
            ours: Some(memory[1]),
            anchor: Some(memory[0]),
            ratio: Estimate::of(&[memory[1] / memory[0]]),
            limit: Some(Limit::AtMost(GROWTH)),
            ..Finding::default()
        },
        Finding {
            name: format!("watch: watches of nodes at the apiserver for {streams} streams"),
            ours: Some(upstream),
            limit: Some(Limit::AtMost(1.0)),
            ..Finding::default()
        },
    ])
}

/// How many watches of nodes the apiserver has for the server: as many as it has fewer once the server is gone.
async fn upstream_watches(ground: &mut Ground) -> Result<f64> {
    let before = ground.watches_at_apiserver().await?;
    ground.stop_server().await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    let mut after = ground.watches_at_apiserver().await?;
    while after >= before && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
        after = ground.watches_at_apiserver().await?;
    }
    ground.start_server_again().await?;
    anyhow::ensure!(after < before, "the apiserver has {before} watches of nodes with the server and {after} without");
    Ok(before - after)
}
