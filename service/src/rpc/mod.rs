//! The gRPC services: requests in, domain calls, responses or statuses out. What a request may hold is checked here.

mod change;
mod complete;
mod context;
mod node;
mod read;
mod request;
mod status;
mod watch;

pub use complete::complete_status;
pub use context::{NodeRpc, WatchLimits};
pub(crate) use request::parse_timeout;
pub use status::DOMAIN;
