//! How long the nodeward server takes until it is ready, and until its watches deliver again after the apiserver was killed.
//!
//! Both depend on how long the apiserver takes to list all nodes, which the server must wait for. So the same list (in JSON, from
//! the apiserver's cache) is asked for directly in the same run: its share is what no server could save that reads JSON.
//!
//! - Start: from the start of the process until it says over gRPC that it is ready, which it is with all nodes in its cache.
//! - Recovery: the apiserver is killed (SIGKILL) and started again, while streams are open at nodeward. From then on a change is
//!   tried until the apiserver takes one; what counts is from there until all the streams have brought it, none of which
//!   may end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use nodeward_sandbox::Component;
use tokio::time::sleep;

use crate::anchor::apiserver;
use crate::client::{Call, Connection, Endpoint, Windows};
use crate::ground::Ground;
use crate::report::Finding;
use crate::stats::{Estimate, median};
use crate::watchers::{Shape, Watchers};

/// How many streams wait for the apiserver to come back.
const STREAMS: usize = 10;

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>> {
    measure(ground).boxed_local()
}

async fn measure(ground: &mut Ground) -> Result<Vec<Finding>> {
    Ok(vec![starts(ground).await?, recoveries(ground).await?])
}

async fn starts(ground: &Ground) -> Result<Finding> {
    let (mut starts, mut lists) = (Vec::new(), Vec::new());
    for _ in 0..ground.plan.pairs {
        lists.push(millis(list_time(&ground.apiserver).await?));
        let another = ground.start_another().await?;
        another.server.stop(Duration::from_secs(10)).await;
        starts.push(millis(another.start));
    }
    let name = "start: until it is ready, beside a list at the apiserver".to_owned();
    Ok(beside_lists(name, &starts, &lists))
}

async fn recoveries(ground: &mut Ground) -> Result<Finding> {
    let (mut recoveries, mut lists, mut outages) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ground.plan.pick(5, 1) {
        let recovery = recover(ground).await?;
        lists.push(millis(list_time(&ground.apiserver).await?));
        recoveries.push(millis(recovery.delivered));
        outages.push(millis(recovery.outage));
    }
    let outage = median(&outages).unwrap_or_default();
    let mut finding =
        beside_lists("start: recovery after the apiserver's, beside a list there".to_owned(), &recoveries, &lists);
    finding
        .notes
        .push(format!("the apiserver took no change for {outage:.0} ms after it was killed and started again"));
    Ok(finding)
}

/// What came back when.
struct Recovery {
    /// From the apiserver's death until it took a change.
    outage: Duration,
    /// From there until the change was everywhere.
    delivered: Duration,
}

async fn recover(ground: &mut Ground) -> Result<Recovery> {
    let watchers = Watchers::open(&ground.our_watch()?, Shape::of(STREAMS)).await?;
    ground.sandbox.kill(Component::ApiServer).await?;
    let killed = Instant::now();
    let restart = ground.sandbox.restart(Component::ApiServer);
    let change = async {
        while killed.elapsed() < PATIENCE {
            // Until the apiserver is there, there is nobody to connect to, or nobody who may change anything.
            let connected = ground.writer.reconnect(&ground.admin).await;
            if connected.is_ok() && ground.writer.write(1.0, Duration::from_secs(1)).await.is_ok() {
                let taken = Instant::now();
                watchers.have(STREAMS as u64, PATIENCE).await.context("the change after the recovery")?;
                return Ok(Recovery { outage: taken - killed, delivered: taken.elapsed() });
            }
            sleep(Duration::from_millis(10)).await;
        }
        bail!("the apiserver took no change in {PATIENCE:?}")
    };
    let (restarted, recovery) = tokio::join!(restart, change);
    restarted?;
    recovery
}

/// How long the apiserver takes to list all nodes, until the last byte is here.
async fn list_time(apiserver: &Endpoint) -> Result<Duration> {
    let connection = Connection::open(apiserver, Windows::WIDE).await?;
    let begun = Instant::now();
    connection.ask(&Call::get("/api/v1/nodes?resourceVersion=0", apiserver::JSON)).await?;
    Ok(begun.elapsed())
}

fn beside_lists(name: String, times: &[f64], lists: &[f64]) -> Finding {
    let ratio = Estimate::of_ratios(times.iter().copied().zip(lists.iter().copied()));
    let shares: Vec<f64> = times.iter().zip(lists).map(|(time, list)| 100.0 * list / time).collect();
    let share = median(&shares).unwrap_or_default();
    let notes = vec![format!("the apiserver's own list is {share:.0} % of it")];
    Finding { name, unit: "ms", ours: median(times), anchor: median(lists), ratio, notes, ..Finding::default() }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
