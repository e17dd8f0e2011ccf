//! What the tests stand on: the shared sandbox with a server in front of it, nodes to play with, and ways to wait.

pub mod admission;
pub mod apiserver_log;
mod checks;
#[path = "../../support/collector.rs"]
mod collector;
pub mod crash;
pub mod deaf;
pub mod draining;
pub mod drains;
pub mod fleet;
pub mod follower;
pub mod fragile;
pub mod grants;
pub mod guarded;
pub mod http;
pub mod http2;
pub mod issuer;
pub mod nodes;
pub mod operations;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod records;
pub mod replay;
pub mod requests;
#[path = "../../support/series.rs"]
pub mod series;
pub mod shape;
pub mod somebody;
pub mod target;
pub mod timeline;
#[path = "../../support/tls.rs"]
pub mod tls;
pub mod tokens;
pub mod volumes;
#[path = "../../support/watchdog.rs"]
mod watchdog;
pub mod watcher;
pub mod webhook;
pub mod workload;
mod world;

pub use checks::{ErrorExt, assert_error, assert_violation};
pub use collector::{Collector, LogRecord, Span};
pub use world::{Client, connect, eventually, on_shared_runtime, start_operating_server, start_server, unique, world};
