//! A watch as tonic serves it: a stream of messages, each encoded for this stream alone.
//!
//! It is for those who want them compressed, and it is what the fast way (`body`) is measured by: both send the same.

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nodeward_api::v1;
use nodeward_api::v1::node_change::Type;
use nodeward_api::v1::watch_nodes_response::Event;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{Watch, open};
use crate::cluster::store::cursor::{self, Step};
use crate::cluster::store::{Position, Store};
use crate::error::Error;
use crate::rpc::context::NodeRpc;
use crate::rpc::read::show;
use crate::rpc::rights::WATCH_NODES;
use crate::rpc::stream::while_allowed;

type Message = v1::WatchNodesResponse;

/// Opens a watch.
pub(in crate::rpc) async fn watch(
    rpc: &NodeRpc,
    request: Request<v1::WatchNodesRequest>,
) -> Result<Response<BoxStream<'static, Result<Message, Status>>>, Error> {
    let end = rpc.stop.child_token();
    let rpc = NodeRpc { stop: end.clone(), ..rpc.clone() };
    let (watch, session) = open(&rpc, &request).await?;
    let ended = async move { session.ended(WATCH_NODES.on_all()).await };
    let stream = Messages::new(watch, rpc.cluster.store()).into_stream();
    Ok(Response::new(while_allowed(stream, end, ended)))
}

/// One stream.
struct Messages {
    watch: Watch,
    changes: watch::Receiver<Option<Position>>,
}

/// Why a stream has waited long enough.
enum Woken {
    Changes,
    Bookmark,
    End,
}

impl Messages {
    fn new(watch: Watch, store: &Store) -> Self {
        Self { watch, changes: store.changes() }
    }

    fn into_stream(self) -> BoxStream<'static, Result<Message, Status>> {
        stream::unfold(Some(self), |messages| async move {
            let mut messages = messages?;
            match messages.next().await {
                Ok((message, false)) => Some((Ok(message), Some(messages))),
                Ok((message, true)) => Some((Ok(message), None)),
                Err(error) => Some((Err(error.into()), None)),
            }
        })
        .boxed()
    }

    /// The next message, and whether it is the last.
    async fn next(&mut self) -> Result<(Message, bool), Error> {
        let bookmark_at = Instant::now() + self.watch.bookmark_interval;
        loop {
            if self.is_over() {
                return Ok((self.bookmark(), true));
            }
            if std::mem::take(&mut self.watch.is_to_greet) {
                return Ok((self.bookmark(), false));
            }
            // Marked as seen before the store is read: what comes in between wakes the wait.
            self.changes.mark_unchanged();
            match self.watch.cursor.step()? {
                Step::Event(event) => return Ok((self.message(self.event(event)?), false)),
                // Somebody else's turn: there may be many changes that this watch does not show.
                Step::Skipped => tokio::task::yield_now().await,
                Step::Nothing => match self.wait(bookmark_at).await {
                    Woken::Changes => {}
                    Woken::Bookmark => return Ok((self.bookmark(), false)),
                    Woken::End => return Ok((self.bookmark(), true)),
                },
            }
        }
    }

    fn is_over(&self) -> bool {
        self.watch.stop.is_cancelled() || Instant::now() >= self.watch.ends_at
    }

    async fn wait(&mut self, bookmark_at: Instant) -> Woken {
        tokio::select! {
            () = self.watch.stop.cancelled() => Woken::End,
            () = tokio::time::sleep_until(self.watch.ends_at) => Woken::End,
            Ok(()) = self.changes.changed() => Woken::Changes,
            () = tokio::time::sleep_until(bookmark_at) => Woken::Bookmark,
        }
    }

    /// Says that nothing has happened up to here.
    fn bookmark(&mut self) -> Message {
        self.watch.cursor.catch_up();
        self.message(Event::Bookmark(v1::Bookmark {}))
    }

    fn message(&self, event: Event) -> Message {
        Message { event: Some(event), resume_token: self.watch.cursor.token().encode() }
    }

    /// The event as the watch shows it.
    fn event(&self, event: cursor::Event) -> Result<Event, Error> {
        let interest = self.watch.cursor.interest();
        let (r#type, view, changed_paths) = match event {
            cursor::Event::Added(view) => (Type::Added, view, Vec::new()),
            cursor::Event::Deleted(view) => (Type::Deleted, view, Vec::new()),
            cursor::Event::Modified { before, after } => {
                let changed_paths = interest.changed_paths(&before, &after);
                (Type::Modified, after, changed_paths)
            }
            cursor::Event::SnapshotComplete { node_count } => {
                return Ok(Event::SnapshotComplete(v1::SnapshotComplete { node_count }));
            }
        };
        let node = Some(show(&view, interest.mask())?);
        Ok(Event::Change(v1::NodeChange { r#type: r#type.into(), node, changed_paths }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::core::v1::Node;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn store() -> Store {
        let mut node = Node::default();
        node.metadata.name = Some("a".to_owned());
        Store::holding(vec![node], 10)
    }

    fn open(store: &Store, request: &v1::WatchNodesRequest) -> Messages {
        let watch = Watch::open(store, request, Duration::from_secs(60), CancellationToken::new()).unwrap();
        Messages::new(watch, store)
    }

    async fn next(messages: &mut Messages) -> Message {
        let (message, is_last) = messages.next().await.unwrap();
        assert!(!is_last);
        message
    }

    fn is_bookmark(message: &Message) -> bool {
        matches!(message.event, Some(Event::Bookmark(_)))
    }

    #[tokio::test]
    async fn a_watch_with_a_snapshot_begins_with_it() {
        let mut messages = open(&store(), &v1::WatchNodesRequest::default());
        assert!(matches!(next(&mut messages).await.event, Some(Event::Change(_))));
    }

    #[tokio::test]
    async fn a_watch_without_a_snapshot_begins_with_a_bookmark_to_resume_from() {
        let store = store();
        let request = v1::WatchNodesRequest { skip_snapshot: true, ..Default::default() };
        let bookmark = next(&mut open(&store, &request)).await;
        assert!(is_bookmark(&bookmark));

        let request = v1::WatchNodesRequest { resume_token: bookmark.resume_token, ..Default::default() };
        assert!(is_bookmark(&next(&mut open(&store, &request)).await));
    }

    #[tokio::test]
    async fn a_resumed_watch_goes_on_after_its_first_bookmark() {
        let store = store();
        let added = next(&mut open(&store, &v1::WatchNodesRequest::default())).await;
        let request = v1::WatchNodesRequest { resume_token: added.resume_token, ..Default::default() };
        let mut messages = open(&store, &request);
        let bookmark = next(&mut messages).await;
        assert!(is_bookmark(&bookmark));
        assert_eq!(bookmark.resume_token, request.resume_token, "it is still where it was");
        assert!(matches!(next(&mut messages).await.event, Some(Event::SnapshotComplete(_))));
    }
}
