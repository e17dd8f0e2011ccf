//! What is measured, one file each.
//!
//! To add a measure, write `measure/NAME.rs` with a function
//! `pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>>`, and add it to [`ALL`]. `ground` has the servers, an
//! endpoint for each, and the writer; `client` and `watchers` call them, `pairs::rounds` runs blocks in alternating order, `cpu`
//! says what a process has used, `stats::Estimate` what that is worth. A measure that cannot be taken returns an error: it
//! appears in the table as failed, and the others go on. It leaves the ground as it found it.

mod watch_cpu;

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
pub const ALL: [Measure; 1] = [Measure {
    name: "watch-cpu",
    about: "server CPU per delivered event, 500 streams on 10 TLS connections",
    run: watch_cpu::run,
}];

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
