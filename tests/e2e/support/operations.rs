//! Operations: asking for them as a server would, and clients that look at them.

use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt as _};
use nodeward_api::google::longrunning::operation::Result as Ended;
use nodeward_api::google::longrunning::operations_client::OperationsClient;
use nodeward_api::google::longrunning::{GetOperationRequest, Operation, WaitOperationRequest};
use nodeward_api::v1::operation_service_client::OperationServiceClient;
use nodeward_api::v1::{DrainNodeMetadata, OperationState};
use nodeward_sandbox::User;
use nodeward_server::drain::{DrainPolicy, UnmanagedPods};
use nodeward_server::operation::{Drain, NodeIdentity, NodeOperation, OperationSpec, Requester};
use nodeward_server::server::Server;
use prost::Message;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic_types::pb::ErrorInfo;
use uuid::Uuid;

use super::somebody::{Says, Somebody};
use super::workload::Workload;
use super::{eventually, world};

/// The custom resources.
pub async fn resources() -> Api<NodeOperation> {
    Api::all(world().await.sandbox.client().await.unwrap())
}

/// A policy that removes pods without a controller too, since they are the simplest to make.
pub fn any_pod() -> DrainPolicy {
    DrainPolicy { unmanaged_pods: UnmanagedPods::Drain, ..DrainPolicy::default() }
}

/// That a node is to be drained.
pub fn to_drain(node: &str, uid: &str, policy: &DrainPolicy, requester: Requester) -> OperationSpec {
    let [name, uid] = [node, uid].map(str::to_owned);
    OperationSpec {
        node: NodeIdentity { name, uid },
        drain: Some(Drain { policy: serde_json::to_value(policy).unwrap() }),
        requester,
        ..OperationSpec::default()
    }
}

/// An operation under a name of its own.
pub fn operation(spec: OperationSpec) -> NodeOperation {
    NodeOperation::new(&Uuid::new_v4().to_string(), spec)
}

/// A user of the sandbox, who asks for an operation.
pub fn requester(user: User) -> Requester {
    let (username, groups) = (user.name().to_owned(), vec![user.group().to_owned()]);
    Requester { username, groups, ..Requester::default() }
}

/// Asks for a drain of a node in somebody's name, without asking whether they may: its name, with `operations/`.
pub async fn drain_as(node: &str, requester: Requester) -> String {
    let nodes: Api<Node> = world().await.kubernetes().await;
    let uid = nodes.get_opt(node).await.unwrap().and_then(|node| node.metadata.uid).unwrap_or_default();
    let spec = OperationSpec { reason: "new disk".to_owned(), ..to_drain(node, &uid, &any_pod(), requester) };
    let operation = operation(spec);
    resources().await.create(&PostParams::default(), &operation).await.unwrap();
    format!("operations/{}", operation.name_any())
}

/// The same in the server's own name.
pub async fn drain(node: &str) -> String {
    drain_as(node, Requester::default()).await
}

/// Forgets an operation, whatever it is doing.
pub async fn forget(name: &str) {
    let name = name.trim_start_matches("operations/");
    resources().await.delete(name, &DeleteParams::default()).await.unwrap();
}

/// A drain that a budget blocks.
pub struct Blocked {
    /// The operation.
    pub name: String,
    /// The node.
    pub node: String,
    workload: Workload,
}

impl Blocked {
    /// One in the server's own name, with this many pods, once it is blocked.
    pub async fn new(purpose: &str, pods: i32) -> Self {
        let node = world().await.node(purpose).await;
        let workload = Workload::new(world().await.sandbox.client().await.unwrap(), purpose).await;
        for number in 0..pods {
            workload.ready_pod(&format!("web-{number}"), "web", &node).await;
        }
        workload.budget("web", "web", pods, pods).await;
        let name = drain(&node).await;
        let mut client = operations().await;
        eventually("it is blocked", async || {
            let metadata = metadata(&get(&mut client, &name).await);
            (metadata.state() == OperationState::Blocked).then_some(())
        })
        .await;
        Self { name, node, workload }
    }

    /// Lets it go on.
    pub async fn open(&self) {
        self.workload.budgets().delete("web", &DeleteParams::default()).await.unwrap();
    }
}

/// A connection to a server that asks nobody who they are.
pub async fn channel(server: &Server) -> Channel {
    Endpoint::from_shared(format!("http://{}", server.address())).unwrap().connect().await.unwrap()
}

/// A client of the shared server.
pub async fn operations() -> OperationsClient<Channel> {
    OperationsClient::new(channel(&world().await.server).await)
}

/// A client of the shared server.
pub async fn events() -> OperationServiceClient<Channel> {
    OperationServiceClient::new(channel(&world().await.server).await)
}

/// A channel whose calls say who calls.
type Speaking = InterceptedService<Channel, Says>;

/// Clients that call as somebody.
pub fn clients_of(somebody: &Somebody) -> (OperationsClient<Speaking>, OperationServiceClient<Speaking>) {
    let channel = || somebody.channel.clone();
    let operations = OperationsClient::with_interceptor(channel(), somebody.says());
    (operations, OperationServiceClient::with_interceptor(channel(), somebody.says()))
}

/// The operation now.
pub async fn get(client: &mut OperationsClient<Channel>, name: &str) -> Operation {
    client.get_operation(GetOperationRequest { name: name.to_owned() }).await.unwrap().into_inner()
}

/// The operation when it has ended.
pub async fn ended(client: &mut OperationsClient<Channel>, name: &str) -> Operation {
    let timeout = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let mut request = tonic::Request::new(WaitOperationRequest { name: name.to_owned(), timeout });
    request.set_timeout(std::time::Duration::from_secs(70));
    let operation = client.wait_operation(request).await.unwrap().into_inner();
    assert!(operation.done, "{operation:?}");
    operation
}

/// What is told of it.
pub fn metadata(operation: &Operation) -> DrainNodeMetadata {
    DrainNodeMetadata::decode(operation.metadata.as_ref().unwrap().value.as_slice()).unwrap()
}

/// The code and the reason with which it has ended.
pub fn error(operation: &Operation) -> (i32, String) {
    let Some(Ended::Error(status)) = &operation.result else { panic!("{operation:?}") };
    let info = ErrorInfo::decode(status.details[0].value.as_slice()).unwrap();
    (status.code, info.reason)
}
