//! Drains by kubectl and by nodeward, one after the other on equal nodes, and the ratio of their times: `cargo bench-drain`.
//!
//! What nodeward is to be compared with is there in the same run, on the same machine: only ratios are worth anything. Which of
//! the two is first changes from pair to pair.

#![allow(clippy::unwrap_used)] // A comparison that unwraps in vain has failed.

mod drain;
mod ratio;
#[allow(dead_code, unused_imports)] // It needs a part of what the tests stand on.
#[path = "../e2e/support/mod.rs"]
mod support;

/// How many pairs are measured, unless the first argument that is a number says so.
const PAIRS: usize = 5;

#[tokio::main]
async fn main() {
    let pairs = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(PAIRS);
    drain::compare(pairs).await;
}
