//! What all RPCs of NodeService and DrainService work with.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Extensions;

use crate::cluster::Cluster;

/// NodeService and DrainService on a cluster.
#[derive(Clone)]
pub struct NodeRpc {
    pub(super) cluster: Cluster,
    pub(super) watches: WatchLimits,
    /// Changes run here, so that they are carried out to their end when their client goes away.
    pub(super) tasks: TaskTracker,
    /// Ends the streams.
    pub(super) stop: CancellationToken,
}

/// How long watches last.
#[derive(Clone, Copy, Debug)]
pub struct WatchLimits {
    /// The age at which a watch ends itself, give or take a tenth, so that its client comes back to another replica.
    pub max_age: Duration,
}

impl NodeRpc {
    /// The service on this cluster. Its changes run in `tasks`; its streams end with `stop`.
    pub fn new(cluster: Cluster, watches: WatchLimits, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { cluster, watches, tasks, stop }
    }

    /// The same for one request: its stream ends with its connection, which ends no later than the service.
    pub(super) fn of_connection(&self, request: &Extensions) -> Self {
        let end = request.get::<CancellationToken>();
        Self { stop: end.unwrap_or(&self.stop).clone(), ..self.clone() }
    }
}
