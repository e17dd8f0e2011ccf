//! Whether clients that read nothing are felt by those who read: how late changes come to 100 streams alone, and beside 100 that
//! are stalled.
//!
//! Latency counts from when a change was to be sent, so what the apiserver takes for it is in both. Each stalled stream is full
//! before anything is measured.

use std::time::Duration;

use anyhow::Result;
use futures::FutureExt;
use futures::future::LocalBoxFuture;

use crate::ground::Ground;
use crate::pairs::rounds;
use crate::report::{Finding, Limit};
use crate::stats::{Estimate, median, quantile};
use crate::watchers::{Shape, Watchers};

/// How many streams read, and how many don't.
const STREAMS: usize = 100;

/// Changes a second.
const RATE: f64 = 20.0;

/// So many changes fill a stream that nobody reads: its window, and what the server keeps for it.
const FILL: (f64, Duration) = (40.0, Duration::from_secs(1));

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq)]
enum Neighbours {
    None,
    Stalled,
}

pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>> {
    measure(ground).boxed_local()
}

async fn measure(ground: &Ground) -> Result<Vec<Finding>> {
    let sides = [Neighbours::Stalled, Neighbours::None, Neighbours::None];
    let p99 = rounds(&sides, ground.plan.pairs, async |side| block(ground, *side).await).await?;
    let [beside, alone, again] = &p99[..] else { return Ok(Vec::new()) };
    let ratio = |some: &[f64], others: &[f64]| Estimate::of_ratios(some.iter().copied().zip(others.iter().copied()));
    Ok(vec![Finding {
        name: "watch: p99 of healthy streams, 100 stalled neighbours / none".to_owned(),
        unit: "ms",
        ours: median(beside),
        anchor: median(alone),
        ratio: ratio(beside, alone),
        null: ratio(again, alone),
        limit: Some(Limit::AtMost(1.1)),
        ..Finding::default()
    }])
}

/// The p99 of the streams that read, in milliseconds.
async fn block(ground: &Ground, neighbours: Neighbours) -> Result<f64> {
    let system = ground.our_watch()?;
    let stalled = match neighbours {
        Neighbours::None => None,
        Neighbours::Stalled => Some(Watchers::open(&system, Shape::of(STREAMS).stalled()).await?),
    };
    ground.writer.write(FILL.0, FILL.1).await?;
    let healthy = Watchers::open(&system, Shape::of(STREAMS).timed()).await?;
    let writes = ground.writer.write(RATE, Duration::from_secs(ground.plan.seconds.into())).await?;
    healthy.have((writes.count() * STREAMS) as u64, PATIENCE).await?;
    drop(stalled);
    let arrivals = healthy.arrivals().into_iter();
    let mut late: Vec<_> = arrivals
        .filter_map(|(mark, at)| Some(at.saturating_duration_since(writes.intended(mark)?).as_secs_f64() * 1e3))
        .collect();
    late.sort_by(f64::total_cmp);
    Ok(quantile(&late, 0.99).unwrap_or(f64::NAN))
}
