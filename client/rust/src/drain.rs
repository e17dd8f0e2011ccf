//! Drains: what one would do, and to have it done.

use crate::api::{DrainNodeRequest, DrainPlan, DrainPolicy, PlanDrainRequest};
use crate::change::{Change, Changed, Identified};
use crate::client::Client;
use crate::error::Error;
use crate::longrunning::Operation;
use crate::name::resource_name;

/// How a node is drained.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrainOptions {
    /// What may happen to its pods. The empty policy is the careful one.
    pub policy: DrainPolicy,
    /// Drain it only as this plan of [`Client::plan_drain`] says.
    pub plan_hash: Option<String>,
}

impl Client {
    /// Says what draining a node would do, pod by pod, and changes nothing.
    ///
    /// # Errors
    /// The server's, or the last one of the attempts to reach it.
    pub async fn plan_drain(&self, name: &str, policy: DrainPolicy) -> Result<DrainPlan, Error> {
        let request = PlanDrainRequest { name: resource_name(name), policy: Some(policy) };
        let drains = self.drain_service();
        let send = |_, request| {
            let mut drains = drains.clone();
            async move { drains.plan_drain(request).await }
        };
        Ok(self.call(request, send).await?.into_inner())
    }

    /// Begins to drain a node. The operation goes on without its caller: follow it with
    /// [`operation_events`](Self::operation_events), or wait for it with [`wait_operation`](Self::wait_operation).
    ///
    /// # Errors
    /// The server's, or the last one of the attempts to reach it.
    pub async fn drain_node(
        &self,
        name: &str,
        options: DrainOptions,
        change: Change,
    ) -> Result<Changed<Operation>, Error> {
        let Identified { request_id, etag, validate_only, reason } = change.identified();
        let DrainOptions { policy, plan_hash } = options;
        let id = request_id.clone();
        let request = DrainNodeRequest {
            name: resource_name(name),
            policy: Some(policy),
            plan_hash: plan_hash.unwrap_or_default(),
            request_id,
            etag,
            validate_only,
            reason,
        };
        let drains = self.drain_service();
        let send = |_, request| {
            let mut drains = drains.clone();
            async move { drains.drain_node(request).await }
        };
        self.change(id, request, send).await
    }
}
