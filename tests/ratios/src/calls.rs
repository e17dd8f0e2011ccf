//! One block of calls: so many callers at one system, each of which asks again as soon as it is answered, and what that has cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::{BoxFuture, FutureExt};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinSet;

use crate::client::{Call, Connection, Endpoint, Windows};
use crate::cpu;
use crate::report::{Finding, Limit};
use crate::stats::{Estimate, median};

/// Asks once and reads the whole answer, which has so many bytes. The number is another one each time.
pub type Ask = Arc<dyn Fn(Arc<Connection>, usize) -> BoxFuture<'static, Result<usize>> + Send + Sync>;

/// A question that is one call.
pub fn one_call(call: impl Fn(usize) -> Call + Send + Sync + 'static) -> Ask {
    Arc::new(move |connection, number| {
        let call = call(number);
        async move { Ok(connection.ask(&call).await?.len()) }.boxed()
    })
}

/// A system, and what it is asked.
#[derive(Clone)]
pub struct Asked {
    /// Its name in tables.
    pub name: &'static str,
    /// Where it is.
    pub endpoint: Endpoint,
    /// The processes whose work is its work.
    pub pids: Vec<u32>,
    /// What it is asked.
    pub ask: Ask,
    /// How often it was asked, in all blocks.
    pub asked: Arc<AtomicUsize>,
}

impl Asked {
    /// It was not asked anything yet.
    pub fn new(name: &'static str, endpoint: &Endpoint, pid: u32, ask: Ask) -> Self {
        Self { name, endpoint: endpoint.clone(), pids: vec![pid], ask, asked: Arc::default() }
    }
}

/// How much is asked at a time.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How many wait for an answer at any time.
    pub callers: usize,
    /// On how many connections.
    pub connections: usize,
    /// For how long.
    pub length: Duration,
}

/// What it has cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    server: Duration,
    client: Duration,
    lasted: Duration,
    calls: usize,
    bytes: usize,
}

impl Cost {
    /// Microseconds of the server for each call.
    pub fn micros(&self) -> f64 {
        self.server.as_secs_f64() * 1e6 / self.calls as f64
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Calls that were answered in a second.
    pub fn rate(&self) -> f64 {
        self.calls as f64 / self.lasted.as_secs_f64()
    }

    fn client_micros(&self) -> f64 {
        self.client.as_secs_f64() * 1e6 / self.calls as f64
    }

    fn bytes(&self) -> f64 {
        self.bytes as f64 / self.calls as f64
    }
}

/// Runs a block. It is an error if a call is not answered well.
pub async fn calls_cost(asked: &Asked, pace: Pace) -> Result<Cost> {
    let connect = (0..pace.connections).map(|_| Connection::open(&asked.endpoint, Windows::WIDE));
    let connections: Vec<Arc<Connection>> = stream::iter(connect).buffered(4).map_ok(Arc::new).try_collect().await?;
    let failed = || format!("ask {}", asked.name);
    // What a connection costs once, such as finding out who calls, is not part of a call.
    for connection in &connections {
        ask_once(asked, connection).await.with_context(failed)?;
    }
    let (server, client, begun) = (cpu::used(&asked.pids)?, cpu::used_here()?, Instant::now());
    let mut callers = JoinSet::new();
    for caller in 0..pace.callers {
        let (asked, connection) = (asked.clone(), Arc::clone(&connections[caller % connections.len()]));
        callers.spawn(async move { ask_until(&asked, &connection, begun + pace.length).await });
    }
    let (mut calls, mut bytes) = (0, 0);
    while let Some(caller) = callers.join_next().await {
        let (its_calls, its_bytes) = caller?.with_context(failed)?;
        (calls, bytes) = (calls + its_calls, bytes + its_bytes);
    }
    let lasted = begun.elapsed();
    Ok(Cost { server: cpu::used(&asked.pids)? - server, client: cpu::used_here()? - client, lasted, calls, bytes })
}

async fn ask_until(asked: &Asked, connection: &Arc<Connection>, end: Instant) -> Result<(usize, usize)> {
    let (mut calls, mut bytes) = (0, 0);
    while Instant::now() < end {
        bytes += ask_once(asked, connection).await?;
        calls += 1;
    }
    Ok((calls, bytes))
}

async fn ask_once(asked: &Asked, connection: &Arc<Connection>) -> Result<usize> {
    let number = asked.asked.fetch_add(1, Ordering::Relaxed);
    (asked.ask)(Arc::clone(connection), number).await
}

/// What each of the systems costs, of which the first and the last are both nodeward, beside whom each limit is for.
pub fn compare(what: &str, asked: &[Asked], costs: &[Vec<Cost>], limits: &[Option<Limit>]) -> Vec<Finding> {
    let [ours, others @ .., again] = costs else { return Vec::new() };
    let null = Estimate::of_ratios(pairs(ours, again, Cost::micros));
    let compare = |((costs, anchor), limit): ((&Vec<Cost>, &Asked), &Option<Limit>)| Finding {
        name: format!("{what}, beside {}", anchor.name),
        unit: "µs",
        ours: median_of(ours, Cost::micros),
        anchor: median_of(costs, Cost::micros),
        ratio: Estimate::of_ratios(pairs(ours, costs, Cost::micros)),
        null,
        limit: *limit,
        notes: vec![describe("nodeward", ours), describe(anchor.name, costs)],
        ..Finding::default()
    };
    others.iter().zip(&asked[1..]).zip(limits).map(compare).collect()
}

/// What was measured of two systems, block by block.
pub fn pairs(ours: &[Cost], others: &[Cost], of: fn(&Cost) -> f64) -> impl Iterator<Item = (f64, f64)> {
    ours.iter().zip(others).map(move |(ours, other)| (of(ours), of(other)))
}

/// The median of what was measured in all blocks.
pub fn median_of(costs: &[Cost], of: fn(&Cost) -> f64) -> Option<f64> {
    median(&costs.iter().map(of).collect::<Vec<_>>())
}

fn describe(name: &str, costs: &[Cost]) -> String {
    let of = |of| median_of(costs, of).unwrap_or_default();
    format!(
        "{name}: {:.0} bytes and {:.1} µs of the client for each; {:.0} answers a second",
        of(Cost::bytes),
        of(Cost::client_micros),
        of(Cost::rate)
    )
}
