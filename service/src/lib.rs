//! The nodeward server: carries out the RPCs of `nodeward.v1` as Kubernetes calls.
//!
//! The rooms: [`node`] knows what a node is and does no I/O, [`cluster`] alone talks to Kubernetes, [`rpc`] translates
//! between gRPC and the two, [`telemetry`] reports. [`server`] wires them, [`run_from`] is the process.

mod accepted;
pub mod args;
pub mod cluster;
mod error;
mod grpc_timeout;
pub mod node;
pub mod rpc;
mod run;
pub mod server;
pub mod telemetry;

pub use error::Error;
pub use run::run_from;
