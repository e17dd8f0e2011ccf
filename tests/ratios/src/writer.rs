//! Changes nodes at a fixed rate, whether or not anybody keeps up: an open loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::client::{Call, Connection, Endpoint, Mark, Windows, mark};

/// The label that is changed.
const LABEL: &str = "ratios.nodeward.dev/change";

/// Who changes nodes. Each change has another number, for as long as the benchmark runs.
pub struct Writer {
    connection: Arc<Connection>,
    nodes: u32,
    next: AtomicU32,
}

/// Changes that were made.
pub struct Writes {
    first: Mark,
    intended: Vec<Instant>,
    /// How long the apiserver took for each, from when it was to be sent.
    pub answered: Vec<Duration>,
}

impl Writes {
    /// How many there were.
    pub fn count(&self) -> usize {
        self.intended.len()
    }

    /// When this one was to be sent.
    pub fn intended(&self, mark: Mark) -> Option<Instant> {
        self.intended.get(mark.checked_sub(self.first)? as usize).copied()
    }
}

impl Writer {
    /// Changes the nodes `worker-1` and so on, as this endpoint's client.
    pub async fn new(endpoint: &Endpoint, nodes: usize) -> Result<Self> {
        let connection = Arc::new(Connection::open(endpoint, Windows::WIDE).await?);
        Ok(Self { connection, nodes: u32::try_from(nodes)?, next: AtomicU32::new(1) })
    }

    /// Connects anew, to an apiserver that was started again.
    pub async fn reconnect(&mut self, endpoint: &Endpoint) -> Result<()> {
        self.connection = Arc::new(Connection::open(endpoint, Windows::WIDE).await?);
        Ok(())
    }

    /// Makes so many changes a second for so long, one node after the other, and waits until all are answered. It is an error
    /// if one is refused.
    pub async fn write(&self, rate: f64, length: Duration) -> Result<Writes> {
        let count = (rate * length.as_secs_f64()).round().max(1.0) as u32;
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        let begun = Instant::now();
        let (mut intended, mut calls) = (Vec::new(), JoinSet::new());
        for number in 0..count {
            let at = begun + Duration::from_secs_f64(f64::from(number) / rate);
            sleep_until(at.into()).await;
            intended.push(at);
            let (connection, call) = (Arc::clone(&self.connection), self.change(first + number));
            calls.spawn(async move { connection.ask(&call).await.map(|_| at.elapsed()) });
        }
        let mut answered = Vec::new();
        while let Some(call) = calls.join_next().await {
            answered.push(call.context("a change did not end")??);
        }
        Ok(Writes { first, intended, answered })
    }

    fn change(&self, number: Mark) -> Call {
        let node = number % self.nodes + 1;
        let patch = json!({ "metadata": { "labels": { LABEL: mark(number) } } });
        Call {
            method: http::Method::PATCH,
            path: format!("/api/v1/nodes/worker-{node}?fieldManager=ratios"),
            headers: vec![("content-type", "application/merge-patch+json"), ("accept", "application/json")],
            body: patch.to_string().into(),
            stays_open: false,
        }
    }
}
