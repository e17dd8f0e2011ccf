//! The nodes of the cluster in memory: their present state and the log of their changes.
//!
//! One upstream watch (`cluster::feed`) writes, any number of readers read. Applying what the watch brings is synchronous and pure
//! bookkeeping, so it is tested without a cluster. Promises: changes stand in the log in the order of their resource
//! versions; a change that brings nothing new is not logged; a gap in the watch becomes the differences, not a new start.

mod class;
pub mod cursor;
mod log;
mod options;
pub mod segments;
mod view;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus};
use kube::Api;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::feed::{Feed, Lean, Sink, Whole};

pub use log::{Change, OutOfLog, Position};
pub use options::StoreOptions;
pub use view::NodeView;

/// Keeps a store up to date until it is told to stop.
pub(super) async fn follow(nodes: Api<Node>, store: Store, stop: CancellationToken) {
    let source = Whole::keeping(nodes, |node: Lean<NodeSpec, NodeStatus>| Node::from(node));
    stop.run_until_cancelled(Feed::new(source, store).follow()).await;
}

/// The nodes in memory. Cheap to clone: all clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<RwLock<Inner>>,
    /// Where the log ends; wakes the readers. `None` until the first list has come.
    end: watch::Sender<Option<Position>>,
    /// Tells this store's positions from those of another server, or of an earlier run of this one.
    instance: u64,
    /// The resource version up to which all is known; wakes those who wait for one.
    reached: watch::Sender<u64>,
    /// What lists are answered from.
    latest: segments::Latest,
    /// The streams that follow the log, by what they ask for.
    classes: Arc<class::Classes>,
}

#[derive(Debug)]
struct Inner {
    nodes: BTreeMap<String, Arc<NodeView>>,
    log: log::ChangeLog,
    /// All that happened up to this resource version is in `nodes` and `log`.
    version: u64,
    /// When the apiserver was last heard of.
    heard: Instant,
}

/// All nodes at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The nodes, in the order of their names.
    pub nodes: Vec<Arc<NodeView>>,
    /// Where in the log the moment is.
    pub position: Position,
    /// All that happened up to this resource version is in the snapshot.
    pub version: u64,
}

impl Store {
    /// An empty store, not ready yet.
    pub fn new(options: StoreOptions) -> Self {
        Self::with_change_log(options.change_log_bytes())
    }

    /// A store whose log may take so many bytes.
    fn with_change_log(bytes: usize) -> Self {
        let log = log::ChangeLog::new(0, bytes);
        let inner = Inner { nodes: BTreeMap::new(), log, version: 0, heard: Instant::now() };
        Self {
            inner: Arc::new(RwLock::new(inner)),
            end: watch::Sender::new(None),
            instance: rand::random(),
            reached: watch::Sender::new(0),
            latest: segments::Latest::default(),
            classes: Arc::default(),
        }
    }

    /// A store that has heard of these nodes.
    #[cfg(test)]
    pub(crate) fn holding(nodes: Vec<Node>, version: u64) -> Self {
        let store = Self::new(StoreOptions::default());
        store.reset(nodes, version);
        store
    }

    /// A store that remembers the last change only.
    #[cfg(test)]
    pub(crate) fn forgetful(nodes: Vec<Node>, version: u64) -> Self {
        let store = Self::with_change_log(0);
        store.reset(nodes, version);
        store
    }

    /// Takes in a complete list.
    #[cfg(test)]
    pub(crate) fn reset(&self, nodes: Vec<Node>, version: u64) {
        self.relist(nodes.into_iter().map(|node| self.keep(node)).collect(), version);
    }

    /// It hears that a node has changed.
    #[cfg(test)]
    pub(crate) fn hear(&self, node: Node) {
        self.apply(node);
    }

    /// It hears that nothing happened up to this resource version.
    #[cfg(test)]
    pub(crate) fn hear_nothing(&self, version: u64) {
        self.advance(version);
    }

    /// What the messages take that streams share.
    #[cfg(test)]
    pub(crate) fn shared_bytes(&self) -> usize {
        self.classes.bytes()
    }

    /// Tells this store's positions from those of another.
    pub fn instance(&self) -> u64 {
        self.instance
    }

    /// Whether the cluster's state has been read once.
    pub fn is_ready(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Waits until the cluster's state has been read once.
    pub async fn ready(&self) {
        // The sender lives in self: the wait can't fail.
        let _ = self.end.subscribe().wait_for(Option::is_some).await;
    }

    /// A receiver that changes whenever the log grows.
    pub fn changes(&self) -> watch::Receiver<Option<Position>> {
        self.end.subscribe()
    }

    /// A node by its name.
    pub fn get(&self, name: &str) -> Option<Arc<NodeView>> {
        self.read().nodes.get(name).cloned()
    }

    /// All nodes now.
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.read();
        Snapshot { nodes: inner.nodes.values().cloned().collect(), position: inner.log.end(), version: inner.version }
    }

    /// Waits until all that happened up to this resource version is known.
    pub async fn reached(&self, version: u64) {
        // The sender lives in self: the wait can't fail.
        let _ = self.reached.subscribe().wait_for(|reached| *reached >= version).await;
    }

