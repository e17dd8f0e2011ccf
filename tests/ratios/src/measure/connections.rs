//! What it costs to have clients that each have a connection of their own, with one idle watch: as is usual for clients, while
//! the other measures put a hundred streams on each connection. docs/scale.md needs it.
//!
//! The processor time is that of the TCP and TLS handshakes, of finding out who calls, and of opening the stream.

use std::time::Duration;

use anyhow::Result;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use tokio::time::sleep;

use crate::anchor::ours;
use crate::cpu;
use crate::ground::Ground;
use crate::report::Finding;
use crate::watchers::{Shape, Watchers};

/// How long everything rests before memory is read.
const SETTLE: Duration = Duration::from_secs(2);

/// A few clients come first: what is set up once is not theirs.
const FIRST: usize = 10;

pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>> {
    measure(ground).boxed_local()
}

async fn measure(ground: &Ground) -> Result<Vec<Finding>> {
    let clients = ground.plan.pick(1_500, 300);
    let (mut memory, mut micros) = (Vec::new(), Vec::new());
    for _ in 0..ground.plan.pick(5, 2) {
        let another = ground.start_another().await?;
        let pid = another.server.id();
        let system = ours::watch(another.endpoint.clone(), pid);
        let open = async |count| Watchers::open(&system, Shape { connections: count, ..Shape::of(count) }).await;
        let _first = open(FIRST).await?;
        sleep(SETTLE).await;
        let (resident, used) = (cpu::resident(pid)?, cpu::used(&[pid])?);
        let _clients = open(clients).await?;
        micros.push((cpu::used(&[pid])? - used).as_secs_f64() * 1e6 / clients as f64);
        sleep(SETTLE).await;
        memory.push(cpu::resident(pid)?.saturating_sub(resident) as f64 / clients as f64);
        another.server.stop(Duration::from_secs(10)).await;
    }
    Ok(vec![
        Finding::absolute(format!("connections: memory of each of {clients}, with an idle watch"), "B", &memory, None),
        Finding::absolute("connections: CPU to open one, with a watch", "µs", &micros, None),
    ])
}
