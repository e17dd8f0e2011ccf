//! The nodeward server: carries out the RPCs of `nodeward.v1` as Kubernetes calls.
//!
//! The rooms: [`node`] knows what a node is and does no I/O, [`cluster`] alone talks to Kubernetes, [`rpc`] translates
//! between gRPC and the two, [`transport`] lets clients in, [`telemetry`] reports. [`server`] wires them, [`run_from`] is
//! the process.

pub mod args;
pub mod cluster;
mod error;
pub mod node;
pub mod rpc;
mod run;
pub mod server;
pub mod telemetry;
pub mod transport;

pub use error::Error;
pub use run::run_from;
