//! The RPCs that change something: requests become mutations, which run to their end even if their client goes away.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use nodeward_api::v1;
use tokio::time::Instant;
use tonic::{Request, Response};
use tracing::Instrument;

use super::context::NodeRpc;
use super::patch::parse_patch;
use super::request::{Change, Common, audit_call, in_field, mutation, session};
use super::rights;
use crate::access::{CallPermit, Session};
use crate::audit::{self, AuditCall, Done};
use crate::caller::Permission;
use crate::cluster::WritesAs;
use crate::cluster::mutate::{Changed, Collection, Mutation, Mutator, Outcome, PatchFormat, Propagation, Subresource};
use crate::error::Error;
use crate::node::query::Selection;
use crate::node::update::{NodeUpdate, Target};
use crate::node::{NodeName, Violations, convert};
use crate::telemetry::{self, MutationSpan};

pub(super) async fn create(
    rpc: &NodeRpc,
    request: Request<v1::CreateNodeRequest>,
) -> Result<Response<v1::Node>, Error> {
    let (call, request, mut violations) = begin(rpc, request)?;
    let name = violations.take(NodeName::from_id(&request.node_id, "node_id"));
    let node = match &request.node {
        // Its name is in node_id; what stands in the node is ignored, as all that is output only.
        Some(node) => violations.take(parse_new_node(&v1::Node { name: String::new(), ..node.clone() })),
        None => {
            violations.add("node", "is required; it may be empty");
            None
        }
    };
    let (Some(name), Some(node)) = (name, node) else { return Err(violations.into()) };
    violations.or(())?;
    let session = call.session.clone();
    carry_out(rpc, call, rights::CREATE_NODE.on_all(), name, |mutator, mutation, name| async move {
        let created = mutator.create(&mutation, name.as_str(), node).await.map_err(in_field("node"))?;
        match created.outcome {
            Outcome::Replayed => as_creator_may_know(&session, &mutation, name, created).await,
            _ => Ok(created),
        }
    })
    .await
}

/// A node that was created before may have changed since: who may not read it learns only that it is there.
async fn as_creator_may_know(
    session: &Session,
    mutation: &Mutation,
    name: NodeName,
    created: Changed,
) -> Result<Changed, Error> {
    match session.require(rights::GET_NODE.on(name.as_str()), mutation.deadline).await {
        Err(Error::AccessDenied { .. }) => {
            let mut node = Node::default();
            node.metadata.name = created.node.metadata.name;
            node.metadata.uid = created.node.metadata.uid;
            Ok(Changed { node, ..created })
        }
        answer => answer.map(|()| created),
    }
}

pub(super) async fn update(
    rpc: &NodeRpc,
    request: Request<v1::UpdateNodeRequest>,
) -> Result<Response<v1::Node>, Error> {
    let (call, request, violations) = begin(rpc, request)?;
    let mask = request.update_mask.as_ref();
    update_fields(rpc, call, violations, request.node.as_ref(), mask, Target::Node).await
}

pub(super) async fn update_status(
    rpc: &NodeRpc,
    request: Request<v1::UpdateNodeStatusRequest>,
) -> Result<Response<v1::Node>, Error> {
    let (call, request, violations) = begin(rpc, request)?;
    let mask = request.update_mask.as_ref();
    update_fields(rpc, call, violations, request.node.as_ref(), mask, Target::Status).await
}

async fn update_fields(
    rpc: &NodeRpc,
    call: Call,
    mut violations: Violations,
    node: Option<&v1::Node>,
    mask: Option<&prost_types::FieldMask>,
    target: Target,
) -> Result<Response<v1::Node>, Error> {
    let Some(node) = node else {
        violations.add("node", "is required: its name says which node, its fields say what to change");
        return Err(violations.into());
    };
    let name = violations.take(NodeName::from_resource_name(&node.name, "node.name"));
    let update = violations.take(NodeUpdate::parse(node, mask, target));
    let (Some(name), Some(update)) = (name, update) else { return Err(violations.into()) };
    violations.or(())?;
    let (subresource, right) = match target {
        Target::Node => (Subresource::Main, rights::UPDATE_NODE),
        Target::Status => (Subresource::Status, rights::UPDATE_NODE_STATUS),
    };
    let permission = right.on(name.as_str());
    carry_out(rpc, call, permission, name, move |mutator, mutation, name| async move {
        let plan = |current: &Node| update.patch(current).map_err(Error::from);
        mutator.update(&mutation, name.as_str(), subresource, plan).await.map_err(in_field("node"))
    })
    .await
}

