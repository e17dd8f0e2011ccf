//! The library on one shared sandbox: what other tests of the workspace rely on.
//!
//! Each test has an async runtime of its own and the sandbox outlives the one that started it, as in those tests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod audit_log;
mod components;
mod impersonation;
mod rights;
mod support;
#[path = "../../../../tests/support/watchdog.rs"]
mod watchdog;
