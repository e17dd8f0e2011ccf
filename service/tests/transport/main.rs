//! Connections, with services that a test makes for itself.

#![allow(clippy::unwrap_used)] // A test that unwraps in vain has failed, which is what it is for.

mod calls;
mod end;
mod fixture;
mod handshake;
mod peer;
mod strangers;
#[path = "../../../tests/support/tls.rs"]
mod tls;
#[path = "../../../tests/support/watchdog.rs"]
mod watchdog;
