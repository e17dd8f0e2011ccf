//! What is measured, one file each.
//!
//! To add a measure, write `measure/NAME.rs` with a function
//! `pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>>`, and add it to [`ALL`]. `ground` has the servers, an
//! endpoint for each, and the writer; `client` and `watchers` call them, `pairs::rounds` runs blocks in alternating order, `cpu`
//! says what a process has used, `stats::Estimate` what that is worth. A measure that cannot be taken returns an error: it
//! appears in the table as failed, and the others go on. It leaves the ground as it found it.

mod added_latency;
mod connections;
mod cordon;
mod get;
mod growth;
mod list;
mod memory;
mod start;
mod watch_cpu;
mod watch_many;
mod watch_memory;
mod watch_stalled;
mod watch_throughput;

use anyhow::Result;
use futures::future::LocalBoxFuture;

use crate::ground::Ground;
use crate::report::Finding;

/// A measure.
pub struct Measure {
    /// Its name, for `--only` and for the table if it fails.
    pub name: &'static str,
    /// What it measures, in one line.
    pub about: &'static str,
    /// Measures it.
    pub run: for<'a> fn(&'a mut Ground) -> LocalBoxFuture<'a, Result<Vec<Finding>>>,
}

/// All of them, in the order in which they are taken.
pub const ALL: &[Measure] = &[
    Measure {
        name: "watch-cpu",
        about: "server CPU per delivered event, 500 streams on 10 TLS connections",
        run: watch_cpu::run,
    },
    Measure {
        name: "watch-throughput",
        about: "delivered events per second per core without growing lag, 500 streams",
        run: watch_throughput::run,
    },
    Measure { name: "watch-memory", about: "memory per idle and per stalled stream", run: watch_memory::run },
    Measure {
        name: "watch-stalled",
        about: "p99 of healthy streams with and without stalled neighbours",
        run: watch_stalled::run,
    },
    Measure {
        name: "watch-many",
        about: "10,000 streams for a minute: complete, ordered, one upstream",
        run: watch_many::run,
    },
    Measure { name: "added-latency", about: "apiserver event to client event", run: added_latency::run },
    Measure { name: "growth", about: "cost per event by streams and by nodes, with plots", run: growth::run },
    Measure {
        name: "get",
        about: "server CPU per GetNode, beside a tonic echo and the apiserver's GET",
        run: get::run,
    },
    Measure { name: "list", about: "server CPU per list of all nodes, beside the apiserver's list", run: list::run },
    Measure {
        name: "cordon",
        about: "added latency and throughput of cordons, beside patches at the apiserver",
        run: cordon::run,
    },
    Measure {
        name: "connections",
        about: "memory and CPU of clients with a connection of their own",
        run: connections::run,
    },
    Measure { name: "start", about: "start to ready, and recovery after the apiserver was killed", run: start::run },
    // Last: the apiserver is as large as it has become, and busy with that, for a good while after.
    Measure { name: "memory", about: "memory by nodes and pods, at the start and at most", run: memory::run },
];

/// Those whose names begin with one of these; all, if there are none.
pub fn chosen(only: &[String]) -> Vec<&'static Measure> {
    let is_chosen = |measure: &&Measure| only.is_empty() || only.iter().any(|name| measure.name.starts_with(name));
    ALL.iter().filter(is_chosen).collect()
}

/// The measures, for `--help`.
pub fn help() -> String {
    let lines = ALL.iter().map(|measure| format!("  {:18}{}\n", measure.name, measure.about));
    format!("Measures:\n{}", lines.collect::<String>())
}
