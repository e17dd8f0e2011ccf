//! WatchNodes: a stream for each cursor.
//!
//! What a client is told is the cursor's business (`cluster::store::cursor`); here it becomes messages, with bookmarks in
//! between. A stream has no queue: it takes the next event when its client is ready for the next message.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nodeward_api::v1;
use nodeward_api::v1::node_change::Type;
use nodeward_api::v1::watch_nodes_response::Event;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::context::NodeRpc;
use super::read::show;
use super::request::{deadline, session};
use super::rights::WATCH_NODES;
use super::stream::while_allowed;
use crate::cluster::store::cursor::{self, Cursor, Interest, Step};
use crate::cluster::store::{Position, Store};
use crate::error::Error;
use crate::node::query::{Selection, parse_cached_read_mask};
use crate::node::token::ResumeToken;
use crate::node::{Violation, Violations};

const DEFAULT_BOOKMARK_INTERVAL: Duration = Duration::from_secs(30);

/// An age beyond which no watch lives, whatever is configured: a clock does not reach as far as a duration.
const LONGEST_AGE: Duration = Duration::from_secs(365 * 24 * 3600);

type Message = v1::WatchNodesResponse;

/// Opens a watch.
pub(super) async fn watch(
    rpc: &NodeRpc,
    request: Request<v1::WatchNodesRequest>,
) -> Result<Response<BoxStream<'static, Result<Message, Status>>>, Error> {
    let (session, deadline) = (session(&request)?, deadline(request.metadata()));
    let permission = WATCH_NODES.on_all();
    session.require(permission.clone(), deadline).await?;
    let end = rpc.stop.child_token();
    let watch = Watch::open(rpc.cluster.store(), request.get_ref(), rpc.watches.max_age, end.clone())?;
    let ended = async move { session.ended(permission).await };
    Ok(Response::new(while_allowed(watch.into_stream(), end, ended)))
}

/// A tenth more or less, so that the clients of a replica don't all come back at once.
pub(super) fn jittered(age: Duration) -> Duration {
    age.min(LONGEST_AGE).mul_f64(rand::random_range(0.9..1.1))
}

/// A request, understood.
struct Query {
    interest: Interest,
    bookmark_interval: Duration,
}

impl Query {
    fn parse(request: &v1::WatchNodesRequest) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        let selection = violations.take(Selection::parse(&request.filter, &request.label_selector));
        let mask = violations.take(parse_cached_read_mask(request.read_mask.as_ref()));
        let bookmark_interval = violations.take(bookmark_interval(request.bookmark_interval.as_ref()));
        if request.skip_snapshot && !request.resume_token.is_empty() {
            violations.add("skip_snapshot", "must not be set together with resume_token: a resumed watch goes on");
        }
        match (selection, mask, bookmark_interval) {
            (Some(selection), Some(mask), Some(bookmark_interval)) if violations.0.is_empty() => {
                Ok(Self { interest: Interest::new(selection, mask), bookmark_interval })
            }
            _ => Err(violations),
        }
    }

    /// Where the watch begins.
    fn cursor(self, store: Store, request: &v1::WatchNodesRequest) -> Result<Cursor, Error> {
        match request.resume_token.as_str() {
            "" if request.skip_snapshot => Ok(Cursor::at_the_end(store, self.interest)),
            "" => Ok(Cursor::at_the_beginning(store, self.interest)),
            token => {
                let token = ResumeToken::decode(token, self.interest.query()).ok_or(Error::InvalidResumeToken)?;
                Cursor::resume(store, self.interest, token)
            }
        }
    }
}

pub(super) fn bookmark_interval(interval: Option<&prost_types::Duration>) -> Result<Duration, Violation> {
    let Some(interval) = interval else { return Ok(DEFAULT_BOOKMARK_INTERVAL) };
    let allowed = Duration::from_secs(1)..=Duration::from_secs(600);
    let interval = Duration::try_from(*interval).ok().filter(|interval| allowed.contains(interval));
    interval.ok_or_else(|| Violation::new("bookmark_interval", "must be from 1 s to 10 min"))
}

/// One stream.
struct Watch {
    cursor: Cursor,
    changes: watch::Receiver<Option<Position>>,
    bookmark_interval: Duration,
    /// Whether it is to begin with a bookmark: without a snapshot it may be long before its client has anything to resume
    /// from.
    is_to_greet: bool,
    ends_at: Instant,
    stop: CancellationToken,
}

