//! How the cost of an event grows with the number of streams and of nodes.
//!
//! With few streams what a change costs once, whoever watches, is shared by few; so the cost per event falls until what each
//! delivery costs is left, and is flat from there on. With more nodes it is flat.

use std::time::Duration;

use anyhow::Result;
use futures::FutureExt;
use futures::future::LocalBoxFuture;

use crate::args::Plan;
use crate::ground::Ground;
use crate::load::{Load, watch_cost};
use crate::report::Finding;
use crate::report::plot::{Curve, Plot};
use crate::stats::median;
use crate::system::System;

/// How many streams there are with any number of nodes.
const STREAMS: usize = 500;

/// About so many events are delivered a second, but no fewer changes than one and no more than so many are made.
const EVENTS: f64 = 10_000.0;
const MOST_CHANGES: f64 = 50.0;

/// How often each point is measured.
const REPEATS: usize = 3;

pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>> {
    measure(ground).boxed_local()
}

async fn measure(ground: &Ground) -> Result<Vec<Finding>> {
    Ok(vec![by_streams(ground).await?, by_nodes(ground).await?])
}

async fn by_streams(ground: &Ground) -> Result<Finding> {
    let counts: &[usize] = ground.plan.pick(&[10, 100, 1_000, 10_000], &[10, 100, 1_000]);
    let [protobuf, _, _, stock] = ground.other_watches()?;
    let mut curves = Vec::new();
    for system in [ground.our_watch()?, protobuf, stock] {
        let mut points = Vec::new();
        for streams in counts {
            points.push((*streams as f64, cost(ground, &system, *streams).await?));
        }
        curves.push(Curve { name: system.name, points });
    }
    Ok(finding("growth: CPU per delivered event by streams", "growth-streams", "streams", curves))
}

async fn by_nodes(ground: &Ground) -> Result<Finding> {
    let counts: &[usize] = ground.plan.pick(&[100, 1_000], &[100]);
    let mut points = Vec::new();
    for nodes in counts {
        // A cluster of its own: one does not become small again.
        let smaller = Ground::start(Plan { nodes: *nodes, ..ground.plan }).await?;
        let point = cost(&smaller, &smaller.our_watch()?, STREAMS).await;
        smaller.stop().await?;
        points.push((*nodes as f64, point?));
    }
    points.push((ground.plan.nodes as f64, cost(ground, &ground.our_watch()?, STREAMS).await?));
    let curves = vec![Curve { name: "nodeward", points }];
    Ok(finding("growth: CPU per delivered event by nodes", "growth-nodes", "nodes", curves))
}

/// What an event costs, in microseconds.
async fn cost(ground: &Ground, system: &System, streams: usize) -> Result<f64> {
    let rate = (EVENTS / streams as f64).clamp(1.0, MOST_CHANGES);
    let load = Load { streams, rate, length: Duration::from_secs(ground.plan.seconds.into()) };
    let mut costs = Vec::new();
    for _ in 0..ground.plan.pick(REPEATS, 1) {
        costs.push(watch_cost(ground, system, load).await?.micros());
    }
    Ok(median(&costs).unwrap_or_default())
}

fn finding(name: &str, file: &'static str, axis: &'static str, curves: Vec<Curve>) -> Finding {
    let points =
        |curve: &Curve| curve.points.iter().map(|(x, y)| format!("{x}: {y:.1}")).collect::<Vec<_>>().join(", ");
    let notes = curves.iter().map(|curve| format!("{}, µs by {axis}: {}", curve.name, points(curve))).collect();
    let plot = Plot { name: file, title: "Server CPU per delivered event", axes: [axis, "µs"], curves };
    Finding { name: name.to_owned(), plot: Some(plot), notes, ..Finding::default() }
}