    /// The resource version up to which all that happened is known.
    pub fn reached_version(&self) -> u64 {
        *self.reached.borrow()
    }

    /// Where the log ends, and the resource version up to which that is everything.
    fn head(&self) -> (Position, u64) {
        let inner = self.read();
        (inner.log.end(), inner.version)
    }

    /// How long ago the apiserver was last heard of.
    pub fn age(&self) -> Duration {
        self.read().heard.elapsed()
    }

    fn publish(&self, mut inner: RwLockWriteGuard<'_, Inner>) {
        inner.heard = Instant::now();
        let (end, version) = (inner.log.end(), inner.version);
        // Dropped after the lock: it can be many nodes.
        let _stale = self.latest.take_stale(&inner);
        drop(inner);
        self.end.send_replace(Some(end));
        self.reached.send_replace(version);
        self.classes.grown(self);
    }

    // Nothing panics while it holds the lock, and if it did, the data would still be whole.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Store {
    type Object = Node;
    type Kept = Arc<NodeView>;

    fn kind(&self) -> &'static str {
        "nodes"
    }

    fn is_ready(&self) -> bool {
        self.end.borrow().is_some()
    }

    fn version(&self) -> u64 {
        self.read().version
    }

    fn keep(&self, node: Node) -> Arc<NodeView> {
        NodeView::new(node).into()
    }

    fn name(kept: &Arc<NodeView>) -> (&str, &str) {
        ("", kept.name())
    }

    /// What differs after a gap in the watch becomes changes.
    fn relist(&self, listed: Vec<Arc<NodeView>>, version: u64) {
        let listed = listed.into_iter().map(|view| (view.name().to_owned(), view)).collect();
        let mut inner = self.write();
        if inner.version == 0 {
            inner.log = inner.log.restarted(version);
            inner.nodes = listed;
        } else {
            inner.log_differences(listed, version);
        }
        inner.version = version;
        self.publish(inner);
    }

    fn apply(&self, node: Node) {
        let view = Arc::new(NodeView::new(node));
        let mut inner = self.write();
        let version = view.version();
        if version <= inner.version {
            return; // Seen already: the watch was resumed from an older version than the list's.
        }
        let before = inner.nodes.insert(view.name().to_owned(), view.clone());
        inner.log.push(Change { before, after: view, deleted: false, version, resume_version: Some(version) });
        inner.version = version;
        self.publish(inner);
    }

    fn remove(&self, node: Node) {
        let view = Arc::new(NodeView::new(node));
        let mut inner = self.write();
        let version = view.version();
        if version <= inner.version {
            return;
        }
        if let Some(before) = inner.nodes.remove(view.name()) {
            inner.log.push(Change {
                before: Some(before),
                after: view,
                deleted: true,
                version,
                resume_version: Some(version),
            });
        }
        inner.version = version;
        self.publish(inner);
    }

    fn advance(&self, version: u64) {
        let mut inner = self.write();
        inner.version = inner.version.max(version);
        inner.heard = Instant::now();
        let version = inner.version;
        drop(inner);
        self.reached.send_replace(version);
    }
}

impl Inner {
    /// At most `limit` nodes after this name, in the order of their names.
    fn nodes_after(&self, name: &str, limit: usize) -> Vec<Arc<NodeView>> {
        let after = (Bound::Excluded(name), Bound::Unbounded);
        self.nodes.range::<str, _>(after).map(|(_, view)| view.clone()).take(limit).collect()
    }

    /// Logs what a new list differs in from what was known. The single steps in between are lost. A client that knows some
    /// of them, from another server that has them, can't go on here: what it knows may be gone without being a difference.
    fn log_differences(&mut self, listed: BTreeMap<String, Arc<NodeView>>, version: u64) {
        let known = std::mem::replace(&mut self.nodes, listed);

        // A node of the same name with another uid is another node: the known one is gone.
        let same_node = |view: &NodeView| known.get(view.name()).filter(|before| before.uid() == view.uid()).cloned();
        let is_gone =
            |before: &&Arc<NodeView>| self.nodes.get(before.name()).is_none_or(|now| now.uid() != before.uid());

        let gone = known.values().filter(is_gone).map(|before| (Some(before.clone()), before.clone(), true));
        let mut changed: Vec<(Option<Arc<NodeView>>, Arc<NodeView>)> = self
            .nodes
            .values()
            .map(|view| (same_node(view), view.clone()))
            .filter(|(before, view)| before.as_ref().is_none_or(|before| before.version() != view.version()))
            .collect();
        changed.sort_by_key(|(_, view)| view.version());

        let mut changes: Vec<Change> = gone
            .chain(changed.into_iter().map(|(before, after)| (before, after, false)))
            .map(|(before, after, deleted)| Change { before, after, deleted, version, resume_version: None })
            .collect();
        if let Some(last) = changes.last_mut() {
            last.resume_version = Some(version);
        }
        self.log.push_differences(self.version, version, changes);
    }
}

#[cfg(test)]
mod tests;