pub(super) async fn patch(rpc: &NodeRpc, request: Request<v1::PatchNodeRequest>) -> Result<Response<v1::Node>, Error> {
    let (call, request, mut violations) = begin(rpc, request)?;
    let name = violations.take(NodeName::from_resource_name(&request.name, "name"));
    let patch = parse_patch(&request, &mut violations);
    let (Some(name), Some(mut patch)) = (name, patch) else { return Err(violations.into()) };
    violations.or(())?;
    if matches!(patch.format, PatchFormat::Apply { .. }) && call.mutation.writes_as == WritesAs::Server {
        // Kubernetes would ask whether the server may.
        let may_create = call.session.require_now(rights::CREATE_NODE.on_all(), call.mutation.deadline).await;
        patch.may_create = match may_create {
            Err(Error::AccessDenied { .. }) => false,
            answer => answer.map(|()| true)?,
        };
    }
    let permission = match patch.subresource {
        Subresource::Main => rights::PATCH_NODE.on(name.as_str()),
        Subresource::Status => rights::PATCH_NODE_STATUS.on(name.as_str()),
    };
    carry_out(rpc, call, permission, name, |mutator, mutation, name| async move {
        Box::pin(mutator.patch(&mutation, name.as_str(), &patch)).await.map_err(in_field("patch"))
    })
    .await
}

pub(super) async fn delete(rpc: &NodeRpc, request: Request<v1::DeleteNodeRequest>) -> Result<Response<()>, Error> {
    let (call, request, mut violations) = begin(rpc, request)?;
    let name = violations.take(NodeName::from_resource_name(&request.name, "name"));
    let propagation = parse_propagation(request.propagation_policy, &mut violations);
    let (Some(name), Some(propagation)) = (name, propagation) else { return Err(violations.into()) };
    violations.or(())?;
    let permission = rights::DELETE_NODE.on(name.as_str());
    carry_out(rpc, call, permission, name, move |mutator, mutation, name| async move {
        mutator.delete(&mutation, name.as_str(), propagation, request.allow_missing).await
    })
    .await
    .map(|response| response.map(|_| ()))
}

pub(super) async fn delete_collection(
    rpc: &NodeRpc,
    request: Request<v1::DeleteNodesRequest>,
) -> Result<Response<v1::DeleteNodesResponse>, Error> {
    let (call, request, mut violations) = begin(rpc, request)?;
    call.audit.is_about_all(&request.filter, &request.label_selector);
    if request.filter.trim().is_empty() && request.label_selector.trim().is_empty() {
        violations.add("filter", "is required, unless there is a label_selector; `name = \"*\"` is all nodes");
    }
    let selection = violations.take(Selection::parse(&request.filter, &request.label_selector));
    let expected_count = usize::try_from(request.expected_count).ok().filter(|count| *count > 0);
    if expected_count.is_none() {
        violations.add("expected_count", "must be positive: how many nodes you expect to delete");
    }
    let propagation = parse_propagation(request.propagation_policy, &mut violations);
    let (Some(selection), Some(expected_count), Some(propagation)) = (selection, expected_count, propagation) else {
        return Err(violations.into());
    };
    violations.or(())?;
    let mutator = rpc.cluster.mutator().clone();
    let Call { session, mutation, permit, audit } = call;
    session.require(rights::DELETE_NODES_LIST.on_all(), mutation.deadline).await?;
    let right = Right {
        session: &session,
        permission: rights::DELETE_NODES.on_all(),
        writes_as: mutation.writes_as,
        deadline: mutation.deadline,
        permit,
        audit,
    };
    let deleted = to_the_end(rpc, right, async move {
        let span = MutationSpan::current();
        let matches = |node: &Node| selection.matches(node);
        let set_etag = Some(request.etag.as_str()).filter(|etag| !etag.is_empty());
        let collection = Collection { matches: &matches, expected_count, set_etag, propagation };
        match mutator.delete_collection(&mutation, &collection).await {
            Ok((names, outcome)) => {
                span.nodes(&names).outcome(outcome.into());
                Ok(DeletedNodes { names, outcome })
            }
            Err(error) => {
                span.outcome(telemetry::Outcome::Failed);
                Err(error)
            }
        }
    })
    .await?;
    let deleted_nodes = deleted.names.into_iter().map(|name| format!("nodes/{name}")).collect();
    Ok(Response::new(v1::DeleteNodesResponse { deleted_nodes }))
}

