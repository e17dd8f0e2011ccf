//! WatchNodes: a cursor on the store's log for each stream.
//!
//! A stream has no queue: it takes the next change when its client is ready for the next message. Promises, as etcd names
//! them: ordered, unique, reliable (nothing is left out), resumable at any message, bookmarkable.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nodeward_api::v1;
use nodeward_api::v1::node_change::Type;
use nodeward_api::v1::watch_nodes_response::Event;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

use super::context::NodeRpc;
use super::read::show;
use crate::cluster::store::{Change, NodeView, Position, Store};
use crate::error::Error;
use crate::node::mask::ReadMask;
use crate::node::query::{Selection, parse_read_mask};
use crate::node::token::{Ahead, QueryHash, ResumeToken};
use crate::node::{Violation, Violations};

const DEFAULT_BOOKMARK_INTERVAL: Duration = Duration::from_secs(30);

/// How many changes are taken from the log at once.
const BATCH: usize = 64;

/// What every change changes: named only to those who ask for it by a mask.
const BOOKKEEPING: [&str; 3] = ["etag", "metadata.resource_version", "metadata.managed_fields"];

type Message = v1::WatchNodesResponse;

/// Opens a watch.
pub(super) fn watch(
    rpc: &NodeRpc,
    request: v1::WatchNodesRequest,
) -> Result<Response<BoxStream<'static, Result<Message, Status>>>, Error> {
    let store = rpc.cluster.store();
    let query = Query::parse(&request)?;
    if rpc.stop.is_cancelled() {
        return Err(Error::ShuttingDown);
    }
    if !store.is_ready() {
        return Err(Error::NotReady);
    }
    let watch = Watch {
        changes: store.changes(),
        start: Start::new(store, &request, &query)?,
        batch: VecDeque::new(),
        store: store.clone(),
        query,
        ends_at: Instant::now() + jittered(rpc.watches.max_age),
        stop: rpc.stop.clone(),
    };
    Ok(Response::new(watch.into_stream()))
}

/// A tenth more or less, so that the clients of a replica don't all come back at once.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(rand::random_range(0.9..1.1))
}

