//! What a drain sees of the cluster: its node, the pods on it, and all that decides about them.

use std::future::pending;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::NodeIdentity;
use crate::cluster::Cluster;
use crate::cluster::observe::{Counted, Observation, Observer, Volumes};
use crate::cluster::store::{NodeView, Position, Store};
use crate::drain::{
    self, Blocker, DaemonSetReference, DrainPlan, DrainPolicy, NodeVolumes, PlanInput, PodProgress, PodVolumes,
};
use crate::error::Error;

/// What a drain sees.
pub(super) struct Sight {
    identity: NodeIdentity,
    store: Store,
    nodes: watch::Receiver<Option<Position>>,
    /// The node as it was when it was last looked at.
    node: Option<Arc<NodeView>>,
    observer: Observer,
    observation: Observation,
    /// The pods that the budgets count which keep pods of this node, wherever those are.
    counted: Counted,
    /// None if the policy does not wait for volumes.
    volumes: Option<Volumes>,
}

impl Sight {
    /// Begins to look at what decides under this policy.
    pub fn open(cluster: &Cluster, identity: &NodeIdentity, policy: &DrainPolicy) -> Self {
        let store = cluster.store().clone();
        Self {
            identity: identity.clone(),
            nodes: store.changes(),
            node: None,
            store,
            observer: cluster.observer().clone(),
            observation: cluster.observer().observe(&identity.name),
            counted: cluster.observer().counted(),
            volumes: (policy.volumes == PodVolumes::WaitDetached).then(|| cluster.observer().volumes()),
        }
    }

    /// Waits until all has been seen once.
    pub async fn in_sync(&self) {
        let volumes = async {
            if let Some(volumes) = &self.volumes {
                volumes.in_sync().await;
            }
        };
        tokio::join!(self.store.ready(), self.observation.in_sync(), volumes);
    }

    /// The node as it was last seen. None if it was not, or another has its name.
    pub fn node(&mut self) -> Option<Arc<NodeView>> {
        self.node = self.store.get(&self.identity.name);
        self.node.clone().filter(|node| node.uid() == Some(&self.identity.uid))
    }

    /// What a drain that began now would do.
    pub fn plan(&self, node: &NodeView, policy: &DrainPolicy, now: Timestamp) -> DrainPlan {
        let node = node.object();
        let (pods, counted, budgets) =
            (self.observation.pods.all(), self.counted.all(), self.observation.budgets.all());
        let namespaces = self.observation.namespaces.all();
        let daemon_sets = self.observation.daemon_sets.all();
        // Of the node's own pods there is a view of their own, which may be ahead of the others or behind.
        let elsewhere = counted.iter().filter(|pod| node_of(pod) != self.identity.name);
        let input = PlanInput {
            node,
            nodes: vec![node],
            pods: pods.iter().chain(elsewhere).map(AsRef::as_ref).collect(),
            daemon_sets: daemon_sets.iter().map(|set| reference_of(&set.metadata)).collect(),
            budgets: budgets.iter().map(AsRef::as_ref).collect(),
            namespaces: namespaces
                .iter()
                .map(|namespace| (namespace.name_any(), namespace.metadata.labels.clone().unwrap_or_default()))
                .collect(),
            now,
        };
        drain::plan(&input, policy)
    }

    /// The uids of the pods that are on the node now, as Kubernetes' storage has them.
    pub async fn pods_now(&self, deadline: Instant) -> Result<Vec<String>, Error> {
        let pods = self.observer.read_pods_on(&self.identity.name, deadline).await?;
        Ok(pods.into_iter().filter_map(|pod| pod.metadata.uid).collect())
    }

    /// What is known of the volumes of the node and of the pods on it: nothing, if the policy does not wait for them.
    pub fn volumes(&self, plan: &DrainPlan) -> NodeVolumes {
        let Some(volumes) = &self.volumes else { return NodeVolumes::default() };
        let pods = plan.pods.iter().map(|pod| &pod.facts);
        let bound = pods.flat_map(|pod| {
            let namespace = &pod.reference.namespace;
            let volume_of = |claim: &String| volumes.bound_to(namespace, claim);
            pod.claims.iter().filter_map(move |claim| Some(((namespace.clone(), claim.clone()), volume_of(claim)?)))
        });
        NodeVolumes { bound: bound.collect(), attached: volumes.attached_to(&self.identity.name).collect() }
    }

    /// Looks at the pods that the budgets count which keep these pods, from now on, and at no others.
    pub fn look_at_budgets_of(&mut self, progress: &[PodProgress]) {
        let blocking = progress.iter().filter_map(|pod| match &pod.blocker {
            Some(Blocker::Budget { budget, .. }) => Some((&budget.budget.namespace, &budget.budget.name)),
            _ => None,
        });
        let budgets = blocking.filter_map(|(namespace, name)| self.observation.budgets.get(namespace, name));
        self.counted.look_at(budgets);
    }

    /// Waits until something has changed that the drain depends on.
    pub async fn changed(&mut self) {
        tokio::select! {
            () = self.observation.changed() => {}
            () = self.counted.changed() => {}
            () = volumes_changed(self.volumes.as_mut()) => {}
            () = node_changed(&self.identity.name, &self.store, &mut self.nodes, self.node.as_ref()) => {}
        }
    }
}

async fn volumes_changed(volumes: Option<&mut Volumes>) {
    match volumes {
        Some(volumes) => volumes.changed().await,
        None => pending().await,
    }
}

/// Waits for a change of this node: those of others are none.
async fn node_changed(
    name: &str,
    store: &Store,
    changes: &mut watch::Receiver<Option<Position>>,
    seen: Option<&Arc<NodeView>>,
) {
    loop {
        let now = store.get(name);
        let is_same = match (seen, &now) {
            (Some(seen), Some(now)) => Arc::ptr_eq(seen, now),
            (seen, now) => seen.is_none() && now.is_none(),
        };
        if !is_same {
            return;
        }
        // The sender lives in the store: the wait can't fail.
        let _ = changes.changed().await;
    }
}

fn node_of(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

fn reference_of(metadata: &ObjectMeta) -> DaemonSetReference {
    DaemonSetReference {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
    }
}
