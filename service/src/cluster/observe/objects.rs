//! The objects of one kind in memory, as a watch brings them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use kube::Resource;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cluster::feed::Sink;

/// Namespace and name. The namespace of what has none is empty.
type Key = (String, String);

/// The present state of all objects of a kind, or of those of a selection. There is no log: who looks late sees what is.
#[derive(Debug)]
pub(super) struct Objects<K> {
    inner: RwLock<Inner<K>>,
    /// How often something has changed. 0 until the first list has come.
    changes: watch::Sender<u64>,
    /// What they are called in metrics.
    kind: &'static str,
}

#[derive(Debug)]
struct Inner<K> {
    objects: BTreeMap<Key, Arc<K>>,
    /// All that happened up to this resource version is in it.
    version: u64,
    /// When the apiserver was last heard of.
    heard: Instant,
}

impl<K> Objects<K> {
    pub fn new(kind: &'static str) -> Self {
        let inner = Inner { objects: BTreeMap::new(), version: 0, heard: Instant::now() };
        Self { inner: RwLock::new(inner), changes: watch::Sender::new(0), kind }
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How long ago the apiserver was last heard of.
    pub fn age(&self) -> Duration {
        self.read().heard.elapsed()
    }

    /// All of them, in the order of namespaces and names.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.read().objects.values().cloned().collect()
    }

    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.read().objects.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Publishes what has changed, and that the apiserver was heard of.
    fn publish(&self, mut inner: RwLockWriteGuard<'_, Inner<K>>) {
        inner.heard = Instant::now();
        drop(inner);
        self.changes.send_modify(|changes| *changes += 1);
    }

    // Nothing panics while it holds the lock, and if it did, the data would still be whole.
    fn read(&self) -> RwLockReadGuard<'_, Inner<K>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner<K>> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Resource + Send + Sync> Sink for Arc<Objects<K>> {
    type Object = K;
    type Kept = K;

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn is_ready(&self) -> bool {
        *self.changes.borrow() > 0
    }

    fn version(&self) -> u64 {
        self.read().version
    }

    fn keep(&self, object: K) -> K {
        object
    }

    fn name(kept: &K) -> (&str, &str) {
        let metadata = kept.meta();
        (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
    }

    fn relist(&self, listed: Vec<K>, version: u64) {
        let listed = listed.into_iter().map(|object| (key(&object), Arc::new(object))).collect();
        let mut inner = self.write();
        inner.objects = listed;
        inner.version = version;
        self.publish(inner);
    }

    fn apply(&self, object: K) {
        let mut inner = self.write();
        if inner.takes(&object) {
            inner.objects.insert(key(&object), Arc::new(object));
            self.publish(inner);
        }
    }

    fn remove(&self, object: K) {
        let mut inner = self.write();
        if inner.takes(&object) {
            inner.objects.remove(&key(&object));
            self.publish(inner);
        }
    }

    fn advance(&self, version: u64) {
        let mut inner = self.write();
        inner.version = inner.version.max(version);
        inner.heard = Instant::now();
    }
}

impl<K: Resource> Inner<K> {
    /// Whether an object brings something new: a watch that is resumed may repeat what was seen. Versions are ordered integers
    /// (KEP-5504).
    fn takes(&mut self, object: &K) -> bool {
        let version = object.meta().resource_version.as_ref().and_then(|version| version.parse().ok()).unwrap_or(0);
        let is_new = version > self.version;
        self.version = self.version.max(version);
        is_new
    }
}

fn key(object: &impl Resource) -> Key {
    let metadata = object.meta();
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    fn pod(name: &str, version: u64) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.to_owned());
        pod.metadata.resource_version = Some(version.to_string());
        pod
    }

    fn listed(version: u64, names: &[&str]) -> Arc<Objects<Pod>> {
        let objects = Arc::new(Objects::new("pods"));
        objects.relist(names.iter().map(|name| pod(name, version)).collect(), version);
        objects
    }

    fn names(objects: &Objects<Pod>) -> Vec<String> {
        objects.all().iter().filter_map(|pod| pod.metadata.name.clone()).collect()
    }

    #[test]
    fn it_is_ready_once_the_first_list_has_come_even_an_empty_one() {
        let objects = Arc::new(Objects::<Pod>::new("pods"));
        assert!(!objects.is_ready());
        objects.relist(Vec::new(), 1);
        assert!(objects.is_ready());
    }

    #[test]
    fn it_holds_what_is_there() {
        let objects = listed(10, &["a", "b"]);
        objects.apply(pod("c", 11));
        objects.remove(pod("a", 12));
        assert_eq!(names(&objects), ["b", "c"]);
        assert_eq!(objects.get("", "c").unwrap().metadata.resource_version.as_deref(), Some("11"));
    }

    #[test]
    fn what_a_resumed_watch_repeats_changes_nothing() {
        let objects = listed(10, &["a"]);
        let changes = *objects.changes().borrow();
        objects.apply(pod("old", 9));
        objects.remove(pod("a", 10));
        assert_eq!(names(&objects), ["a"]);
        assert_eq!(*objects.changes().borrow(), changes);
    }

    #[test]
    fn a_list_after_a_gap_replaces_all() {
        let objects = listed(10, &["a", "b"]);
        objects.relist(vec![pod("b", 20), pod("c", 21)], 25);
        assert_eq!(names(&objects), ["b", "c"]);
        assert_eq!(objects.version(), 25);
    }

    #[test]
    fn a_bookmark_wakes_nobody() {
        let objects = listed(10, &["a"]);
        let changes = *objects.changes().borrow();
        objects.advance(30);
        assert_eq!((objects.version(), *objects.changes().borrow()), (30, changes));
    }
}
