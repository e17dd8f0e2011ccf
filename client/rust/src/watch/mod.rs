//! A watch that goes on by itself, with the last token.
//!
//! When the server can't go on from the token, it takes a new snapshot and turns it into the differences to what it has
//! delivered ([`view`]): the consumer never sees a change twice, nor misses a deletion.

mod options;
mod view;

use std::time::Duration;

use futures::stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::api::{Node, WatchNodesRequest, WatchNodesResponse};
use crate::client::Client;
use crate::error::Error;
use crate::resume::{Patience, Resumable};
use crate::watch::view::View;

pub use crate::watch::options::WatchOptions;

/// Something that a watch tells.
#[derive(Debug)]
pub struct WatchEvent {
    /// What happened.
    pub kind: WatchEventKind,
    /// A new watch with this token goes on after this event. None where there is no such token: between the differences to
    /// a new snapshot, of which the new watch would miss some, and where nothing was told yet.
    pub resume_token: Option<String>,
}

/// What happened.
#[derive(Debug)]
pub enum WatchEventKind {
    /// The node is new to this watch: it was created, began to match the filter, or is part of the snapshot.
    Added {
        /// The node.
        node: Node,
    },
    /// The node changed.
    Modified {
        /// The node as it is now.
        node: Node,
        /// The paths of the fields that changed, sorted. Empty if the change was found by comparing snapshots.
        changed_paths: Vec<String>,
    },
    /// The node was deleted or no longer matches the filter.
    Deleted {
        /// The last state that is known.
        node: Node,
    },
    /// The snapshot is complete: what follows are changes. Comes once.
    SnapshotComplete {
        /// How many nodes the snapshot held. After a token of the caller's only those that this watch has told of.
        node_count: i32,
    },
    /// Nothing happened, up to here.
    Bookmark,
    /// The stream broke, or the server can't be reached. The watch goes on trying; until its next event, what the consumer
    /// knows may be out of date.
    Interrupted {
        /// Why.
        error: Error,
        /// When the next attempt is made.
        retry_in: Duration,
    },
}

impl Client {
    /// Watches nodes. The stream ends only after an error that opening it again would not mend; a consumer that wants to
    /// stop drops it.
    pub fn watch(
        &self,
        options: WatchOptions,
    ) -> impl Stream<Item = Result<WatchEvent, Error>> + Send + Unpin + 'static + use<> {
        let patience = Patience::of(options.bookmark_interval(), options.begin_within);
        self.resuming(Nodes { view: View::new(&options), request: options.into_request() }, patience)
    }
}

/// The nodes that match.
struct Nodes {
    /// What is watched. The token that a stream begins after is the view's.
    request: WatchNodesRequest,
    view: View,
}

impl Resumable for Nodes {
    type Request = WatchNodesRequest;
    type Message = WatchNodesResponse;
    type Event = WatchEvent;

    fn request(&self) -> Self::Request {
        WatchNodesRequest { resume_token: self.view.token().cloned().unwrap_or_default(), ..self.request.clone() }
    }

    async fn open(
        client: &Client,
        request: Request<Self::Request>,
    ) -> Result<Response<Streaming<Self::Message>>, Status> {
        client.service().watch_nodes(request).await
    }

    fn take(&mut self, message: Self::Message) -> Vec<WatchEvent> {
        self.view.take(message)
    }

    fn interrupted(&self, error: Error, retry_in: Duration) -> WatchEvent {
        let kind = WatchEventKind::Interrupted { error, retry_in };
        WatchEvent { kind, resume_token: self.view.resume_token() }
    }

    fn may_be_silent(&self) -> bool {
        self.view.may_be_silent()
    }

    /// Not after a token of the caller's: only the caller knows what came before it.
    fn start_over(&mut self, error: &Error) -> bool {
        error.is_about_resume_token() && self.view.start_over()
    }
}
