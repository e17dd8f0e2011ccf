//! The gRPC services: requests in, domain calls, responses or statuses out. What a request may hold is checked here.

mod audit;
mod change;
mod complete;
mod context;
mod cordon;
mod drain;
mod encoded;
mod node;
mod operation;
mod patch;
mod read;
mod request;
mod rights;
mod serve;
mod status;
mod stream;
mod watch;

pub use audit::AuditRpc;
pub use complete::complete_status;
pub use context::{NodeRpc, WatchLimits};
pub use encoded::ENCODINGS;
pub use operation::OperationRpc;
pub use serve::NodeServer;
pub use status::DOMAIN;