/// Who asks for which change.
pub(super) struct Call {
    pub(super) session: Session,
    pub(super) mutation: Mutation,
    /// The caller's place among the changes in progress, which a change keeps to its end.
    pub(super) permit: Option<CallPermit>,
    pub(super) audit: AuditCall,
}

/// The call, the request and what is wrong so far. From here on the trace says what was asked for, whatever comes of it.
pub(super) fn begin<R: Change>(rpc: &NodeRpc, request: Request<R>) -> Result<(Call, R, Violations), Error> {
    let mut violations = Violations::default();
    let session = session(&request)?;
    let permit = request.extensions().get::<CallPermit>().cloned();
    let audit = audit_call(&request)?;
    let common = request.get_ref().common();
    audit.asks(asked(&common));
    let span = MutationSpan::current();
    span.request(&common.request_id, &common.reason, common.validate_only).node(&common.node).audit_id(audit.id());
    let writes_as = rpc.cluster.writes_as();
    let (caller, audit_id) = (session.caller().clone(), audit.id());
    let mutation = mutation::<R>(caller, writes_as, common, request.metadata(), audit_id, &mut violations);
    Ok((Call { session, mutation, permit, audit }, request.into_inner(), violations))
}

/// The Kubernetes object of a node that is to be created; what may be set is checked as in an update of everything.
fn parse_new_node(node: &v1::Node) -> Result<Node, Violations> {
    let everything = prost_types::FieldMask { paths: vec!["*".to_owned()] };
    let mut violations = Violations::default();
    for target in [Target::Node, Target::Status] {
        violations.take(NodeUpdate::parse(node, Some(&everything), target));
    }
    violations.or(())?;
    convert::from_contract(node).map_err(|found| found.under("node"))
}

/// Carries out a change of one node and answers with the node.
pub(super) async fn carry_out<F>(
    rpc: &NodeRpc,
    call: Call,
    permission: Permission,
    name: NodeName,
    change: impl FnOnce(Mutator, Arc<Mutation>, NodeName) -> F,
) -> Result<Response<v1::Node>, Error>
where
    F: Future<Output = Result<Changed, Error>> + Send + 'static,
{
    let Call { session, mutation, permit, audit } = call;
    let Mutation { writes_as, deadline, .. } = mutation;
    let right = Right { session: &session, permission, writes_as, deadline, permit, audit };
    let cluster = rpc.cluster.clone();
    if let Some(view) = cluster.store().get(name.as_str()) {
        right.audit.is_about(view.uid().unwrap_or_default());
    }
    let work = Box::pin(change(cluster.mutator().clone(), Arc::new(mutation), name.clone()));
    let changed = to_the_end(rpc, right, async move {
        let span = MutationSpan::current();
        let result = work.await;
        match &result {
            Ok(changed) => {
                span.node_uid(changed.node.metadata.uid.as_deref().unwrap_or_default());
                span.changed_fields(&changed.changed_paths).outcome(changed.outcome.into());
            }
            Err(_) => {
                let node = cluster.store().get(name.as_str());
                span.node_uid(node.and_then(|view| view.object().metadata.uid.clone()).unwrap_or_default().as_str());
                span.outcome(telemetry::Outcome::Failed);
            }
        }
        result
    })
    .await?;
    Ok(Response::new(convert::to_contract(&changed.node)))
}

impl Done for Changed {
    fn record(&self) -> (audit::Outcome, String) {
        let (before, after) = (self.before.clone(), self.after.clone());
        let uid = self.node.metadata.uid.clone().unwrap_or_default();
        (audit::Outcome { before, after, ..succeeded(self.outcome) }, uid)
    }
}

