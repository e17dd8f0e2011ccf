//! A DrainService, an OperationService and google.longrunning.Operations that do as they were told: a drain is stored, and is
//! where its streams say.

use std::pin::Pin;

use futures::stream::{self, Stream, StreamExt};
use nodeward_client::api::drain_service_server::DrainService;
use nodeward_client::api::operation_event::Event;
use nodeward_client::api::operation_service_server::OperationService;
use nodeward_client::api::{
    CancelOperationRequest, DrainNodeMetadata, DrainNodeRequest, DrainPlan, OperationEvent, OperationState,
    PlanDrainRequest, StreamOperationEventsRequest,
};
use nodeward_client::longrunning::operation::Result as Outcome;
use nodeward_client::longrunning::operations_server::Operations;
use nodeward_client::longrunning::{
    CancelOperationRequest as PlainCancelRequest, DeleteOperationRequest, GetOperationRequest, ListOperationsRequest,
    ListOperationsResponse, Operation, WaitOperationRequest,
};
use prost_types::{Any, Timestamp};
use tonic::{Code, Request, Response, Status};

use super::{Call, Fake, State, status};

type Events = Pin<Box<dyn Stream<Item = Result<OperationEvent, Status>> + Send>>;

/// What a stream of events sends. After the last step it ends.
#[derive(Clone, Debug)]
pub enum OperationStep {
    Send(Box<OperationEvent>),
    Fail(Status),
    /// As the last step: the stream stays open.
    Open,
}

#[tonic::async_trait]
impl DrainService for Fake {
    async fn plan_drain(&self, request: Request<PlanDrainRequest>) -> Result<Response<DrainPlan>, Status> {
        let request = self.note(request, Call::PlanDrain);
        let state = self.lock();
        state.find(&request.name)?;
        let plan = DrainPlan { node: request.name.clone(), policy: request.policy, ..DrainPlan::default() };
        Ok(Response::new(state.plans.get(&request.name).cloned().unwrap_or(plan)))
    }

    async fn drain_node(&self, request: Request<DrainNodeRequest>) -> Result<Response<Operation>, Status> {
        let request = self.note(request, Call::Drain);
        let fate = self.lock().fates.pop_front();
        self.meet(fate, || {
            let mut state = self.lock();
            state.find(&request.name)?;
            if request.validate_only {
                return Ok(Operation { done: true, ..Operation::default() });
            }
            let operation = drain(&request.name, OperationState::Running);
            state.operations.insert(operation.name.clone(), operation.clone());
            Ok(operation)
        })
        .await
    }
}

#[tonic::async_trait]
impl OperationService for Fake {
    type StreamOperationEventsStream = Events;

    async fn stream_operation_events(
        &self,
        request: Request<StreamOperationEventsRequest>,
    ) -> Result<Response<Events>, Status> {
        let request = self.note(request, Call::StreamOperation);
        let mut state = self.lock();
        let operation = state.operation(&request.name)?;
        let mut steps = state.operation_streams.get_mut(&request.name).and_then(|all| all.pop_front());
        let is_open = matches!(steps.iter().flatten().last(), Some(OperationStep::Open));
        let messages: Vec<_> = steps.take().into_iter().flatten().filter_map(OperationStep::message).collect();
        for message in messages.iter().flatten() {
            if let Some(Event::StateChange(change)) = &message.event {
                let node = metadata(&operation).node;
                let sequence = message.sequence;
                let mut now = drain(&node, change.state());
                now.metadata = Some(packed(&DrainNodeMetadata { sequence, ..metadata(&now) }));
                state.operations.insert(request.name.clone(), now);
            }
        }
        let messages = stream::iter(messages);
        Ok(Response::new(if is_open { messages.chain(stream::pending()).boxed() } else { messages.boxed() }))
    }

    async fn cancel_operation(&self, request: Request<CancelOperationRequest>) -> Result<Response<Operation>, Status> {
        let request = self.note(request, Call::CancelOperation);
        Ok(Response::new(self.lock().operation(&request.name)?))
    }
}

#[tonic::async_trait]
impl Operations for Fake {
    async fn list_operations(
        &self,
        request: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        let request = self.note(request, Call::ListOperations);
        let state = self.lock();
        let begin: usize = request.page_token.parse().unwrap_or(0);
        let size = if state.page_size == 0 { state.operations.len() } else { state.page_size };
        let end = (begin + size).min(state.operations.len());
        Ok(Response::new(ListOperationsResponse {
            operations: state.operations.values().skip(begin).take(size).cloned().collect(),
            next_page_token: if end < state.operations.len() { end.to_string() } else { String::new() },
            unreachable: Vec::new(),
        }))
    }

    async fn get_operation(&self, request: Request<GetOperationRequest>) -> Result<Response<Operation>, Status> {
        let request = self.note(request, |_| Call::GetOperation);
        Ok(Response::new(self.lock().operation(&request.name)?))
    }

