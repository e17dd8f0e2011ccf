//! All pods of the cluster, in short.
//!
//! One upstream watch feeds them, whoever looks, and only while somebody does: a server of which nobody asks about pods does not
//! pay for them. Who looks again and again keeps its view, so that the first look alone waits for the list. It promises:
//!
//! - memory is bounded by what there is: about 500 bytes for a pod, and what pods have in common is there once,
//! - nobody who looks makes the watch wait: a view holds a lock only while it takes pointers,
//! - a view says how old it is.

mod read;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::feed::{Feed, Whole};
use crate::pod::PodRecord;
use read::SeenPod;
use store::PodStore;

/// Opens views of all pods.
#[derive(Clone)]
pub struct AllPods {
    client: Client,
    running: Arc<Mutex<Weak<Running>>>,
}

/// A live view of all pods. Clones are views of their own, of the same watch, which ends with the last of them.
#[derive(Clone)]
pub struct PodsView {
    running: Arc<Running>,
    /// What this view has been told of.
    seen: watch::Receiver<u64>,
}

struct Running {
    store: Arc<PodStore>,
    _feed: AbortOnDropHandle<()>,
}

impl AllPods {
    pub(super) fn new(client: Client) -> Self {
        Self { client, running: Arc::default() }
    }

    /// A view. It must be called within a tokio runtime, which must last as long as all views.
    pub fn view(&self) -> PodsView {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let current = running.upgrade().unwrap_or_else(|| {
            let started = Running::start(&self.client);
            *running = Arc::downgrade(&started);
            started
        });
        drop(running);
        PodsView { seen: current.store.changes(), running: current }
    }
}

impl Running {
    fn start(client: &Client) -> Arc<Self> {
        let store = Arc::new(PodStore::default());
        let pods = Whole::keeping(Api::<Pod>::all(client.clone()), |pod: SeenPod| Pod::from(pod));
        let feed = tokio::spawn(Feed::new(pods, store.clone()).follow());
        Arc::new(Self { store, _feed: AbortOnDropHandle::new(feed) })
    }
}

impl PodsView {
    /// Whether the pods have been read once. Until then there seem to be none.
    pub fn is_in_sync(&self) -> bool {
        *self.seen.borrow() > 0
    }

    /// Waits until the pods have been read once.
    pub async fn in_sync(&self) {
        // The sender lives in self: the wait can't fail.
        let _ = self.seen.clone().wait_for(|changes| *changes > 0).await;
    }

    /// How long ago the apiserver was last heard of. While all is well it is heard of at least about once a minute.
    pub fn age(&self) -> Duration {
        self.running.store.age()
    }

    /// The pods of a node, in the order of namespaces and names.
    pub fn on_node(&self, node: &str) -> Vec<Arc<PodRecord>> {
        self.running.store.on_node(node)
    }

    /// All pods, by the names of their nodes, then of their namespaces, then of themselves. First come those without a node.
    pub fn all(&self) -> Vec<Arc<PodRecord>> {
        self.running.store.all()
    }

    /// Waits for a change since this view was made, or since this has last returned. If it is dropped before, the change is
    /// still to be told.
    pub async fn changed(&mut self) {
        let _ = self.seen.changed().await;
    }
}

impl fmt::Debug for PodsView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PodsView").field("changes", &*self.seen.borrow()).finish_non_exhaustive()
    }
}
