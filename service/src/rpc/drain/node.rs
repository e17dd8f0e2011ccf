//! DrainNode: checks that a drain can begin, and stores it as an operation. It is carried out by whichever server carries
//! operations out.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use nodeward_api::google::longrunning::Operation;
use nodeward_api::v1;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response};
use uuid::{Builder, Uuid};

use super::super::change::{Call, Right, begin, succeeded, to_the_end};
use super::super::context::NodeRpc;
use super::super::operation;
use super::super::rights as of_rpc;
use super::plan::Planned;
use super::{convert, rights};
use crate::audit::{self, Done};
use crate::cluster::mutate::{Mutation, Outcome};
use crate::cluster::{Cluster, Stored};
use crate::drain::{DrainPlan, DrainPolicy};
use crate::error::Error;
use crate::node::{NodeName, Violations};
use crate::operation::{Drain, NODE_UID_LABEL, NodeIdentity, NodeOperation, OperationSpec, Requester};
use crate::telemetry::{self, MutationSpan};

/// The length of a plan's hash: SHA-256 in hexadecimal.
const HASH_LENGTH: usize = 64;

pub(super) async fn drain(rpc: &NodeRpc, request: Request<v1::DrainNodeRequest>) -> Result<Response<Operation>, Error> {
    let (call, request, mut violations) = begin(rpc, request)?;
    let name = violations.take(NodeName::from_resource_name(&request.name, "name"));
    let policy = violations.take(convert::parse_policy(request.policy.as_ref()));
    let plan_hash = parse_hash(request.plan_hash, &mut violations);
    let (Some(name), Some(policy)) = (name, policy) else { return Err(violations.into()) };
    violations.or(())?;

    let Call { session, mutation, permit, audit } = call;
    let Mutation { writes_as, deadline, .. } = mutation;
    // Nobody asks after this: there is no such resource in Kubernetes.
    session.require_now(of_rpc::DRAIN_NODE.on(name.as_str()), deadline).await?;
    if let Some(view) = rpc.cluster.store().get(name.as_str()) {
        audit.is_about(view.uid().unwrap_or_default());
    }
    let permission = of_rpc::DRAIN_NODE_CORDONS.on(name.as_str());
    let right = Right { session: &session, permission, writes_as, deadline, permit, audit };
    let asked =
        Asked { cluster: rpc.cluster.clone(), operation: name_of(&mutation), mutation, name, policy, plan_hash };
    let begun = to_the_end(rpc, right, asked.carried_out()).await?;
    Ok(Response::new(match begun.outcome {
        Outcome::Validated => operation::of_nothing_begun(&begun.operation),
        _ => operation::operation_of(&begun.operation),
    }))
}

/// The hash that the plan must have, if there is one.
fn parse_hash(hash: String, violations: &mut Violations) -> Option<String> {
    let is_hash = hash.len() == HASH_LENGTH && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hash.is_empty() && !is_hash {
        violations.add("plan_hash", "must be the plan_hash of a plan of PlanDrain, or empty");
    }
    Some(hash).filter(|hash| !hash.is_empty())
}

/// What a request asks for.
struct Asked {
    cluster: Cluster,
    mutation: Mutation,
    /// The name of the operation.
    operation: String,
    name: NodeName,
    policy: DrainPolicy,
    plan_hash: Option<String>,
}

/// A drain that has begun, or would.
struct Begun {
    operation: NodeOperation,
    outcome: Outcome,
}

impl Done for Begun {
    fn record(&self) -> (audit::Outcome, String) {
        let NodeOperation { metadata, spec, .. } = &self.operation;
        let operation = metadata.name.as_ref().map(|name| operation::resource_name(name)).unwrap_or_default();
        (audit::Outcome { operation, ..succeeded(self.outcome) }, spec.node.uid.clone())
    }
}

impl Asked {
    async fn carried_out(self) -> Result<Begun, Error> {
        let span = MutationSpan::current();
        let result = Box::pin(self.begin()).await;
        match &result {
            Ok(Begun { operation, outcome }) => {
                span.node_uid(&operation.spec.node.uid).outcome((*outcome).into());
                span.operation(operation.metadata.name.as_deref().unwrap_or_default());
            }
            Err(_) => {
                span.outcome(telemetry::Outcome::Failed);
            }
        }
        result
    }