    async fn delete_operation(&self, request: Request<DeleteOperationRequest>) -> Result<Response<()>, Status> {
        let request = self.note(request, Call::DeleteOperation);
        let mut state = self.lock();
        state.operation(&request.name)?;
        state.operations.remove(&request.name);
        Ok(Response::new(()))
    }

    async fn cancel_operation(&self, _: Request<PlainCancelRequest>) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("clients of this contract say what becomes of the cordon"))
    }

    /// Waits for no time at all: each call answers as if its time was over.
    async fn wait_operation(&self, request: Request<WaitOperationRequest>) -> Result<Response<Operation>, Status> {
        let request = self.note(request, Call::WaitOperation);
        let (fate, operation) = {
            let mut state = self.lock();
            let operation = state.operation(&request.name)?;
            if let Some(next) = state.waits.pop_front() {
                state.operations.insert(request.name.clone(), drain(&metadata(&operation).node, next));
            }
            (state.fates.pop_front(), state.operation(&request.name)?)
        };
        self.meet(fate, || Ok(operation)).await
    }
}

impl OperationStep {
    fn message(self) -> Option<Result<OperationEvent, Status>> {
        match self {
            Self::Send(event) => Some(Ok(*event)),
            Self::Fail(status) => Some(Err(status)),
            Self::Open => None,
        }
    }
}

impl State {
    fn operation(&self, name: &str) -> Result<Operation, Status> {
        let missing = || {
            let message = format!("there is no operation {name:?}");
            status(Code::NotFound, "OPERATION_NOT_FOUND", &message, Some("list the operations"))
        };
        self.operations.get(name).cloned().ok_or_else(missing)
    }
}

impl Fake {
    /// A drain of this node has this plan.
    pub fn with_plan(self, plan: DrainPlan) -> Self {
        self.lock().plans.insert(plan.node.clone(), plan);
        self
    }

    /// There is a drain of this node.
    pub fn with_drain(self, node: &str, state: OperationState) -> Self {
        let operation = drain(&format!("nodes/{node}"), state);
        self.lock().operations.insert(operation.name.clone(), operation);
        self
    }

    /// The next stream of the events of this node's drain sends this.
    pub fn next_events(&self, node: &str, steps: impl IntoIterator<Item = OperationStep>) -> &Self {
        let name = format!("operations/drain-{node}");
        self.lock().operation_streams.entry(name).or_default().push_back(steps.into_iter().collect());
        self
    }

    pub fn drain_requests(&self) -> Vec<DrainNodeRequest> {
        let drain = |call| if let Call::Drain(request) = call { Some(request) } else { None };
        self.calls().into_iter().filter_map(drain).collect()
    }

    pub fn event_requests(&self) -> Vec<StreamOperationEventsRequest> {
        let stream = |call| if let Call::StreamOperation(request) = call { Some(request) } else { None };
        self.calls().into_iter().filter_map(stream).collect()
    }

    pub fn cancel_requests(&self) -> Vec<CancelOperationRequest> {
        let cancel = |call| if let Call::CancelOperation(request) = call { Some(request) } else { None };
        self.calls().into_iter().filter_map(cancel).collect()
    }
}

/// The drain of a node, at this state.
fn drain(node: &str, state: OperationState) -> Operation {
    let metadata = DrainNodeMetadata {
        node: node.to_owned(),
        state: state.into(),
        create_time: Some(Timestamp::from(std::time::SystemTime::now())),
        caller: "alice".to_owned(),
        ..DrainNodeMetadata::default()
    };
    let error = |code: Code, message: &str| {
        Outcome::Error(tonic_types::Status { code: code.into(), message: message.to_owned(), details: Vec::new() })
    };
    let result = match state {
        OperationState::Succeeded => Some(Outcome::Response(Any {
            type_url: "type.googleapis.com/nodeward.v1.DrainNodeResponse".to_owned(),
            value: Vec::new(),
        })),
        OperationState::Failed => Some(error(Code::DeadlineExceeded, "the deadline passed, and 1 pod is left")),
        OperationState::Cancelled => Some(error(Code::Cancelled, "cancelled by alice")),
        _ => None,
    };
    Operation {
        name: format!("operations/drain-{}", node.trim_start_matches("nodes/")),
        metadata: Some(packed(&metadata)),
        done: result.is_some(),
        result,
    }
}

fn metadata(operation: &Operation) -> DrainNodeMetadata {
    nodeward_client::drain_metadata(operation).unwrap_or_default()
}

fn packed(metadata: &DrainNodeMetadata) -> Any {
    use prost::Message;
    Any { type_url: "type.googleapis.com/nodeward.v1.DrainNodeMetadata".to_owned(), value: metadata.encode_to_vec() }
}
