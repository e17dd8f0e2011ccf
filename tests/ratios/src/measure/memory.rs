//! The memory of the nodeward server, by the nodes and the pods of its cluster.
//!
//! Each figure is of a server that has just been started: what is resident when it is ready and at rest, what is when it has planned
//! a drain, for which it looks at all pods, and the most that was between. The limit is for the most: that is what a container's
//! limit must allow. The slopes are those of straight lines through all sizes; what the first and the second half of the sizes would
//! give by themselves is told too, and is about the same where memory is linear.
//!
//! The apiserver can't make 150,000 pods in bounded time, so they are written into etcd as it would have stored them (`fill`): the
//! apiserver itself then lists and watches them. A stand-in for the apiserver would be as quick, but it is the apiserver's way
//! to page and to stream that decides on how much a client has in its hands at a time. Whoever would act on so many pods and
//! nodes is paused meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use nodeward_api::v1::{ListNodesRequest, ListNodesResponse, PlanDrainRequest};
use nodeward_sandbox::Component;
use prost::Message;
use tokio::time::sleep;

use crate::client::{Call, Connection, Endpoint, Windows};
use crate::cpu;
use crate::fill::{Filler, count};
use crate::ground::Ground;
use crate::report::{Finding, Limit};

/// In MB, for all nodes and pods.
const MOST: Limit = Limit::AtMost(500.0);

const MB: f64 = 1e6;

/// Who would act on nodes and pods that nobody has asked them for.
const ACTORS: [Component; 3] = [Component::ControllerManager, Component::Scheduler, Component::Kwok];

/// How long a server rests before its memory is read.
const SETTLE: Duration = Duration::from_secs(2);

/// How long the control plane may take to know of what was written, and a server to know of all nodes.
const PATIENCE: Duration = Duration::from_secs(300);

pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>> {
    measure_and_tidy(ground).boxed_local()
}

async fn measure_and_tidy(ground: &Ground) -> Result<Vec<Finding>> {
    let filler = Filler::new(&ground.etcd).await?;
    for actor in ACTORS {
        ground.sandbox.pause(actor).await?;
    }
    let found = measure(ground, &filler).await;
    filler.clear().await?;
    until_counted(ground, ground.plan.nodes, 0).await?;
    for actor in ACTORS {
        ground.sandbox.resume(actor).await?;
    }
    found
}

async fn measure(ground: &Ground, filler: &Filler) -> Result<Vec<Finding>> {
    let (nodes, pods) = (ground.plan.nodes, ground.plan.pick(150_000, 10_000));
    let mut by_nodes = vec![Sample::of(ground, nodes, 0).await?];
    for half in 0..2 {
        filler.copy_nodes(nodes * half / 2 + 1..nodes * (half + 1) / 2 + 1).await?;
        by_nodes.push(Sample::of(ground, nodes + nodes * (half + 1) / 2, 0).await?);
    }
    filler.clear().await?;
    let mut by_pods = vec![by_nodes[0]];
    for half in 0..2 {
        filler.make_pods(pods * half / 2..pods * (half + 1) / 2, nodes).await?;
        by_pods.push(Sample::of(ground, nodes, pods * (half + 1) / 2).await?);
    }
    let all = by_pods[2];
    Ok(vec![
        figure(format!("memory: at the start, {nodes} nodes and {pods} pods"), "MB", all.rest / MB, Some(MOST)),
        figure(format!("memory: at most, {nodes} nodes and {pods} pods"), "MB", all.most / MB, Some(MOST)),
        slope("memory: for each node, at the start", &by_nodes, |sample| (sample.nodes as f64, sample.rest)),
        slope("memory: for each pod, at the start", &by_pods, |sample| (sample.pods as f64, sample.rest)),
        slope("memory: for each pod, after a plan", &by_pods, |sample| (sample.pods as f64, sample.after)),
        slope("memory: for each pod, at most", &by_pods, |sample| (sample.pods as f64, sample.most)),
    ])
}

/// The memory of a server in front of so much, in bytes.
#[derive(Clone, Copy, Debug)]
struct Sample {
    nodes: usize,
    pods: usize,
    /// When it was ready and had nothing to do.
    rest: f64,
    /// When it had planned a drain and again had nothing to do.
    after: f64,
    /// At most, when it had planned a drain.
    most: f64,
}

