//! nodeward itself, as it is compared.

use nodeward_api::v1::WatchNodesRequest;
use prost_types::Duration;

use crate::client::{Call, Endpoint, Framing};
use crate::system::{Begin, System};

/// So seldom that no bookmark comes while anything is measured.
const BOOKMARKS: Duration = Duration { seconds: 600, nanos: 0 };

/// A watch of all nodes with all their fields, from now on.
pub fn watch(endpoint: Endpoint, pid: u32) -> System {
    let request =
        WatchNodesRequest { skip_snapshot: true, bookmark_interval: Some(BOOKMARKS), ..WatchNodesRequest::default() };
    System {
        name: "nodeward",
        endpoint,
        framing: Framing::Grpc,
        begin: Begin::With(Call::grpc("/nodeward.v1.NodeService/WatchNodes", &request)),
        pids: vec![pid],
    }
}