/// What a watch is about.
struct Query {
    selection: Selection,
    mask: ReadMask,
    hash: QueryHash,
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
                let hash = selection.hash(&mask.to_string());
                Ok(Self { selection, mask, hash, bookmark_interval })
            }
            _ => Err(violations),
        }
    }

    /// The message of a change, if the watch shows it.
    fn show(&self, change: &Change) -> Result<Option<v1::NodeChange>, Error> {
        let matches = |view: &Arc<NodeView>| self.selection.matches(view.object());
        let was_in = change.before.as_ref().is_some_and(matches);
        let is_in = !change.deleted && matches(&change.after);
        let r#type = match (was_in, is_in) {
            (false, false) => return Ok(None),
            (false, true) => Type::Added,
            (true, false) => Type::Deleted,
            (true, true) => Type::Modified,
        };
        let changed_paths = match (&change.before, r#type) {
            (Some(before), Type::Modified) => {
                let (before, after) = (before.encoded(), change.after.encoded());
                if !self.mask.shows_change(before, after) {
                    return Ok(None);
                }
                let mut paths = self.mask.changed_paths(before, after);
                if self.mask.paths().is_empty() {
                    paths.retain(|path| !BOOKKEEPING.contains(&path.as_str()));
                }
                paths
            }
            _ => Vec::new(),
        };
        Ok(Some(v1::NodeChange { r#type: r#type.into(), node: Some(show(&change.after, &self.mask)?), changed_paths }))
    }
}

fn bookmark_interval(interval: Option<&prost_types::Duration>) -> Result<Duration, Violation> {
    let Some(interval) = interval else { return Ok(DEFAULT_BOOKMARK_INTERVAL) };
    let allowed = Duration::from_secs(1)..=Duration::from_secs(600);
    let interval = Duration::try_from(*interval).ok().filter(|interval| allowed.contains(interval));
    interval.ok_or_else(|| Violation::new("bookmark_interval", "must be from 1 s to 10 min"))
}

/// What is sent before the changes as they come.
#[derive(Default)]
struct Start {
    /// The changes since a token that was given while the snapshot was being sent, of the nodes that it had reached.
    catch_up: VecDeque<Arc<Change>>,
    /// Where in the log they begin, and the resource version up to which the client knows everything there.
    catch_up_from: (Position, u64),
    /// The nodes that are still to be sent.
    snapshot: VecDeque<Arc<NodeView>>,
    /// The last node of the snapshot that the client has.
    snapshot_after: Option<String>,
    /// Whether the end of a snapshot is still to be announced, and how many nodes it held.
    announce: Option<i32>,
    /// From where on the changes follow.
    position: Position,
    /// The resource version up to which the client knows everything at `position`.
    version: u64,
    /// What the client knows besides, from another server that was ahead of this one.
    seen: Seen,
}

/// Changes that a client knows already.
#[derive(Default)]
struct Seen {
    /// All up to this resource version.
    version: u64,
    /// Those of some nodes even further.
    ahead: Vec<Ahead>,
}

impl Seen {
    /// Up to which resource version a client knows everything after a change, if it was this version before. 0 within the
    /// differences after a gap: there is none from which another server could go on.
    fn version_after(&self, change: &Change, version: u64) -> u64 {
        match change.resume_version {
            Some(after) => version.max(after),
            None if change.version <= self.version => version,
            None => 0,
        }
    }

    /// Whether only differences are known here of the time up to which the client knows everything: what it knows may be
    /// gone without being one of them.
    fn is_lost(&self, store: &Store) -> bool {
        let mut versions = self.ahead.iter().map(|ahead| ahead.version).chain([self.version]);
        versions.any(|version| store.is_within_gap(version))
    }

    fn holds(&self, change: &Change) -> bool {
        let of_node = |ahead: &Ahead| change.after.name() <= ahead.until.as_str() && change.version <= ahead.version;
        change.version <= self.version || self.ahead.iter().any(of_node)
    }
}

impl Start {
    fn new(store: &Store, request: &v1::WatchNodesRequest, query: &Query) -> Result<Self, Error> {
        if request.resume_token.is_empty() {
            let snapshot = store.snapshot();
            let start = Self { position: snapshot.position, version: snapshot.version, ..Self::default() };
            return Ok(if request.skip_snapshot {
                start
            } else {
                Self { snapshot: query.matching(snapshot.nodes), announce: Some(0), ..start }
            });
        }
        let token = ResumeToken::decode(&request.resume_token, query.hash).ok_or(Error::InvalidResumeToken)?;
        let start = Self::resume(store, &token)?;
        match token.snapshot_after {
            None => Ok(start),
            Some(after) => start.within_snapshot(store, query, after),
        }
    }

    /// Goes on from a token: exactly on the server that gave it, by the resource version on any other.
    fn resume(store: &Store, token: &ResumeToken) -> Result<Self, Error> {
        let position = if token.instance == store.instance() {
            Position(token.position)
        } else {
            store.position_after(token.version).map_err(|_| Error::ResumeTokenExpired)?
        };
        if position > store.head().0 {
            return Err(Error::InvalidResumeToken);
        }
        store.changes_from(position, 1).map_err(|_| Error::ResumeTokenExpired)?;
        let seen = Seen { version: token.version, ahead: token.ahead.clone() };
        if seen.is_lost(store) {
            return Err(Error::ResumeTokenExpired);
        }
        Ok(Self { position, version: token.version, seen, ..Self::default() })
    }

    /// Goes on within a snapshot: the nodes that were sent are brought up to date by their changes, the others are sent
    /// as they are now.
    fn within_snapshot(self, store: &Store, query: &Query, after: String) -> Result<Self, Error> {
        let now = store.snapshot();
        let span = (now.position.0 - self.position.0) as usize;
        let catch_up = store.changes_from(self.position, span).map_err(|_| Error::ResumeTokenExpired)?;
        let rest = now.nodes.into_iter().filter(|view| view.name() > after.as_str()).collect();
        let mut seen = self.seen;
        if seen.version > now.version {
            // This server lags behind: what it sends now is older than what was sent before.
            seen.ahead.push(Ahead { until: after.clone(), version: seen.version });
            seen.version = now.version;
        }
        Ok(Self {
            catch_up: catch_up.into(),
            catch_up_from: (self.position, self.version),
            snapshot: query.matching(rest),
            snapshot_after: Some(after),
            announce: Some(0),
            position: now.position,
            version: now.version,
            seen,
        })
    }
}

impl Query {
    fn matching(&self, nodes: Vec<Arc<NodeView>>) -> VecDeque<Arc<NodeView>> {
        nodes.into_iter().filter(|view| self.selection.matches(view.object())).collect()
    }
}

/// One stream.
struct Watch {
    store: Store,
    changes: watch::Receiver<Option<Position>>,
    query: Query,
    start: Start,
    /// Changes that were taken from the log: they begin at `start.position`.
    batch: VecDeque<Arc<Change>>,
    ends_at: Instant,
    stop: CancellationToken,
}

/// What a stream does next.
enum Step {
    Send(Box<Message>),
    /// Nothing to send of this: go on.
    Skip,
    Wait,
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
        let bookmark_at = Instant::now() + self.query.bookmark_interval;
        loop {
            if self.is_over() {
                return Ok((self.bookmark(), true));
            }
            match self.step()? {
                Step::Send(message) => return Ok((*message, false)),
                // Somebody else's turn: there may be many changes that this watch does not show.
                Step::Skip if self.batch.is_empty() => tokio::task::yield_now().await,
                Step::Skip => {}
                Step::Wait => match self.wait(bookmark_at).await {
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

    fn step(&mut self) -> Result<Step, Error> {
        if let Some(change) = self.start.catch_up.pop_front() {
            return self.catch_up(&change);
        }
        if let Some(view) = self.start.snapshot.pop_front() {
            return self.send_snapshot(&view);
        }
        if let Some(node_count) = self.start.announce.take() {
            self.start.snapshot_after = None;
            return Ok(self.send(Event::SnapshotComplete(v1::SnapshotComplete { node_count })));
        }
        if self.batch.is_empty() {
            // Marked as seen before the log is read: what comes in between wakes the wait.
            self.changes.mark_unchanged();
            let batch = self.store.changes_from(self.start.position, BATCH);
            self.batch = batch.map_err(|_| Error::ResumeTokenExpired)?.into();
            // Afterwards, since a gap is known no later than its differences.
            if self.start.seen.is_lost(&self.store) {
                return Err(Error::ResumeTokenExpired);
            }
        }
        match self.batch.pop_front() {
            Some(change) => self.send_change(&change),
            None => Ok(Step::Wait),
        }
    }

    fn catch_up(&mut self, change: &Change) -> Result<Step, Error> {
        let (position, version) = self.start.catch_up_from;
        self.start.catch_up_from = (Position(position.0 + 1), self.start.seen.version_after(change, version));
        let was_sent = self.start.snapshot_after.as_deref().is_some_and(|after| change.after.name() <= after);
        if !was_sent || self.start.seen.holds(change) {
            return Ok(Step::Skip);
        }
        let shown = self.query.show(change)?;
        Ok(shown.map_or(Step::Skip, |change| self.send(Event::Change(change))))
    }

    fn send_snapshot(&mut self, view: &NodeView) -> Result<Step, Error> {
        self.start.snapshot_after = Some(view.name().to_owned());
        self.start.announce = self.start.announce.map(|count| count + 1);
        let node = Some(show(view, &self.query.mask)?);
        Ok(self.send(Event::Change(v1::NodeChange { r#type: Type::Added.into(), node, changed_paths: Vec::new() })))
    }

    fn send_change(&mut self, change: &Change) -> Result<Step, Error> {
        self.start.position.0 += 1;
        self.start.version = self.start.seen.version_after(change, self.start.version);
        if self.start.seen.holds(change) {
            return Ok(Step::Skip);
        }
        let shown = self.query.show(change)?;
        Ok(shown.map_or(Step::Skip, |change| self.send(Event::Change(change))))
    }

    /// Says that nothing has happened up to here; at the end of the log, up to what the store has heard of.
    fn bookmark(&mut self) -> Message {
        let (position, version) = self.store.head();
        if position == self.start.position && self.start.snapshot_after.is_none() {
            self.start.version = self.start.version.max(version);
        }
        message(Event::Bookmark(v1::Bookmark {}), &self.token())
    }

    fn send(&self, event: Event) -> Step {
        Step::Send(Box::new(message(event, &self.token())))
    }

    /// The token of a client that has all that was sent so far.
    fn token(&self) -> ResumeToken {
        let start = &self.start;
        let (position, version) =
            if start.catch_up.is_empty() { (start.position, start.version) } else { start.catch_up_from };
        let mut token = ResumeToken::new(self.store.instance(), position.0, version, self.query.hash);
        token.snapshot_after = start.snapshot_after.clone();
        token.ahead = start.seen.ahead.iter().filter(|ahead| ahead.version > version).cloned().collect();
        token
    }
}

fn message(event: Event, token: &ResumeToken) -> Message {
    Message { event: Some(event), resume_token: token.encode() }
}
