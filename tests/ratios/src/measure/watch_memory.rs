//! What a stream costs in memory: 3,000 that read and have nothing to read, and some that never read what there is.
//!
//! Each time the server is new, so that nothing it freed before hides what it takes now. What it takes for connections is in the
//! figure; what the changes themselves take, which it keeps for everybody, is measured before and taken off.

use std::time::Duration;

use anyhow::Result;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use nodeward_sandbox::Component;
use tokio::time::sleep;

use crate::cpu;
use crate::ground::Ground;
use crate::report::{Finding, Limit};
use crate::watchers::{Shape, Watchers};

/// What an idle stream may take, in bytes.
const IDLE: f64 = 5.0 * 1024.0;

/// What a stalled stream may take: the server's send buffer of a stream (`SEND_BUFFER` in service/src/transport/limits.rs), and
/// 16 KB.
const STALLED: f64 = (16.0 + 16.0) * 1024.0;

/// How many streams are stalled.
const STALLED_STREAMS: usize = 500;

/// So many changes are far more than a stalled stream has room for.
const FILL: (f64, Duration) = (50.0, Duration::from_secs(4));

/// How long the server is left alone before its memory is read.
const REST: Duration = Duration::from_secs(2);

pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>> {
    measure(ground).boxed_local()
}

async fn measure(ground: &mut Ground) -> Result<Vec<Finding>> {
    let (streams, repeats) = (ground.plan.pick(3_000, 1_000), ground.plan.pick(5, 1));
    let (mut idle, mut stalled) = (Vec::new(), Vec::new());
    for _ in 0..repeats {
        ground.restart_server().await?;
        idle.push(idle_stream(ground, streams).await?);
        ground.restart_server().await?;
        stalled.push(stalled_stream(ground).await?);
    }
    let limit = |bytes| Some(Limit::AtMost(bytes));
    Ok(vec![
        Finding {
            anchor: Some(idle_stream_of_the_apiserver(ground, streams).await?),
            ..Finding::absolute(format!("watch: memory per idle stream, {streams} streams"), "B", &idle, limit(IDLE))
        },
        Finding::absolute("watch: memory per stalled stream", "B", &stalled, limit(STALLED)),
    ])
}

async fn idle_stream(ground: &Ground, streams: usize) -> Result<f64> {
    let system = ground.our_watch()?;
    // What is needed once is there before anything counts.
    drop(Watchers::open(&system, Shape::of(10)).await?);
    let before = resident(ground.server_pid()?).await?;
    let _watchers = Watchers::open(&system, Shape::of(streams)).await?;
    Ok((resident(ground.server_pid()?).await? - before) / streams as f64)
}

async fn idle_stream_of_the_apiserver(ground: &Ground, streams: usize) -> Result<f64> {
    let [protobuf, ..] = ground.other_watches()?;
    let pid = ground.pid(Component::ApiServer)?;
    let before = resident(pid).await?;
    let _watchers = Watchers::open(&protobuf, Shape::of(streams)).await?;
    Ok((resident(pid).await? - before) / streams as f64)
}

async fn stalled_stream(ground: &Ground) -> Result<f64> {
    let (server, (rate, length)) = (ground.server_pid()?, FILL);
    let before = resident(server).await?;
    ground.writer.write(rate, length).await?;
    let changes = resident(server).await? - before;

    let before = resident(server).await?;
    let _stalled = Watchers::open(&ground.our_watch()?, Shape::of(STALLED_STREAMS).stalled()).await?;
    ground.writer.write(rate, length).await?;
    Ok((resident(server).await? - before - changes) / STALLED_STREAMS as f64)
}

async fn resident(pid: u32) -> Result<f64> {
    sleep(REST).await;
    Ok(cpu::resident(pid)? as f64)
}
