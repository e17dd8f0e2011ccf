//! How much later than the apiserver nodeward tells of a change: the same change, on a watch of each, in the same process.
//!
//! The apiserver's watch is in JSON, which is what nodeward itself reads. Both clients are the same; so the difference of the
//! two arrivals is what nodeward adds. The null run is the difference of two watches of the apiserver.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::FutureExt;
use futures::future::LocalBoxFuture;

use crate::anchor::apiserver;
use crate::client::Mark;
use crate::ground::Ground;
use crate::report::{Finding, Limit};
use crate::stats::{Estimate, quantile};
use crate::system::System;
use crate::watchers::{Shape, Watchers};

/// Changes a second.
const RATE: f64 = 20.0;

/// What nodeward may add, in milliseconds: in the middle, and to 99 of 100 changes.
const LIMITS: [(&str, f64, f64); 2] = [("p50", 0.5, 1.0), ("p99", 0.99, 5.0)];

const PATIENCE: Duration = Duration::from_secs(30);

pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>> {
    measure(ground).boxed_local()
}

async fn measure(ground: &Ground) -> Result<Vec<Finding>> {
    let reference = apiserver::json_watch(ground.apiserver.clone(), 0);
    let (mut added, mut null) = (Vec::new(), Vec::new());
    for _ in 0..ground.plan.pairs {
        let [ours, again] = block(ground, &reference).await?;
        added.push(ours);
        null.push(again);
    }
    let finding = |(name, share, limit): (&str, f64, f64)| {
        let of = |blocks: &[Vec<f64>]| blocks.iter().filter_map(|block| quantile(block, share)).collect::<Vec<_>>();
        let name = format!("added latency, apiserver event to client event, {name}");
        let nothing = Estimate::of(&of(&null));
        let nothing =
            nothing.map_or_else(String::new, |e| format!("{:.2} ms ({:.2} to {:.2})", e.median, e.low, e.high));
        Finding {
            notes: vec![format!("between two watches of the apiserver: {nothing}")],
            ..Finding::absolute(name, "ms", &of(&added), Some(Limit::AtMost(limit)))
        }
    };
    Ok(LIMITS.into_iter().map(finding).collect())
}

/// The differences to the reference, sorted, in milliseconds: nodeward's, and the reference's own.
async fn block(ground: &Ground, reference: &System) -> Result<[Vec<f64>; 2]> {
    let one = Shape { streams: 1, connections: 1, timed: true, stalled: false };
    let first = Watchers::open(reference, one).await?;
    let ours = Watchers::open(&ground.our_watch()?, one).await?;
    let again = Watchers::open(reference, one).await?;
    let writes = ground.writer.write(RATE, Duration::from_secs(ground.plan.seconds.into())).await?;
    for watchers in [&first, &ours, &again] {
        watchers.have(writes.count() as u64, PATIENCE).await?;
    }
    let arrived: HashMap<Mark, Instant> = first.arrivals().into_iter().collect();
    Ok([&ours, &again].map(|watchers| {
        let later = watchers.arrivals().into_iter().filter_map(|(mark, at)| Some(millis(*arrived.get(&mark)?, at)));
        let mut later: Vec<_> = later.collect();
        later.sort_by(f64::total_cmp);
        later
    }))
}

/// From one to the other, which may be earlier.
fn millis(from: Instant, to: Instant) -> f64 {
    let later = to.saturating_duration_since(from).as_secs_f64();
    let earlier = from.saturating_duration_since(to).as_secs_f64();
    (later - earlier) * 1e3
}
