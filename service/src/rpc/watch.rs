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
use crate::node::query::{Selection, parse_read_mask};
use crate::node::token::ResumeToken;
use crate::node::{Violation, Violations};

const DEFAULT_BOOKMARK_INTERVAL: Duration = Duration::from_secs(30);

type Message = v1::WatchNodesResponse;

/// Opens a watch.
pub(super) async fn watch(
    rpc: &NodeRpc,
    request: Request<v1::WatchNodesRequest>,
) -> Result<Response<BoxStream<'static, Result<Message, Status>>>, Error> {
    let (session, deadline) = (session(&request)?, deadline(request.metadata()));
    let request = request.into_inner();
    let store = rpc.cluster.store();
    let query = Query::parse(&request)?;
    if rpc.stop.is_cancelled() {
        return Err(Error::ShuttingDown);
    }
    let permission = WATCH_NODES.on_all();
    session.require(permission.clone(), deadline).await?;
    if !store.is_ready() {
        return Err(Error::NotReady);
    }
    let end = rpc.stop.child_token();
    let watch = Watch {
        changes: store.changes(),
        bookmark_interval: query.bookmark_interval,
        cursor: query.cursor(store.clone(), &request)?,
        ends_at: Instant::now() + jittered(rpc.watches.max_age),
        stop: end.clone(),
    };
    let ended = async move { session.ended(permission).await };
    Ok(Response::new(while_allowed(watch.into_stream(), end, ended)))
}

/// A tenth more or less, so that the clients of a replica don't all come back at once.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(rand::random_range(0.9..1.1))
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
        let mask = violations.take(parse_read_mask(request.read_mask.as_ref()));
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

fn bookmark_interval(interval: Option<&prost_types::Duration>) -> Result<Duration, Violation> {
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
