//! What a delivered event costs the server: 500 streams on 10 connections over TLS, while nodes change at a fixed rate.
//!
//! The same changes are made in each block, by patches at the apiserver, and one system has all the streams. Its cost is all that
//! its processes have used in the block, over the events that were delivered; nothing is subtracted. So the apiserver's cost
//! holds the patches too, and so does etcd's: what these cost without any stream is printed beside.

use std::time::Duration;

use anyhow::Result;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use nodeward_sandbox::Component;

use crate::ground::Ground;
use crate::load::{Cost, Load, idle_cost, watch_cost};
use crate::pairs::rounds;
use crate::report::{Finding, Limit};
use crate::stats::{Estimate, median};

const STREAMS: usize = 500;

/// Changes a second. Far from what any of the systems could not follow.
const RATE: f64 = 20.0;

/// What nodeward may cost, over what the others do, in the order of [`Ground::other_watches`].
const LIMITS: [Option<Limit>; 4] =
    [Some(Limit::AtMost(1.0 / 3.0)), None, Some(Limit::AtMost(0.5)), Some(Limit::AtMost(0.65))];

pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>> {
    measure(ground).boxed_local()
}

async fn measure(ground: &Ground) -> Result<Vec<Finding>> {
    let length = Duration::from_secs(ground.plan.seconds.into());
    let load = Load { streams: STREAMS, rate: RATE, length };
    // nodeward is first and last: the two are the same, and their ratio is noise.
    let mut systems = vec![ground.our_watch()?];
    systems.extend(ground.other_watches()?);
    systems.push(ground.our_watch()?);
    let costs = rounds(&systems, ground.plan.pairs, async |system| watch_cost(ground, system, load).await).await?;
    let idle = idle_cost(ground, &[Component::ApiServer, Component::Etcd], load).await?;

    let [ours, others @ .., again] = &costs[..] else { return Ok(Vec::new()) };
    let null = Estimate::of_ratios(pairs(ours, again));
    let compare = |((costs, system), limit): ((&Vec<Cost>, &crate::system::System), Option<Limit>)| Finding {
        name: format!("watch: CPU per delivered event, beside {}", system.name),
        unit: "µs",
        ours: median_micros(ours),
        anchor: median_micros(costs),
        ratio: Estimate::of_ratios(pairs(ours, costs)),
        null,
        limit,
        notes: vec![describe("nodeward", ours), describe(system.name, costs)],
        ..Finding::default()
    };
    let mut findings: Vec<_> = others.iter().zip(&systems[1..]).zip(LIMITS).map(compare).collect();
    if let Some(last) = findings.last_mut() {
        last.notes.push(idle);
    }
    Ok(findings)
}

fn pairs(ours: &[Cost], others: &[Cost]) -> impl Iterator<Item = (f64, f64)> {
    ours.iter().zip(others).map(|(ours, other)| (ours.micros(), other.micros()))
}

fn median_micros(costs: &[Cost]) -> Option<f64> {
    median(&costs.iter().map(Cost::micros).collect::<Vec<_>>())
}

fn describe(name: &str, costs: &[Cost]) -> String {
    let of = |of: fn(&Cost) -> f64| median(&costs.iter().map(of).collect::<Vec<_>>()).unwrap_or_default();
    format!("{name}: {:.0} bytes and {:.1} µs of the client for each event", of(Cost::bytes), of(Cost::client_micros),)
}
