//! The program itself: what it leaves behind, however it ends, and what it says.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod build;
mod clients;
mod end;
mod keep;
mod server;
mod support;
#[path = "../../../../tests/support/watchdog.rs"]
mod watchdog;
