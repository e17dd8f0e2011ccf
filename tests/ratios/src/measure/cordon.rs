//! What it takes longer to cordon a node by nodeward than by a patch at the apiserver, and how many it can cordon at a time.
//!
//! nodeward's part holds all that it does in earnest: it finds out who calls, writes an audit record and waits until that is on the
//! disk, both before and after the change, and sends the change in the caller's name. The patch beside it comes from the same
//! caller, sets the same fields (`spec.unschedulable`, and an annotation as long as that of a claim) and answers in JSON too.
//!
//! For latency one change is under way at a time, and both sides take turns from change to change, so that each is measured in
//! the same second as the other: what counts is the difference of the medians in each block. For throughput blocks alternate, as
//! they do elsewhere, with 16 changes under way, each of another node.
//!
//! Each side has nodes of its own. It cordons all of them, one after the other, then uncordons them, and so on: the node controller
//! has its taint on a node long before the node's next turn.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::LocalBoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use nodeward_api::v1::{CordonNodeRequest, UncordonNodeRequest};
use nodeward_sandbox::Component;
use serde_json::{Value, json};

use crate::anchor::apiserver;
use crate::calls::{Ask, Asked, Cost, Pace, calls_cost, median_of, one_call, pairs};
use crate::client::{Call, Connection, Endpoint, Windows};
use crate::cpu;
use crate::ground::Ground;
use crate::pairs::rounds;
use crate::report::{Finding, Limit};
use crate::requests::Requests;
use crate::stats::{Estimate, median};

/// How many changes are under way when throughput is measured.
const CALLERS: usize = 16;

/// The milliseconds that nodeward may add, in the median.
const ADDED: Limit = Limit::AtMost(1.0);

/// The share of the patches' throughput that nodeward must have.
const THROUGHPUT: Limit = Limit::AtLeast(0.9);

/// Why nodes are cordoned.
const REASON: &str = "to see how long it takes";

pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>> {
    measure_and_tidy(ground).boxed_local()
}

async fn measure_and_tidy(ground: &Ground) -> Result<Vec<Finding>> {
    let found = measure(ground).await;
    uncordon_all(&ground.apiserver, ground.plan.nodes).await?;
    found
}

async fn measure(ground: &Ground) -> Result<Vec<Finding>> {
    let share = ground.plan.nodes / 3;
    let server = ground.server_pid()?;
    let ours = |first| Asked::new("nodeward", &ground.nodeward, server, by_nodeward(Nodes { first, share }));
    let patch = by_patch(Nodes { first: 2 * share, share });
    let direct = Asked::new("a direct patch", &ground.apiserver, ground.pid(Component::ApiServer)?, patch);
    // nodeward is first and last: the two are the same, and what differs is noise.
    let sides = [ours(0), direct, ours(share)];
    let latency = added_latency(ground, &sides).await?;
    Ok([latency, throughput(ground, &sides).await?].concat())
}

/// The nodes of a side.
#[derive(Clone, Copy)]
struct Nodes {
    first: usize,
    share: usize,
}

impl Nodes {
    /// The node of this change, and whether it is cordoned or uncordoned.
    fn turn(self, number: usize) -> (String, bool) {
        let is_cordon = (number / self.share).is_multiple_of(2);
        (format!("worker-{}", self.first + number % self.share + 1), is_cordon)
    }
}

fn by_nodeward(nodes: Nodes) -> Ask {
    one_call(move |number| {
        let (name, is_cordon) = nodes.turn(number);
        let (name, reason) = (format!("nodes/{name}"), REASON.to_owned());
        if is_cordon {
            let request = CordonNodeRequest { name, reason, ..CordonNodeRequest::default() };
            Call::grpc("/nodeward.v1.NodeService/CordonNode", &request)
        } else {
            let request = UncordonNodeRequest { name, reason, ..UncordonNodeRequest::default() };
            Call::grpc("/nodeward.v1.NodeService/UncordonNode", &request)
        }
    })
}

