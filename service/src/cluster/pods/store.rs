//! The records of all pods, as a watch brings them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cluster::feed::Sink;
use crate::pod::{InCommon, PodRecord};

/// Namespace and name, which the record has too.
type Name = (Arc<str>, Arc<str>);

type OfNode = BTreeMap<Name, Arc<PodRecord>>;

/// The present state of all pods. There is no log: who looks late sees what is.
#[derive(Debug)]
pub(super) struct PodStore {
    inner: RwLock<Inner>,
    /// What the records share. Apart, because records are made before they are taken in.
    in_common: Mutex<InCommon>,
    /// How often something has changed. 0 until the first list has come.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    /// By the names of nodes. Pods that have none are under the empty one.
    nodes: BTreeMap<Arc<str>, OfNode>,
    /// All that happened up to this resource version is in it.
    version: u64,
    /// When the apiserver was last heard of.
    heard: Instant,
}

impl Default for PodStore {
    fn default() -> Self {
        let inner = Inner { nodes: BTreeMap::new(), version: 0, heard: Instant::now() };
        Self { inner: RwLock::new(inner), in_common: Mutex::default(), changes: watch::Sender::new(0) }
    }
}

impl PodStore {
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub fn age(&self) -> Duration {
        self.read().heard.elapsed()
    }

    pub fn on_node(&self, node: &str) -> Vec<Arc<PodRecord>> {
        self.read().nodes.get(node).map(|pods| pods.values().cloned().collect()).unwrap_or_default()
    }

    pub fn all(&self) -> Vec<Arc<PodRecord>> {
        self.read().nodes.values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Publishes what has changed, and that the apiserver was heard of.
    fn publish(&self, mut inner: RwLockWriteGuard<'_, Inner>) {
        inner.heard = Instant::now();
        drop(inner);
        self.changes.send_modify(|changes| *changes += 1);
    }

    // Nothing panics while it holds the lock, and if it did, the data would still be whole.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Arc<PodStore> {
    type Object = Pod;
    type Kept = Arc<PodRecord>;

    fn kind(&self) -> &'static str {
        "pods"
    }

    fn is_ready(&self) -> bool {
        *self.changes.borrow() > 0
    }

    fn version(&self) -> u64 {
        self.read().version
    }

    fn keep(&self, pod: Pod) -> Arc<PodRecord> {
        let mut in_common = self.in_common.lock().unwrap_or_else(PoisonError::into_inner);
        PodRecord::of(&pod, &mut in_common).into()
    }

    fn name(kept: &Arc<PodRecord>) -> (&str, &str) {
        (&kept.kind.namespace, &kept.name)
    }

    fn relist(&self, listed: Vec<Arc<PodRecord>>, version: u64) {
        // Before the lock is taken: it is work. A pod that got its node while it was listed is there twice.
        let mut listed_anew = Inner { nodes: BTreeMap::new(), version, heard: Instant::now() };
        listed.into_iter().for_each(|pod| listed_anew.insert(pod));
        let mut inner = self.write();
        *inner = listed_anew;
        self.publish(inner);
    }

    fn apply(&self, pod: Pod) {
        let pod = self.keep(pod);
        let mut inner = self.write();
        if inner.takes(&pod) {
            inner.insert(pod);
            self.publish(inner);
        }
    }

    fn remove(&self, pod: Pod) {
        let pod = self.keep(pod);
        let mut inner = self.write();
        if inner.takes(&pod) {
            inner.remove(&pod, node_of(&pod));
            // Its deletion may be the first that is heard of its node.
            inner.remove(&pod, "");
            self.publish(inner);
        }
    }

    fn advance(&self, version: u64) {
        let mut inner = self.write();
        inner.version = inner.version.max(version);
        inner.heard = Instant::now();
    }
}

impl Inner {
    /// Whether a pod brings something new: a watch that is resumed may repeat what was seen.
    fn takes(&mut self, pod: &PodRecord) -> bool {
        let is_new = pod.version > self.version;
        self.version = self.version.max(pod.version);
        is_new
    }

    /// A pod gets its node once, and keeps it.
    fn insert(&mut self, pod: Arc<PodRecord>) {
        let node = pod.node.clone().unwrap_or_default();
        let known = self.nodes.entry(node).or_default().insert(name_of(&pod), pod.clone());
        if known.is_none() && pod.node.is_some() {
            self.remove(&pod, "");
        }
    }

    fn remove(&mut self, pod: &PodRecord, node: &str) {
        let Some(pods) = self.nodes.get_mut(node) else { return };
        pods.remove(&name_of(pod));
        if pods.is_empty() {
            self.nodes.remove(node);
        }
    }
}

fn name_of(pod: &PodRecord) -> Name {
    (pod.kind.namespace.clone(), pod.name.clone())
}

fn node_of(pod: &PodRecord) -> &str {
    pod.node.as_deref().unwrap_or_default()
}