impl Sample {
    async fn of(ground: &Ground, nodes: usize, pods: usize) -> Result<Self> {
        until_counted(ground, nodes, pods).await?;
        let another = ground.start_another().await?;
        let (server, endpoint) = (&another.server, &another.endpoint);
        let connection = Connection::open(endpoint, Windows::WIDE).await?;
        until(async || Ok(nodes_at(&connection).await? == nodes)).await.context("nodeward to know all nodes")?;
        sleep(SETTLE).await;
        let rest = cpu::resident(server.id())? as f64;
        let begun = Instant::now();
        connection.ask(&plan_of_a_drain()).await.context("plan a drain")?;
        let took = begun.elapsed();
        sleep(SETTLE).await;
        let (after, most) = (cpu::resident(server.id())? as f64, cpu::most_resident(server.id())? as f64);
        let [rest_mb, after_mb, most_mb] = [rest, after, most].map(|bytes| bytes / MB);
        eprintln!(
            "  {nodes} nodes, {pods} pods: {rest_mb:.1} MB, after a plan ({took:.1?}) {after_mb:.1} MB, at most {most_mb:.1} MB"
        );
        another.server.stop(Duration::from_secs(10)).await;
        Ok(Self { nodes, pods, rest, after, most })
    }
}

fn plan_of_a_drain() -> Call {
    let request = PlanDrainRequest { name: "nodes/worker-1".to_owned(), ..PlanDrainRequest::default() };
    let mut call = Call::grpc("/nodeward.v1.DrainService/PlanDrain", &request);
    call.headers.push(("grpc-timeout", "300S"));
    call
}

async fn nodes_at(connection: &Connection) -> Result<usize> {
    let request = ListNodesRequest { page_size: 1, ..ListNodesRequest::default() };
    let answer = connection.ask(&Call::grpc("/nodeward.v1.NodeService/ListNodes", &request)).await?;
    let list = ListNodesResponse::decode(answer.get(5..).unwrap_or_default())?;
    Ok(list.total_size as usize)
}

/// Waits until the apiserver knows of so many nodes and pods.
async fn until_counted(ground: &Ground, nodes: usize, pods: usize) -> Result<()> {
    let are = async |endpoint: &Endpoint, plural, expected| {
        Ok::<_, anyhow::Error>(count(endpoint, plural).await? == expected)
    };
    let both = async || Ok(are(&ground.admin, "nodes", nodes).await? && are(&ground.admin, "pods", pods).await?);
    until(both).await.with_context(|| format!("the apiserver to know {nodes} nodes and {pods} pods"))
}

async fn until(is_so: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await? {
        if Instant::now() > deadline {
            bail!("it did not come about in {PATIENCE:?}");
        }
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

fn figure(name: impl Into<String>, unit: &'static str, value: f64, limit: Option<Limit>) -> Finding {
    Finding { name: name.into(), unit, ours: Some(value), limit, ..Finding::default() }
}

/// The bytes for each more, and what it would be by the first and by the second half of the samples.
fn slope(name: &str, samples: &[Sample], of: fn(&Sample) -> (f64, f64)) -> Finding {
    let points: Vec<_> = samples.iter().map(of).collect();
    let steps: Vec<_> = points.windows(2).map(|pair| format!("{:.0}", slope_of(pair))).collect();
    let sizes: Vec<_> = points.iter().map(|(size, bytes)| format!("{size}: {:.1} MB", bytes / MB)).collect();
    let notes = vec![format!("{}; from one to the next {} B", sizes.join(", "), steps.join(" and "))];
    Finding { notes, ..figure(name, "B", slope_of(&points), None) }
}

/// The slope of the straight line with the least squares.
fn slope_of(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (mean_x, mean_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (above, below) = points.iter().fold((0.0, 0.0), |(above, below), (x, y)| {
        (above + (x - mean_x) * (y - mean_y), below + (x - mean_x) * (x - mean_x))
    });
    above / below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_of_a_line_is_its_slope() {
        assert!((slope_of(&[(0.0, 5.0), (10.0, 25.0), (20.0, 45.0)]) - 2.0).abs() < 1e-9);
    }
}