fn by_patch(nodes: Nodes) -> Ask {
    one_call(move |number| {
        let (name, is_cordon) = nodes.turn(number);
        let claim = json!([{ "owner": "system:serviceaccount:nodeward-system:ratios", "reason": REASON,
            "since": "2026-11-01T10:00:00.123456789Z" }]);
        patch(&name, if is_cordon { (json!(true), json!(claim.to_string())) } else { (Value::Null, Value::Null) })
    })
}

fn patch(node: &str, (unschedulable, claims): (Value, Value)) -> Call {
    let body = json!({
        "metadata": { "annotations": { "nodeward.dev/cordon-claims": claims } },
        "spec": { "unschedulable": unschedulable },
    });
    Call {
        method: http::Method::PATCH,
        path: format!("/api/v1/nodes/{node}?fieldManager=ratios"),
        headers: vec![("content-type", "application/merge-patch+json"), ("accept", apiserver::JSON)],
        body: body.to_string().into(),
        stays_open: false,
    }
}

/// The median milliseconds of each side, in each block.
async fn added_latency(ground: &Ground, sides: &[Asked; 3]) -> Result<Vec<Finding>> {
    let connect = sides.iter().map(|side| Connection::open(&side.endpoint, Windows::WIDE));
    let connections: Vec<Arc<Connection>> = stream::iter(connect).buffered(1).map_ok(Arc::new).try_collect().await?;
    let length = Duration::from_secs(ground.plan.seconds.into()) * 2;
    let mut medians: [Vec<f64>; 3] = Default::default();
    for _ in 0..ground.plan.pairs {
        let times = in_turns(sides, &connections, length).await?;
        for (medians, times) in medians.iter_mut().zip(times) {
            medians.extend(median(&times));
        }
    }
    let [ours, direct, again] = &medians;
    let added: Vec<f64> = differences(ours, direct).collect();
    let of = |times: &[f64]| median(times).unwrap_or_default();
    let sync = sync_time(&ground.sandbox.nodeward_dir())?;
    let finding = Finding {
        null: Estimate::of(&differences(ours, again).collect::<Vec<_>>()),
        notes: vec![
            format!("p50 {:.2} ms, a direct patch {:.2} ms; A/A is a difference too", of(ours), of(direct)),
            format!("of a change two audit records are written; the disk takes {sync:.2} ms for one, in the median"),
        ],
        ..Finding::absolute("cordon: added p50, beside a direct patch", "ms", &added, Some(ADDED))
    };
    Ok(vec![finding])
}

/// Lets the sides make one change each, again and again, every other time in the opposite order. The milliseconds that each took.
async fn in_turns(sides: &[Asked; 3], connections: &[Arc<Connection>], length: Duration) -> Result<[Vec<f64>; 3]> {
    let (begun, mut times) = (Instant::now(), <[Vec<f64>; 3]>::default());
    for turn in 0.. {
        for place in 0..sides.len() {
            let side = if turn % 2 == 0 { place } else { sides.len() - 1 - place };
            let (asked, connection) = (&sides[side], Arc::clone(&connections[side]));
            let (number, sent) = (asked.asked.fetch_add(1, Ordering::Relaxed), Instant::now());
            (asked.ask)(connection, number).await?;
            times[side].push(sent.elapsed().as_secs_f64() * 1e3);
        }
        if begun.elapsed() >= length {
            break;
        }
    }
    Ok(times)
}

fn differences(ours: &[f64], others: &[f64]) -> impl Iterator<Item = f64> {
    ours.iter().zip(others).map(|(ours, other)| ours - other)
}

/// What a block has cost, and what the apiserver had to do in it.
struct Block {
    cost: Cost,
    /// Microseconds of the apiserver for each change.
    apiserver: f64,
    /// What it was asked for each.
    requests: String,
}

