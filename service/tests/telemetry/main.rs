//! Traces, as a real collector receives them, of calls that go through a real client and server.

#[path = "../../../tests/support/collector.rs"]
mod collector;
mod fixture;
mod kubernetes;
mod lifecycle;
mod logs;
mod mutations;
mod rpc;
