//! What one gets from tonic and prost as everybody uses them: a stream that sends the messages of nodeward's own watch, and a
//! call that answers with the bytes of a node.

pub mod server;
mod service;

use nodeward_api::v1::WatchNodesRequest;

use crate::client::{Call, Endpoint, Framing};
use crate::system::{Begin, System};

/// The name of the service.
pub const SERVICE: &str = "ratios.v1.Stock";

/// The method that streams.
pub const WATCH: &str = "/ratios.v1.Stock/Watch";

/// The method that answers with the bytes of a node.
pub const ECHO: &str = "/ratios.v1.Stock/Echo";

/// A watch.
pub fn watch(endpoint: Endpoint, pid: u32) -> System {
    let begin = Begin::With(Call::grpc(WATCH, &WatchNodesRequest::default()));
    System { name: "stock tonic", endpoint, framing: Framing::Grpc, begin, pids: vec![pid] }
}
