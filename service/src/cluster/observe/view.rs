//! Views of objects: each holds a watch open for as long as somebody holds it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use kube::Resource;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::objects::Objects;
use crate::cluster::feed::{Feed, Source};

/// A live view of objects of one kind. Clones are views of their own, of the same watch, which ends with the last of them.
pub struct View<K> {
    running: Arc<Running<K>>,
    /// What this view has been told of.
    seen: watch::Receiver<u64>,
}

/// Objects, and the watch that keeps them up to date.
struct Running<K> {
    objects: Arc<Objects<K>>,
    _feed: AbortOnDropHandle<()>,
}

impl<K: Resource + Send + Sync + 'static> View<K> {
    /// Begins to watch. It must be called within a tokio runtime.
    pub(super) fn open(source: impl Source<Object = K> + 'static, kind: &'static str) -> Self {
        Self::of(Running::start(source, kind))
    }

    /// The objects, as long as they are watched.
    #[cfg(test)]
    pub(super) fn watched(&self) -> Weak<Objects<K>> {
        Arc::downgrade(&self.running.objects)
    }

    fn of(running: Arc<Running<K>>) -> Self {
        let seen = running.objects.changes();
        Self { running, seen }
    }

    /// Whether the objects have been read once. Until then there seem to be none.
    pub fn is_in_sync(&self) -> bool {
        *self.seen.borrow() > 0
    }

    /// Waits until the objects have been read once.
    pub async fn in_sync(&self) {
        // The sender lives in self: the wait can't fail.
        let _ = self.seen.clone().wait_for(|changes| *changes > 0).await;
    }

    /// How long ago the apiserver was last heard of. While all is well it is heard of about once a minute, at least.
    pub fn age(&self) -> Duration {
        self.running.objects.age()
    }

    /// The objects now, in the order of namespaces and names.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.running.objects.all()
    }

    /// An object by its namespace and name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.running.objects.get(namespace, name)
    }

    /// Waits for a change since this view was made, or since this has last returned. Whoever looks at the objects after it has
    /// returned, and then calls it again, misses nothing. If it is dropped before, the change is still to be told.
    pub async fn changed(&mut self) {
        let _ = self.seen.changed().await;
    }
}

impl<K> Running<K>
where
    K: Resource + Send + Sync + 'static,
{
    fn start(source: impl Source<Object = K> + 'static, kind: &'static str) -> Arc<Self> {
        let objects = Arc::new(Objects::new(kind));
        let feed = tokio::spawn(Feed::new(source, objects.clone()).follow());
        Arc::new(Self { objects, _feed: AbortOnDropHandle::new(feed) })
    }
}

impl<K> Clone for View<K> {
    fn clone(&self) -> Self {
        Self { running: self.running.clone(), seen: self.seen.clone() }
    }
}

impl<K> fmt::Debug for View<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("changes", &*self.seen.borrow()).finish_non_exhaustive()
    }
}

/// A view for all who want it: one watch, which runs only while somebody holds a view.
#[derive(Clone)]
pub(in crate::cluster) struct Shared<S: Source> {
    source: S,
    kind: &'static str,
    running: Arc<Mutex<Weak<Running<S::Object>>>>,
}

impl<S> Shared<S>
where
    S: Source + Clone + 'static,
    S::Object: Resource + Send + Sync + 'static,
{
    pub fn new(source: S, kind: &'static str) -> Self {
        Self { source, kind, running: Arc::default() }
    }

    /// Whether anybody holds a view.
    pub fn is_running(&self) -> bool {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).strong_count() > 0
    }

    /// A view. It must be called within a tokio runtime, which must last as long as all views.
    pub fn view(&self) -> View<S::Object> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let current = running.upgrade().unwrap_or_else(|| {
            let started = Running::start(self.source.clone(), self.kind);
            *running = Arc::downgrade(&started);
            started
        });
        drop(running);
        View::of(current)
    }
}
