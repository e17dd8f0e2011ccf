//! The services of the contract over a map of nodes: they do as they are told, keep what they were asked, and fail on demand.

mod audit;
mod events;
mod nodes;
mod operations;
mod service;
mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use nodeward_client::api::{
    AuditRecord, CancelOperationRequest, CordonNodeRequest, CreateNodeRequest, DeleteNodeRequest, DeleteNodesRequest,
    DrainNodeRequest, DrainPlan, GetNodeRequest, ListAuditRecordsRequest, ListNodesRequest, Node, OperationState,
    PatchNodeRequest, PlanDrainRequest, StreamAuditRecordsRequest, StreamNodesRequest, StreamOperationEventsRequest,
    UncordonNodeRequest, UpdateNodeRequest, UpdateNodeStatusRequest, WatchNodesRequest, WatchNodesResponse,
};
use nodeward_client::longrunning::{DeleteOperationRequest, ListOperationsRequest, Operation, WaitOperationRequest};
use tokio::sync::Barrier;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub use audit::{AuditStep, intent, marks, outcome, sends};
pub use events::{blocked, cordon, pod, reaches};
pub use nodes::{change, complete, node, worker};
pub use operations::OperationStep;
pub use wire::{Network, serve};

/// The trace that every answer names.
pub const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What the service was asked.
#[derive(Clone, Debug)]
pub enum Call {
    Get(GetNodeRequest),
    List(ListNodesRequest),
    Stream(StreamNodesRequest),
    Watch(WatchNodesRequest),
    Create(CreateNodeRequest),
    Update(UpdateNodeRequest),
    UpdateStatus(UpdateNodeStatusRequest),
    Patch(PatchNodeRequest),
    Delete(DeleteNodeRequest),
    DeleteMany(DeleteNodesRequest),
    Cordon(CordonNodeRequest),
    Uncordon(UncordonNodeRequest),
    ListAudit(ListAuditRecordsRequest),
    StreamAudit(StreamAuditRecordsRequest),
    PlanDrain(PlanDrainRequest),
    Drain(DrainNodeRequest),
    StreamOperation(StreamOperationEventsRequest),
    CancelOperation(CancelOperationRequest),
    GetOperation,
    ListOperations(ListOperationsRequest),
    WaitOperation(WaitOperationRequest),
    DeleteOperation(DeleteOperationRequest),
}

/// What a watch sends. After the last step it stays open.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Box<WatchNodesResponse>),
    Fail(Status),
    End,
    /// As the first step: the request is never answered.
    Hang,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It fails, without effect.
    Fail(Status),
    /// It is never answered.
    Hang,
    /// It is carried out, but answered with this.
    Lose(Status),
    /// Somebody else changes the node just before.
    Race,
    /// It is carried out when so many others are waiting with it.
    Meet(Arc<Barrier>),
}

#[derive(Debug, Default)]
pub struct State {
    pub nodes: BTreeMap<String, Node>,
    pub calls: Vec<Call>,
    pub metadata: Vec<MetadataMap>,
    /// For the next requests that are not watches and not reads of one node.
    pub fates: VecDeque<Fate>,
    pub watches: VecDeque<Vec<Step>>,
    pub page_size: usize,
    /// How many of the next streams of nodes end early.
    pub cut_streams: usize,
    pub audit_pages: Vec<Vec<AuditRecord>>,
    pub audit_streams: VecDeque<Vec<AuditStep>>,
    pub plans: BTreeMap<String, DrainPlan>,
    pub operations: BTreeMap<String, Operation>,
    pub operation_streams: BTreeMap<String, VecDeque<Vec<OperationStep>>>,
    /// Where an operation is after the next waits for it.
    pub waits: VecDeque<OperationState>,
    /// The changes of single nodes that were carried out, by their request ids.
    done: BTreeMap<String, String>,
    version: u64,
}

/// The service. Clones share their state.
#[derive(Clone, Debug, Default)]
pub struct Fake {
    state: Arc<Mutex<State>>,
}