async fn block(ground: &Ground, side: &Asked) -> Result<Block> {
    let length = Duration::from_secs(ground.plan.seconds.into());
    let (pace, api_server) = (Pace { callers: CALLERS, connections: 8, length }, [ground.pid(Component::ApiServer)?]);
    let (asked, used) = (Requests::at(&ground.admin).await?, cpu::used(&api_server)?);
    let cost = calls_cost(side, pace).await?;
    let apiserver = (cpu::used(&api_server)? - used).as_secs_f64() * 1e6 / cost.calls() as f64;
    let requests = Requests::at(&ground.admin).await?.for_each(&asked, cost.calls());
    Ok(Block { cost, apiserver, requests })
}

async fn throughput(ground: &Ground, sides: &[Asked; 3]) -> Result<Vec<Finding>> {
    let blocks = rounds(sides, ground.plan.pairs, async |side| block(ground, side).await).await?;
    let costs: Vec<Vec<Cost>> = blocks.iter().map(|side| side.iter().map(|block| block.cost).collect()).collect();
    let apiserver: Vec<Vec<f64>> =
        blocks.iter().map(|side| side.iter().map(|block| block.apiserver).collect()).collect();
    let ([ours, direct, again], [at_ours, at_direct, at_again]) = (&costs[..], &apiserver[..]) else {
        return Ok(Vec::new());
    };
    let server = median_of(ours, Cost::micros).unwrap_or_default();
    let rate = Finding {
        name: format!("cordon: changes a second, {CALLERS} at a time, beside direct patches"),
        unit: "/s",
        ours: median_of(ours, Cost::rate),
        anchor: median_of(direct, Cost::rate),
        ratio: Estimate::of_ratios(pairs(ours, direct, Cost::rate)),
        null: Estimate::of_ratios(pairs(ours, again, Cost::rate)),
        limit: Some(THROUGHPUT),
        notes: vec![format!("nodeward itself uses {server:.0} µs for each change")],
        ..Finding::default()
    };
    let ratios = |ours: &[f64], other: &[f64]| Estimate::of_ratios(ours.iter().copied().zip(other.iter().copied()));
    let cpu = Finding {
        name: "cordon: the apiserver's CPU per change, beside direct patches".to_owned(),
        unit: "µs",
        ours: median(at_ours),
        anchor: median(at_direct),
        ratio: ratios(at_ours, at_direct),
        null: ratios(at_ours, at_again),
        notes: blocks.iter().zip(sides).take(2).filter_map(|(side, asked)| describe(asked, side)).collect(),
        ..Finding::default()
    };
    Ok(vec![rate, cpu])
}

/// What the apiserver was asked in the last block.
fn describe(asked: &Asked, blocks: &[Block]) -> Option<String> {
    Some(format!("for each change of {} the apiserver was asked {}", asked.name, blocks.last()?.requests))
}

/// The milliseconds that the disk of this directory takes until a record is on it.
fn sync_time(dir: &Path) -> Result<f64> {
    let (mut file, mut times) = (tempfile(dir)?, Vec::new());
    for _ in 0..50 {
        file.write_all(&[b'x'; 700])?;
        let begun = Instant::now();
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&times).unwrap_or_default())
}

/// A file that is gone when it is closed.
fn tempfile(dir: &Path) -> Result<File> {
    let path = dir.join("sync-time");
    let file = File::create(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Makes all nodes as they were.
async fn uncordon_all(apiserver: &Endpoint, nodes: usize) -> Result<()> {
    let connection = &Connection::open(apiserver, Windows::WIDE).await?;
    let calls = (1..=nodes).map(|number| patch(&format!("worker-{number}"), (Value::Null, Value::Null)));
    let calls = calls.map(|call| async move { connection.ask(&call).await.map(drop) });
    stream::iter(calls).buffer_unordered(CALLERS).try_collect().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_cordons_all_its_nodes_then_uncordons_them() {
        let nodes = Nodes { first: 10, share: 2 };
        let turns: Vec<_> = (0..5).map(|number| nodes.turn(number)).collect();
        let turn = |name: &str, is_cordon| (name.to_owned(), is_cordon);
        assert_eq!(
            turns,
            [
                turn("worker-11", true),
                turn("worker-12", true),
                turn("worker-11", false),
                turn("worker-12", false),
                turn("worker-11", true)
            ]
        );
    }
}
