//! One block of a watch measure: streams at one system, changes at a fixed rate, and what that has cost.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nodeward_sandbox::Component;
use tokio::time::sleep;

use crate::cpu;
use crate::ground::Ground;
use crate::stats::median;
use crate::system::System;
use crate::watchers::{Delivered, Shape, Watchers};

/// How long everything rests between the opening of streams and the first change.
const SETTLE: Duration = Duration::from_millis(500);

/// How long the last event may take after the last change.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a system has to do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many streams it has.
    pub streams: usize,
    /// How many changes there are a second.
    pub rate: f64,
    /// For how long.
    pub length: Duration,
}

/// What it has cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    server: Duration,
    client: Duration,
    delivered: Delivered,
}

impl Cost {
    /// Microseconds of the server for each delivered event.
    pub fn micros(&self) -> f64 {
        self.server.as_secs_f64() * 1e6 / self.events()
    }

    /// Microseconds of this process for each delivered event, the changes included.
    pub fn client_micros(&self) -> f64 {
        self.client.as_secs_f64() * 1e6 / self.events()
    }

    /// Bytes for each delivered event, above HTTP/2.
    pub fn bytes(&self) -> f64 {
        self.delivered.bytes as f64 / self.events()
    }

    /// Events for each second of the server's processor time: what one core could deliver.
    pub fn per_core(&self) -> f64 {
        self.events() / self.server.as_secs_f64()
    }

    fn events(&self) -> f64 {
        self.delivered.changes as f64
    }
}

/// Runs a block. It is an error if any stream misses any change.
pub async fn watch_cost(ground: &Ground, system: &System, load: Load) -> Result<Cost> {
    let watchers = Watchers::open(system, Shape::of(load.streams)).await;
    let watchers = watchers.with_context(|| format!("open {} streams at {}", load.streams, system.name))?;
    sleep(SETTLE).await;
    let (server, client, before) = (cpu::used(&system.pids)?, cpu::used_here()?, watchers.delivered());
    let writes = ground.writer.write(load.rate, load.length).await?;
    let expected = (writes.count() * load.streams) as u64;
    watchers.have(expected, PATIENCE).await.with_context(|| format!("events of {}", system.name))?;
    let after = watchers.delivered();
    let delivered = Delivered {
        changes: after.changes - before.changes,
        messages: after.messages - before.messages,
        bytes: after.bytes - before.bytes,
    };
    Ok(Cost { server: cpu::used(&system.pids)? - server, client: cpu::used_here()? - client, delivered })
}

/// What the same changes cost parts of the control plane when nobody but nodeward and the control plane itself watches, in words.
pub async fn idle_cost(ground: &Ground, components: &[Component], load: Load) -> Result<String> {
    sleep(SETTLE).await;
    let used = || -> Result<Vec<Duration>> {
        components.iter().map(|component| cpu::used(&[ground.pid(*component)?])).collect()
    };
    let before = used()?;
    let writes = ground.writer.write(load.rate, load.length).await?;
    let events = (writes.count() * load.streams) as f64;
    let costs = components.iter().zip(used()?.into_iter().zip(before)).map(|(component, (after, before))| {
        let micros = (after - before).as_secs_f64() * 1e6;
        format!("{component} {:.1} µs for each event there would have been", micros / events)
    });
    Ok(format!("the changes alone, without a stream: {}", costs.collect::<Vec<_>>().join(", ")))
}

/// How far streams were behind, at the beginning and at the end of a block.
#[derive(Clone, Copy, Debug)]
pub struct Lag {
    first: Duration,
    last: Duration,
    /// How long the apiserver took to answer a change, from when it was to be sent.
    answer: Duration,
}

impl Lag {
    /// What is no growth, however small it was before.
    const LITTLE: Duration = Duration::from_millis(50);

    /// Whether they fell behind.
    pub fn grows(self) -> bool {
        self.last > self.first * 2 && self.last > self.first + Self::LITTLE
    }
}

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, last, answer] = [self.first, self.last, self.answer].map(|time| time.as_secs_f64() * 1e3);
        write!(f, "{first:.0} ms, then {last:.0} ms; the apiserver answers a change after {answer:.0} ms")
    }
}

/// Runs a block and says how far behind streams were in its first and in its last third, in the median.
pub async fn watch_lag(ground: &Ground, system: &System, load: Load) -> Result<Lag> {
    let watchers = Watchers::open(system, Shape::of(load.streams).timed()).await?;
    sleep(SETTLE).await;
    let writes = ground.writer.write(load.rate, load.length).await?;
    watchers.have((writes.count() * load.streams) as u64, PATIENCE).await?;
    let mut lags: Vec<(Instant, f64)> = watchers
        .arrivals()
        .into_iter()
        .filter_map(|(mark, at)| {
            let intended = writes.intended(mark)?;
            Some((intended, at.saturating_duration_since(intended).as_secs_f64()))
        })
        .collect();
    lags.sort_by_key(|(intended, _)| *intended);
    let lags: Vec<f64> = lags.into_iter().map(|(_, lag)| lag).collect();
    let answers: Vec<f64> = writes.answered.iter().map(Duration::as_secs_f64).collect();
    let third = lags.len() / 3;
    let middle = |times: &[f64]| Duration::from_secs_f64(median(times).unwrap_or_default());
    Ok(Lag { first: middle(&lags[..third]), last: middle(&lags[lags.len() - third..]), answer: middle(&answers) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_grows_if_it_doubles_and_is_more_than_a_little() {
        let lag = |first, last| {
            let [first, last] = [first, last].map(Duration::from_millis);
            Lag { first, last, answer: Duration::ZERO }
        };
        assert!(lag(100, 300).grows());
        assert!(!lag(2, 20).grows(), "what is a little is noise");
        assert!(!lag(200, 300).grows());
    }
}
