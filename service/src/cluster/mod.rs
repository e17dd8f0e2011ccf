//! The only room that talks to Kubernetes.
//!
//! `store` holds the nodes in memory and the log of their changes, fed by one watch; `observe` what else drains depend on,
//! while there are any, `pods` all pods in short, while somebody looks at them. `mutate` is the only door to a write of a node, `evict` the only one through which pods are removed.
//! `lease` says which server does what one alone must do. What is here knows nodes and Kubernetes' rules, and no gRPC.

mod connect;
pub mod events;
pub mod evict;
mod fault;
mod feed;
mod impersonate;
pub mod lease;
pub mod mutate;
mod node_lock;
pub mod observe;
mod operations;
pub mod pods;
mod retry_after;
mod review;
pub mod store;
mod write_as;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::fault::within;
use self::write_as::Impersonation;
use crate::error::Error;

pub use connect::{ClusterOptions, Connection};
pub use node_lock::Stored;
pub use operations::Operations;
pub use review::Reviews;
pub use write_as::{WriteAs, WritesAs};

/// How often old requests are forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);

/// The cluster: its nodes in memory, and the ways to read and change them in Kubernetes.
#[derive(Clone)]
pub struct Cluster {
    nodes: Api<Node>,
    store: store::Store,
    mutator: mutate::Mutator,
    // Behind pointers, since every call takes a clone of the cluster with it.
    remover: Arc<evict::Remover>,
    observer: Arc<observe::Observer>,
    pods: Arc<pods::AllPods>,
    operations: Arc<Operations>,
    node_events: Arc<events::NodeEvents>,
    reviews: Reviews,
    impersonation: Impersonation,
    namespace: String,
}

impl Cluster {
    /// The cluster behind this connection. Nothing is read before `run`.
    pub fn new(connection: Connection) -> Self {
        let Connection { client, namespace, write_as, ledger, store } = connection;
        let impersonation = Impersonation::new(write_as);
        let store = store::Store::new(store);
        let mutator = mutate::Mutator::new(client.clone(), &namespace, ledger, store.clone());
        let reviews = Reviews::new(client.clone());
        let remover = evict::Remover::new(client.clone(), reviews.clone(), impersonation.clone()).into();
        let observer = observe::Observer::new(client.clone()).into();
        let pods = pods::AllPods::new(client.clone()).into();
        let operations = Operations::new(client.clone(), &namespace).into();
        let node_events = events::NodeEvents::new(client.clone()).into();
        Self {
            nodes: Api::all(client),
            store,
            mutator,
            remover,
            observer,
            pods,
            operations,
            node_events,
            reviews,
            impersonation,
            namespace,
        }
    }

    /// Keeps up with the nodes and with noted requests, and forgets old ones, until it is told to stop.
    pub async fn run(&self, stop: CancellationToken) {
        let nodes = store::follow(self.nodes.clone(), self.store.clone(), stop.clone());
        let requests = stop.run_until_cancelled(Box::pin(self.mutator.follow_requests()));
        let sweep = stop.run_until_cancelled(self.sweep());
        tokio::join!(nodes, requests, sweep);
    }

    /// The nodes in memory.
    pub fn store(&self) -> &store::Store {
        &self.store
    }

    /// The door to all changes.
    pub fn mutator(&self) -> &mutate::Mutator {
        &self.mutator
    }

    /// The door through which pods are removed.
    pub fn remover(&self) -> &evict::Remover {
        &self.remover
    }

    /// What drains depend on, watched or read at once.
    pub fn observer(&self) -> &observe::Observer {
        &self.observer
    }

    /// All pods, in short.
    pub fn pods(&self) -> &pods::AllPods {
        &self.pods
    }

    /// Operations, as Kubernetes keeps them.
    pub fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Events about nodes.
    pub fn node_events(&self) -> &events::NodeEvents {
        &self.node_events
    }

    /// Somebody who wants to hold the lease of this name, in the namespace of the server's own objects. `who` is for people who
    /// look at it.
    pub fn elector(&self, lease: &str, who: &str, timing: lease::LeaseTiming) -> lease::Elector {
        lease::Elector::new(self.nodes.clone().into_client(), &self.namespace, lease, who, timing)
    }

    /// Kubernetes' word on who callers are and what they may do.
    pub fn reviews(&self) -> &Reviews {
        &self.reviews
    }

    /// In whose name changes are sent that begin now. In the server's, the caller's right must be asked for each time.
    pub fn writes_as(&self) -> WritesAs {
        self.impersonation.writes_as()
    }

    /// Finds out in whose name changes are to be sent, however long that takes.
    pub async fn find_out_writes_as(&self) {
        self.impersonation.find_out(&self.nodes.clone().into_client()).await;
    }

    /// Waits until it is known which requests other servers have noted. Before that the misuse of a request id can go
    /// unnoticed.
    pub async fn requests_known(&self) {
        self.mutator.requests_known().await;
    }

    /// The namespace of the server's own objects.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The node in Kubernetes, now.
    pub async fn get(&self, name: &str, deadline: Instant) -> Result<Node, Error> {
        let read = within(deadline, "reading the node", self.nodes.get(name)).await?;
        read.map_err(|error| fault::about_node(error, name))
    }

    /// All nodes in Kubernetes, now, in the order of their names.
    pub async fn list(&self, deadline: Instant) -> Result<Vec<Node>, Error> {
        let read = within(deadline, "listing the nodes", self.nodes.list(&ListParams::default())).await?;
        let mut nodes = read.map_err(fault::from_kube)?.items;
        nodes.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        Ok(nodes)
    }

    async fn sweep(&self) {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            if let Err(error) = self.mutator.forget_old_requests().await {
                tracing::warn!(%error, "could not forget old requests, trying again soon");
            }
        }
    }
}
