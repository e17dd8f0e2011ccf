//! The nodeward server: carries out the RPCs of `nodeward.v1` as Kubernetes calls.
//!
//! The rooms: [`node`] knows what a node is, [`pod`] what a pod is, and [`caller`] what a caller is, without I/O; [`drain`]
//! plans what emptying a node would do; [`cluster`] alone talks to Kubernetes; [`transport`] lets connections in, [`access`]
//! callers, and [`standing`] is what they tell each other; [`audit`] keeps records of what they change; [`rpc`] translates
//! between gRPC and these;
//! [`telemetry`] reports, and [`admin`] shows it to those who run the server. [`server`] wires them, [`run_from`] is the
//! process.

pub mod access;
pub mod admin;
pub mod args;
pub mod audit;
pub mod caller;
pub mod cluster;
pub mod drain;
mod error;
mod grpc_timeout;
pub mod node;
pub mod pod;
pub mod rpc;
mod run;
pub mod server;
pub mod standing;
pub mod telemetry;
pub mod transport;

pub use error::Error;
pub use run::run_from;