/// The nodes that a request has deleted.
struct DeletedNodes {
    names: Vec<String>,
    outcome: Outcome,
}

impl Done for DeletedNodes {
    fn record(&self) -> (audit::Outcome, String) {
        (audit::Outcome { nodes: self.names.clone(), ..succeeded(self.outcome) }, String::new())
    }
}

/// How a change is recorded that has succeeded.
pub(super) fn succeeded(outcome: Outcome) -> audit::Outcome {
    audit::Outcome { code: "OK".to_owned(), outcome: outcome.as_str().to_owned(), ..audit::Outcome::default() }
}

/// What a request asks for, for its record.
fn asked(common: &Common) -> audit::Asked {
    let objects = [(audit::NODES, &common.node), (audit::OPERATIONS, &common.operation)];
    let object = objects.into_iter().find(|(_, name)| !name.is_empty());
    audit::Asked {
        object_ref: object.map(|(resource, name)| audit::ObjectRef {
            resource: resource.to_owned(),
            name: name.chars().take(253).collect(),
            uid: String::new(),
        }),
        reason: common.reason.chars().take(1024).collect(),
        request_id: common.request_id.chars().take(64).collect(),
        dry_run: common.validate_only,
        ..audit::Asked::default()
    }
}

/// The right that a change needs.
pub(super) struct Right<'a> {
    pub(super) session: &'a Session,
    pub(super) permission: Permission,
    pub(super) writes_as: WritesAs,
    pub(super) deadline: Instant,
    pub(super) permit: Option<CallPermit>,
    pub(super) audit: AuditCall,
}

/// Runs a change in a task of its own, if the caller has the right: it goes on if the client leaves, and the server waits
/// for it when it stops.
pub(super) async fn to_the_end<T, F>(rpc: &NodeRpc, right: Right<'_>, work: F) -> Result<T, Error>
where
    T: Done + Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    if rpc.stop.is_cancelled() {
        return Err(Error::ShuttingDown);
    }
    let Right { session, permission, writes_as, deadline, permit, audit } = right;
    // First of all, so that whoever may not change a node does not learn whether there is one.
    if writes_as == WritesAs::Caller {
        session.require(permission.clone(), deadline).await?;
    } else {
        // Nobody asks after this: the answer must not be an old one.
        session.require_now(permission.clone(), deadline).await?;
    }
    let result = in_a_task(rpc, audit, permit, deadline, Box::pin(work)).await;
    if let Err(Error::Denied { .. }) = &result {
        // Kubernetes had the last word: perhaps the right was taken away a moment ago, and it was no webhook that refused.
        session.require_now(permission, deadline).await?;
    }
    result
}

/// Runs a change that is allowed in a task of its own, between its records.
pub(super) async fn in_a_task<T, F>(
    rpc: &NodeRpc,
    audit: AuditCall,
    permit: Option<CallPermit>,
    deadline: Instant,
    work: F,
) -> Result<T, Error>
where
    T: Done + Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    // All of it in the task, the intent too: once that is on its way nothing may keep the outcome from being recorded.
    let work = audit.carry_out(deadline, work);
    let work = async move {
        let _permit = permit;
        work.await
    };
    let task = rpc.tasks.spawn(Box::pin(work).instrument(tracing::Span::current()));
    task.await.map_err(|error| Error::Internal { detail: error.to_string() })?
}

fn parse_propagation(number: i32, violations: &mut Violations) -> Option<Propagation> {
    match v1::PropagationPolicy::try_from(number) {
        Ok(v1::PropagationPolicy::Unspecified | v1::PropagationPolicy::Background) => Some(Propagation::Background),
        Ok(v1::PropagationPolicy::Foreground) => Some(Propagation::Foreground),
        Ok(v1::PropagationPolicy::Orphan) => Some(Propagation::Orphan),
        Err(_) => {
            violations.add("propagation_policy", "must be one of the values of PropagationPolicy (0 to 3)");
            None
        }
    }
}

impl From<Outcome> for telemetry::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Changed => Self::Changed,
            Outcome::Unchanged => Self::Unchanged,
            Outcome::Validated => Self::Validated,
            Outcome::Replayed => Self::Replayed,
        }
    }
}
