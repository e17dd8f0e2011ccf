//! How many events a second a core delivers while nobody falls behind: 500 streams over TLS.
//!
//! First the rate of changes is raised until the lag grows, or until the apiserver takes no more changes, which holds nodeward
//! up before it has come to its own end. Lag is the time from when a change was to be sent until a stream has it; it grows if in
//! the last third of a block it is twice that of the first third, and more than a little. One step below the highest rate that
//! each system keeps up with, where a hiccup of the machine does not end streams, blocks in alternating order then say what it
//! delivers for each second of processor time.

use std::time::Duration;

use anyhow::Result;
use futures::FutureExt;
use futures::future::LocalBoxFuture;

use crate::ground::Ground;
use crate::load::{Cost, Load, watch_cost, watch_lag};
use crate::pairs::rounds;
use crate::report::{Finding, Limit};
use crate::stats::{Estimate, median};
use crate::system::System;

const STREAMS: usize = 500;

/// The first rate of changes, and the one beyond which no more is tried.
const RATES: (f64, f64) = (10.0, 640.0);

/// How much is added each time.
const STEP: f64 = 1.5;

pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>> {
    measure(ground).boxed_local()
}

async fn measure(ground: &Ground) -> Result<Vec<Finding>> {
    let [protobuf, ..] = ground.other_watches()?;
    let (mut sides, mut notes) = (Vec::new(), Vec::new());
    for system in [ground.our_watch()?, protobuf] {
        let (rate, note) = sustained(ground, &system).await?;
        sides.push((system, rate / STEP));
        notes.push(note);
    }
    sides.push(sides[0].clone());
    let length = Duration::from_secs(ground.plan.seconds.into());
    let block = async |(system, rate): &(System, f64)| {
        watch_cost(ground, system, Load { streams: STREAMS, rate: *rate, length }).await
    };
    let costs = rounds(&sides, ground.plan.pairs, block).await?;
    let [ours, anchor, again] = &costs[..] else { return Ok(Vec::new()) };
    let per_core = |costs: &[Cost]| median(&costs.iter().map(Cost::per_core).collect::<Vec<_>>());
    let ratio = |some: &[Cost], others: &[Cost]| {
        Estimate::of_ratios(some.iter().zip(others).map(|(one, other)| (one.per_core(), other.per_core())))
    };
    Ok(vec![Finding {
        name: "watch: delivered events per second per core, beside apiserver protobuf".to_owned(),
        unit: "/s",
        ours: per_core(ours),
        anchor: per_core(anchor),
        ratio: ratio(ours, anchor),
        null: ratio(ours, again),
        limit: Some(Limit::AtLeast(4.0)),
        notes,
        ..Finding::default()
    }])
}

/// The highest rate of changes at which the lag does not grow, and what that is in words.
async fn sustained(ground: &Ground, system: &System) -> Result<(f64, String)> {
    let length = Duration::from_secs(ground.plan.seconds.into());
    let (mut rate, last) = RATES;
    let mut kept = (rate, format!("{}: behind at {rate:.0} changes a second already", system.name));
    while rate <= last {
        let lag = match watch_lag(ground, system, Load { streams: STREAMS, rate, length }).await {
            Ok(lag) => lag,
            // The apiserver ends streams that it can't keep up with.
            Err(error) if rate > RATES.0 => {
                kept.1 += &format!("; not with {rate:.0}: {error:#}");
                break;
            }
            Err(error) => return Err(error),
        };
        eprintln!("  {}: {rate:.0} changes a second: lag {lag}", system.name);
        if lag.grows() {
            kept.1 += &format!("; falls behind with {rate:.0}: {lag}");
            break;
        }
        let events = rate * STREAMS as f64;
        kept = (rate, format!("{}: keeps up with {rate:.0} changes a second, {events:.0} events: {lag}", system.name));
        rate *= STEP;
    }
    Ok(kept)
}
