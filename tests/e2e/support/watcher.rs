//! A watch as a client has it: each message must come before a deadline, and none may be an error.

use std::time::Duration;

use nodeward_api::v1::node_change::Type;
use nodeward_api::v1::watch_nodes_response::Event;
use nodeward_api::v1::{Node, NodeChange, WatchNodesRequest, WatchNodesResponse};
use prost_types::FieldMask;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::Client;

/// The longest that a test waits for a message.
const PATIENCE: Duration = Duration::from_secs(60);

/// A watch of the nodes that match, with a bookmark every second.
pub fn watch(filter: impl Into<String>) -> WatchNodesRequest {
    let bookmark_interval = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    WatchNodesRequest { filter: filter.into(), bookmark_interval, ..Default::default() }
}

/// A mask of these paths.
pub fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

/// An open watch.
pub struct Watcher {
    client: Client,
    request: WatchNodesRequest,
    stream: Streaming<WatchNodesResponse>,
    first_bookmark: Option<WatchNodesResponse>,
}

impl Watcher {
    /// Opens a watch, which must succeed. Without a snapshot it must begin with a bookmark.
    pub async fn open(client: &Client, request: WatchNodesRequest) -> Self {
        let begins_with_bookmark = request.skip_snapshot || !request.resume_token.is_empty();
        let mut watcher = Self::try_open(client, request).await.unwrap();
        if begins_with_bookmark {
            watcher.take_first_bookmark().await;
        }
        watcher
    }

    /// Opens a watch, or says why not.
    pub async fn try_open(client: &Client, request: WatchNodesRequest) -> Result<Self, Status> {
        let mut client = client.clone();
        let stream = client.watch_nodes(request.clone()).await?.into_inner();
        let mut opened = Self { client, request, stream, first_bookmark: None };
        // Goes on with its own last message from now on.
        opened.request.skip_snapshot = false;
        Ok(opened)
    }

    /// Cuts the stream and goes on after the message with this token.
    pub async fn resume(&mut self, resume_token: &str) {
        self.request.resume_token = resume_token.to_owned();
        self.stream = self.client.watch_nodes(self.request.clone()).await.unwrap().into_inner();
        self.take_first_bookmark().await;
    }

    async fn take_first_bookmark(&mut self) {
        let first = self.message().await;
        assert!(matches!(first.event, Some(Event::Bookmark(_))), "{first:?}");
        self.first_bookmark = Some(first);
    }

    /// The token of the bookmark that it has begun with.
    pub fn first_token(&self) -> &str {
        &self.first_bookmark.as_ref().expect("it began with a bookmark").resume_token
    }

    /// The next message, or that the server has ended the stream.
    pub async fn next(&mut self) -> Result<Option<WatchNodesResponse>, Status> {
        timeout(PATIENCE, self.stream.message()).await.expect("a message in time")
    }

    /// The next message.
    pub async fn message(&mut self) -> WatchNodesResponse {
        self.next().await.unwrap().expect("the stream goes on")
    }

    /// The next message that is no bookmark.
    pub async fn event(&mut self) -> Event {
        let not_a_bookmark = async {
            loop {
                match self.message().await.event.expect("every message has an event") {
                    Event::Bookmark(_) => {}
                    event => return event,
                }
            }
        };
        timeout(PATIENCE, not_a_bookmark).await.expect("more than bookmarks in time")
    }

    /// The next message that is no bookmark, which must be a change.
    pub async fn change(&mut self) -> NodeChange {
        match self.event().await {
            Event::Change(change) => change,
            other => panic!("{other:?} is no change"),
        }
    }

    /// The next change, which must be of this type.
    pub async fn expect(&mut self, wanted: Type) -> Node {
        let change = self.change().await;
        assert_eq!(change.r#type(), wanted, "{change:?}");
        change.node.expect("every change has a node")
    }

    /// The nodes up to the end of the snapshot, which must have begun, in the order in which they came.
    pub async fn snapshot(&mut self) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        loop {
            match self.event().await {
                Event::Change(change) => {
                    let r#type = change.r#type();
                    let node = change.node.expect("every change has a node");
                    match (r#type, nodes.iter().position(|known| known.name == node.name)) {
                        (Type::Added, None) => nodes.push(node),
                        (Type::Modified, Some(known)) => nodes[known] = node,
                        (Type::Deleted, Some(known)) => drop(nodes.remove(known)),
                        (r#type, known) => panic!("{} is {type:?}, known at {known:?}", node.name),
                    }
                }
                Event::SnapshotComplete(complete) => {
                    assert_eq!(complete.node_count as usize, nodes.len());
                    return nodes;
                }
                Event::Bookmark(_) => {}
            }
        }
    }
}

/// The names of these nodes without `nodes/`.
pub fn names(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().map(|node| node.name.trim_start_matches("nodes/")).collect()
}