impl Fake {
    /// A service with these nodes.
    pub fn with(nodes: impl IntoIterator<Item = Node>) -> Self {
        let fake = Self::default();
        for node in nodes {
            fake.lock().put(node);
        }
        fake
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next request meets this.
    pub fn next(&self, fate: Fate) -> &Self {
        self.lock().fates.push_back(fate);
        self
    }

    /// The next watch sends this.
    pub fn next_watch(&self, steps: impl IntoIterator<Item = Step>) -> &Self {
        self.lock().watches.push_back(steps.into_iter().collect());
        self
    }

    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// The request ids of the changes, in order.
    pub fn request_ids(&self) -> Vec<String> {
        self.calls().iter().filter_map(Call::request_id).collect()
    }

    pub fn watch_requests(&self) -> Vec<WatchNodesRequest> {
        let watch = |call| if let Call::Watch(request) = call { Some(request) } else { None };
        self.calls().into_iter().filter_map(watch).collect()
    }

    pub fn updates(&self) -> Vec<UpdateNodeRequest> {
        let update = |call| if let Call::Update(request) = call { Some(request) } else { None };
        self.calls().into_iter().filter_map(update).collect()
    }

    pub fn get(&self, name: &str) -> Option<Node> {
        self.lock().nodes.get(&format!("nodes/{name}")).cloned()
    }
}

impl State {
    /// The node of this resource name.
    pub fn find(&self, name: &str) -> Result<Node, Status> {
        service::find(self, name)
    }

    /// Stores a node at a new version.
    pub fn put(&mut self, mut node: Node) -> Node {
        self.version += 1;
        node.etag = format!("\"{}\"", self.version);
        self.nodes.insert(node.name.clone(), node.clone());
        node
    }
}

impl Call {
    fn request_id(&self) -> Option<String> {
        match self {
            Self::Get(_) | Self::List(_) | Self::Stream(_) | Self::Watch(_) => None,
            Self::ListAudit(_) | Self::StreamAudit(_) => None,
            Self::PlanDrain(_) | Self::StreamOperation(_) | Self::GetOperation => None,
            Self::ListOperations(_) | Self::WaitOperation(_) | Self::DeleteOperation(_) => None,
            Self::Drain(request) => Some(request.request_id.clone()),
            Self::CancelOperation(request) => Some(request.request_id.clone()),
            Self::Create(request) => Some(request.request_id.clone()),
            Self::Update(request) => Some(request.request_id.clone()),
            Self::UpdateStatus(request) => Some(request.request_id.clone()),
            Self::Patch(request) => Some(request.request_id.clone()),
            Self::Delete(request) => Some(request.request_id.clone()),
            Self::DeleteMany(request) => Some(request.request_id.clone()),
            Self::Cordon(request) => Some(request.request_id.clone()),
            Self::Uncordon(request) => Some(request.request_id.clone()),
        }
    }
}

/// A status as the server makes it.
pub fn status(code: Code, reason: &str, message: &str, hint: Option<&str>) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, "nodeward.dev", std::collections::HashMap::new());
    if let Some(hint) = hint {
        details.add_help_link(hint, "https://nodeward.dev/docs/errors");
    }
    let mut metadata = MetadataMap::new();
    metadata.insert("x-trace-id", TRACE_ID.parse().unwrap());
    Status::with_error_details_and_metadata(code, message, details, metadata)
}

pub fn unavailable() -> Status {
    status(Code::Unavailable, "NOT_READY", "the server has not read the cluster's state yet", None)
}

/// A status with which the server does not begin for now.
pub fn put_off(reason: &str, delay: Duration) -> Status {
    let mut details = ErrorDetails::with_retry_info(Some(delay));
    details.set_error_info(reason, "nodeward.dev", std::collections::HashMap::new());
    Status::with_error_details(Code::ResourceExhausted, "too much is sent", details)
}

pub fn expired() -> Status {
    status(Code::OutOfRange, "RESUME_TOKEN_EXPIRED", "too much has happened since", None)
}
