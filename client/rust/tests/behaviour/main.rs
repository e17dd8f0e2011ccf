//! The library and the binary against a fake NodeService that runs in the test's own process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod audit;
mod cli;
mod fake;
mod list;
#[path = "../../../../tests/support/nobody.rs"]
mod nobody;
mod operations;
mod retry;
mod tls;
mod watch;
#[path = "../../../../tests/support/watchdog.rs"]
mod watchdog;
