//! etcd, under the apiserver: its own watch of the keys that the nodes are stored under. A value is the whole node as the
//! apiserver stores it, in Kubernetes' protobuf.

use prost::Message;

use crate::client::{Call, Endpoint, Framing};
use crate::system::{Begin, System};

/// Where the apiserver keeps the nodes, and where their keys end.
const KEYS: (&[u8], &[u8]) = (b"/registry/minions/", b"/registry/minions0");

/// `etcdserverpb.WatchRequest`, as far as it is needed.
#[derive(Clone, PartialEq, Message)]
struct WatchRequest {
    #[prost(message, optional, tag = "1")]
    create_request: Option<WatchCreateRequest>,
}

/// `etcdserverpb.WatchCreateRequest`, as far as it is needed.
#[derive(Clone, PartialEq, Message)]
struct WatchCreateRequest {
    #[prost(bytes, tag = "1")]
    key: Vec<u8>,
    #[prost(bytes, tag = "2")]
    range_end: Vec<u8>,
}

/// A watch of all nodes.
pub fn watch(endpoint: Endpoint, pid: u32) -> System {
    let create_request = Some(WatchCreateRequest { key: KEYS.0.to_vec(), range_end: KEYS.1.to_vec() });
    let call = Call::grpc("/etcdserverpb.Watch/Watch", &WatchRequest { create_request });
    // The stream ends when its client has no more to say.
    let begin = Begin::With(Call { stays_open: true, ..call });
    System { name: "etcd", endpoint, framing: Framing::Grpc, begin, pids: vec![pid] }
}
