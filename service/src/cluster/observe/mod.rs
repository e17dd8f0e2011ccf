//! Watching what a drain depends on: the pods of a node, and the budgets, namespaces and DaemonSets of the cluster.
//!
//! What is seen here is what was, a moment ago. It says when something may have changed, and whoever removes a pod looks again
//! (`evict`); what a plan is made from is read at once (`read`). It promises:
//!
//! - a view holds what a watch has brought. The watch goes on after whatever befalls it, and a view says how old it is,
//! - budgets, namespaces and DaemonSets are watched once, however many drains there are, and only while there are any; so are
//!   the pods that a budget counts on, while it keeps a pod, and volumes, while a drain waits for them,
//! - what drains do not read of an object is not kept.

mod counted;
mod keep;
mod objects;
mod read;
#[cfg(test)]
mod tests;
mod view;
mod volumes;

use std::time::Duration;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource};

use super::feed::{Metadata, Whole};

pub use counted::Counted;
pub use keep::Keep;
pub use read::ClusterState;
pub(in crate::cluster) use view::Shared;
pub use view::View;
pub use volumes::Volumes;

/// A live view of the pods of one node.
pub type PodsOnNode = View<Pod>;

/// Opens views.
#[derive(Clone)]
pub struct Observer {
    client: Client,
    budgets: Shared<Whole<PodDisruptionBudget>>,
    namespaces: Shared<Metadata<Namespace>>,
    daemon_sets: Shared<Metadata<DaemonSet>>,
    claims: Shared<Whole<PersistentVolumeClaim>>,
    attachments: Shared<Whole<VolumeAttachment>>,
    /// Pods that budgets count on.
    counted: counted::Watches,
}

/// All that the drain of one node depends on.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The pods of the node.
    pub pods: PodsOnNode,
    /// All budgets.
    pub budgets: View<PodDisruptionBudget>,
    /// All namespaces: their labels, and whether they are being deleted.
    pub namespaces: View<PartialObjectMeta<Namespace>>,
    /// All DaemonSets: that they exist.
    pub daemon_sets: View<PartialObjectMeta<DaemonSet>>,
}

impl Observer {
    pub(super) fn new(client: Client) -> Self {
        Self {
            budgets: Shared::new(whole(&client), "poddisruptionbudgets"),
            namespaces: Shared::new(metadata(&client), "namespaces"),
            daemon_sets: Shared::new(metadata(&client), "daemonsets"),
            claims: Shared::new(whole(&client), "persistentvolumeclaims"),
            attachments: Shared::new(whole(&client), "volumeattachments"),
            counted: counted::Watches::default(),
            client,
        }
    }

    /// The pods of a node. The watch is this view's own.
    pub fn pods_on(&self, node: &str) -> PodsOnNode {
        View::open(pods_on(&self.client, node), "pods")
    }

    /// All budgets.
    pub fn budgets(&self) -> View<PodDisruptionBudget> {
        self.budgets.view()
    }

    /// All that the drain of a node depends on.
    pub fn observe(&self, node: &str) -> Observation {
        Observation {
            pods: self.pods_on(node),
            budgets: self.budgets.view(),
            namespaces: self.namespaces.view(),
            daemon_sets: self.daemon_sets.view(),
        }
    }
}

impl Observation {
    /// Whether all has been read once.
    pub fn is_in_sync(&self) -> bool {
        self.pods.is_in_sync()
            && self.budgets.is_in_sync()
            && self.namespaces.is_in_sync()
            && self.daemon_sets.is_in_sync()
    }

    /// Waits until all has been read once.
    pub async fn in_sync(&self) {
        tokio::join!(
            self.pods.in_sync(),
            self.budgets.in_sync(),
            self.namespaces.in_sync(),
            self.daemon_sets.in_sync()
        );
    }

    /// The age of what is the oldest of it.
    pub fn age(&self) -> Duration {
        let ages = [self.pods.age(), self.budgets.age(), self.namespaces.age(), self.daemon_sets.age()];
        ages.into_iter().max().unwrap_or_default()
    }

    /// Waits for a change of anything, as `View::changed` does.
    pub async fn changed(&mut self) {
        tokio::select! {
            () = self.pods.changed() => {}
            () = self.budgets.changed() => {}
            () = self.namespaces.changed() => {}
            () = self.daemon_sets.changed() => {}
        }
    }
}

fn pods_on(client: &Client, node: &str) -> Whole<Pod> {
    whole(client).with_fields(format!("spec.nodeName={node}"))
}

/// All objects of a kind, but for what is not read of them.
fn whole<K: Keep + Resource<DynamicType = ()>>(client: &Client) -> Whole<K> {
    Whole::keeping(Api::<K>::all(client.clone()), Keep::kept)
}

/// The metadata of all objects of a kind, but for what is not read of it.
fn metadata<K: Resource<DynamicType = ()>>(client: &Client) -> Metadata<K> {
    Metadata::keeping(Api::all(client.clone()), Keep::kept)
}