/// Why a stream has waited long enough.
enum Woken {
    Changes,
    Bookmark,
    End,
}

impl Watch {
    fn open(
        store: &Store,
        request: &v1::WatchNodesRequest,
        max_age: Duration,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let query = Query::parse(request)?;
        if stop.is_cancelled() {
            return Err(Error::ShuttingDown);
        }
        if !store.is_ready() {
            return Err(Error::NotReady);
        }
        Ok(Self {
            changes: store.changes(),
            bookmark_interval: query.bookmark_interval,
            is_to_greet: request.skip_snapshot || !request.resume_token.is_empty(),
            cursor: query.cursor(store.clone(), request)?,
            ends_at: Instant::now() + jittered(max_age),
            stop,
        })
    }

    fn into_stream(self) -> BoxStream<'static, Result<Message, Status>> {
        stream::unfold(Some(self), |watch| async move {
            let mut watch = watch?;
            match watch.next().await {
                Ok((message, false)) => Some((Ok(message), Some(watch))),
                Ok((message, true)) => Some((Ok(message), None)),
                Err(error) => Some((Err(error.into()), None)),
            }
        })
        .boxed()
    }

    /// The next message, and whether it is the last.
    async fn next(&mut self) -> Result<(Message, bool), Error> {
        let bookmark_at = Instant::now() + self.bookmark_interval;
        loop {
            if self.is_over() {
                return Ok((self.bookmark(), true));
            }
            if std::mem::take(&mut self.is_to_greet) {
                return Ok((self.bookmark(), false));
            }
            // Marked as seen before the store is read: what comes in between wakes the wait.
            self.changes.mark_unchanged();
            match self.cursor.step()? {
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
        self.stop.is_cancelled() || Instant::now() >= self.ends_at
    }

    async fn wait(&mut self, bookmark_at: Instant) -> Woken {
        tokio::select! {
            () = self.stop.cancelled() => Woken::End,
            () = tokio::time::sleep_until(self.ends_at) => Woken::End,
            Ok(()) = self.changes.changed() => Woken::Changes,
            () = tokio::time::sleep_until(bookmark_at) => Woken::Bookmark,
        }
    }

    /// Says that nothing has happened up to here.
    fn bookmark(&mut self) -> Message {
        self.cursor.catch_up();
        self.message(Event::Bookmark(v1::Bookmark {}))
    }

    fn message(&self, event: Event) -> Message {
        Message { event: Some(event), resume_token: self.cursor.token().encode() }
    }

    /// The event as the watch shows it.
    fn event(&self, event: cursor::Event) -> Result<Event, Error> {
        let interest = self.cursor.interest();
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
    use k8s_openapi::api::core::v1::Node;

    use super::*;

    fn store() -> Store {
        let mut node = Node::default();
        node.metadata.name = Some("a".to_owned());
        Store::holding(vec![node], 10)
    }

    fn open(store: &Store, request: &v1::WatchNodesRequest) -> Watch {
        Watch::open(store, request, Duration::from_secs(60), CancellationToken::new()).unwrap()
    }

    async fn next(watch: &mut Watch) -> Message {
        let (message, is_last) = watch.next().await.unwrap();
        assert!(!is_last);
        message
    }

    fn is_bookmark(message: &Message) -> bool {
        matches!(message.event, Some(Event::Bookmark(_)))
    }

    #[tokio::test]
    async fn a_watch_with_a_snapshot_begins_with_it() {
        let mut watch = open(&store(), &v1::WatchNodesRequest::default());
        assert!(matches!(next(&mut watch).await.event, Some(Event::Change(_))));
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
        let mut watch = open(&store, &request);
        let bookmark = next(&mut watch).await;
        assert!(is_bookmark(&bookmark));
        assert_eq!(bookmark.resume_token, request.resume_token, "it is still where it was");
        assert!(matches!(next(&mut watch).await.event, Some(Event::SnapshotComplete(_))));
    }

    #[tokio::test]
    async fn a_watch_may_be_meant_to_live_for_ever() {
        let forever = Watch::open(&store(), &v1::WatchNodesRequest::default(), Duration::MAX, CancellationToken::new());
        assert!(!forever.unwrap().is_over());
    }
}
