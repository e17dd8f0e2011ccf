//! Traces and metrics, as a real collector receives them, of calls that go through a real client and server.

#[path = "../../../tests/support/collector.rs"]
mod collector;
mod copies;
mod fixture;
mod kubernetes;
mod lifecycle;
mod logs;
mod metrics;
mod mutations;
#[path = "../../../tests/support/nobody.rs"]
mod nobody;
mod rpc;
#[path = "../../../tests/support/series.rs"]
mod series;
mod subscriber;
#[path = "../../../tests/support/watchdog.rs"]
mod watchdog;
