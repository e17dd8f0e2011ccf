//! PlanDrain, and the plans that DrainNode compares with.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use nodeward_api::v1;
use tokio::time::Instant;
use tonic::{Request, Response};

use super::super::context::NodeRpc;
use super::super::request::{deadline, session};
use super::super::rights;
use super::convert;
use crate::cluster::Cluster;
use crate::cluster::observe::ClusterState;
use crate::drain::{self, DaemonSetReference, DrainPlan, DrainPolicy, PlanInput};
use crate::error::Error;
use crate::node::{NodeName, Violations};

pub(super) async fn plan(
    rpc: &NodeRpc,
    request: Request<v1::PlanDrainRequest>,
) -> Result<Response<v1::DrainPlan>, Error> {
    let deadline = deadline(request.metadata());
    let session = session(&request)?;
    let request = request.into_inner();
    let mut violations = Violations::default();
    let name = violations.take(NodeName::from_resource_name(&request.name, "name"));
    let policy = violations.take(convert::parse_policy(request.policy.as_ref()));
    let (Some(name), Some(policy)) = (name, policy) else { return Err(violations.into()) };
    session.require(rights::PLAN_DRAIN.on(name.as_str()), deadline).await?;
    let planned = Planned::now(&rpc.cluster, name, policy, deadline).await?;
    Ok(Response::new(convert::plan(&planned.plan, &planned.policy, planned.time)))
}

/// A plan of what is.
pub(super) struct Planned {
    pub plan: DrainPlan,
    pub policy: DrainPolicy,
    /// The node as it was read for the plan.
    pub node: Node,
    /// When the cluster was so.
    pub time: Timestamp,
}

impl Planned {
    /// What draining a node would do now.
    pub async fn now(cluster: &Cluster, name: NodeName, policy: DrainPolicy, deadline: Instant) -> Result<Self, Error> {
        let time = Timestamp::now();
        let state = cluster.observer().read(deadline).await?;
        // All pods of a large cluster are looked at, which must not keep other calls waiting.
        let planning = tokio::task::spawn_blocking(move || Self::of(&state, &name, policy, time));
        planning.await.map_err(|error| Error::Internal { detail: format!("planning: {error}") })?
    }

    fn of(state: &ClusterState, name: &NodeName, policy: DrainPolicy, time: Timestamp) -> Result<Self, Error> {
        let node = state.nodes.iter().find(|node| node.metadata.name.as_deref() == Some(name.as_str()));
        let node = node.ok_or_else(|| Error::NotFound { node: name.as_str().to_owned() })?;
        let plan = drain::plan(&input(state, node, time), &policy);
        Ok(Self { plan, policy, node: node.clone(), time })
    }
}

fn input<'a>(state: &'a ClusterState, node: &'a Node, now: Timestamp) -> PlanInput<'a> {
    let daemon_sets = state.daemon_sets.iter().map(|set| DaemonSetReference {
        namespace: set.namespace().unwrap_or_default(),
        name: set.name_any(),
        uid: set.uid().unwrap_or_default(),
    });
    let namespaces = state.namespaces.iter().map(|namespace| (namespace.name_any(), namespace.labels().clone()));
    PlanInput {
        node,
        nodes: state.nodes.iter().collect(),
        pods: state.pods.iter().collect(),
        daemon_sets: daemon_sets.collect(),
        budgets: state.budgets.iter().collect(),
        namespaces: namespaces.collect(),
        now,
    }
}