    async fn begin(self) -> Result<Begun, Error> {
        let Self { cluster, mutation, operation, name, policy, plan_hash } = self;
        // Before all else: the node may be gone by now, or full of pods that came later.
        if let Some(before) = cluster.operations().get(&operation, mutation.deadline).await? {
            return replayed(before, &mutation);
        }
        cluster.mutator().refuse_reuse(&mutation, name.as_str()).await?;
        let deadline = mutation.deadline;
        let Planned { plan, policy, node, .. } = Planned::now(&cluster, name, policy, deadline).await?;
        mutation.refuse_id_of_change(&node)?;
        mutation.check_etag(&node)?;
        check(&plan, plan_hash)?;
        rights::require(cluster.reviews(), &mutation.caller, &plan, &policy, deadline).await?;

        let operation = to_store(operation, &mutation, &plan, &policy)?;
        if mutation.validate_only {
            cluster.operations().check_idle(&operation.spec.node, deadline).await?;
            let metadata = ObjectMeta::default();
            return Ok(Begun { operation: NodeOperation { metadata, ..operation }, outcome: Outcome::Validated });
        }
        match Box::pin(cluster.operations().create_alone(&operation, deadline)).await? {
            Stored::Now(operation) => Ok(Begun { operation, outcome: Outcome::Changed }),
            Stored::Before(operation) => replayed(operation, &mutation),
        }
    }
}

/// The answer to a request with an id that has begun this operation.
fn replayed(operation: NodeOperation, mutation: &Mutation) -> Result<Begun, Error> {
    let Some(request) = &mutation.request else {
        // Nobody else makes up this name.
        return Err(Error::Internal { detail: "an operation of this name exists".to_owned() });
    };
    if operation.spec.request_digest == request.digest.as_str() {
        return Ok(Begun { operation, outcome: Outcome::Replayed });
    }
    Err(Error::RequestIdConflict { request_id: request.id.to_string(), method: mutation.method.to_owned() })
}

/// Whether the plan is what was asked for, and can be carried out.
fn check(plan: &DrainPlan, plan_hash: Option<String>) -> Result<(), Error> {
    let node = || plan.node.clone();
    if plan_hash.is_some_and(|hash| !hash.eq_ignore_ascii_case(plan.hash.as_str())) {
        return Err(Error::PlanChanged { node: node(), plan_hash: plan.hash.to_string() });
    }
    if !plan.is_refused() {
        return Ok(());
    }
    let refusals = plan.refusals.iter().map(|refusal| (refusal.pod.to_string(), refusal.reason.to_string()));
    let pods = usize::try_from(plan.totals.refuse).unwrap_or(usize::MAX);
    Err(Error::DrainRefused { node: node(), refusals: refusals.collect(), pods })
}

/// The operation that is to be stored.
fn to_store(name: String, mutation: &Mutation, plan: &DrainPlan, policy: &DrainPolicy) -> Result<NodeOperation, Error> {
    let policy = serde_json::to_value(policy).map_err(|error| Error::Internal { detail: error.to_string() })?;
    let (request_id, request_digest) = match &mutation.request {
        Some(request) => (request.id.to_string(), request.digest.as_str().to_owned()),
        None => Default::default(),
    };
    let spec = OperationSpec {
        node: NodeIdentity { name: plan.node.clone(), uid: plan.node_uid.clone() },
        drain: Some(Drain { policy }),
        requester: Requester::of(&mutation.caller),
        request_id,
        request_digest,
        reason: mutation.reason.clone(),
        audit_id: mutation.audit_id.to_string(),
        trace_parent: telemetry::trace_parent(),
        ..OperationSpec::default()
    };
    let labels = [(NODE_UID_LABEL.to_owned(), plan.node_uid.clone())].into();
    let metadata = ObjectMeta { name: Some(name), labels: Some(labels), ..ObjectMeta::default() };
    Ok(NodeOperation { metadata, spec, status: None })
}

/// The name of the operation that a request begins: if it has an id, another server that gets the same request finds it by that.
fn name_of(mutation: &Mutation) -> String {
    let Some(request) = &mutation.request else { return Uuid::new_v4().to_string() };
    let hasher = Sha256::new().chain_update("nodeward operation 1").chain_update([0]);
    let hash = hasher.chain_update(mutation.caller.username()).chain_update([0]).chain_update(request.id).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    Builder::from_custom_bytes(bytes).into_uuid().to_string()
}
