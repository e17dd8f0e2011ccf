//! What a drain leaves behind for those who look elsewhere: audit records, a trace, Events and conditions of the node, metrics.

use std::time::Duration;

use k8s_openapi::api::core::v1::NodeCondition;
use kube::Api;
use kube::api::PostParams;
use nodeward_api::v1::audit_outcome::Result as Outcome;
use nodeward_api::v1::audit_pod::Removal;
use nodeward_api::v1::audit_record::Stage;
use nodeward_api::v1::audit_service_client::AuditServiceClient;
use nodeward_api::v1::{AuditRecord, AuditRecordFilter, ListAuditRecordsRequest};
use nodeward_sandbox::User;
use nodeward_server::drain::{BudgetOverride, DrainPolicy, UnmanagedPods};
use nodeward_server::operation::{Cancel, NodeOperation, OperationSpec, OperationStatus, State};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;
use uuid::Uuid;

use crate::support::apiserver_log::events;
use crate::support::operations::{requester, to_drain};
use crate::support::workload::Workload;
use crate::support::{Span, eventually, world};

const DEADLINE: Duration = Duration::from_secs(20);

const REQUEST_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const REQUEST_SPAN: &str = "b7ad6b7169203331";

/// A drain of a node of its own.
struct Story {
    node: String,
    node_uid: String,
    workload: Workload,
    name: String,
    /// The records of the request, which is made up here.
    audit_id: String,
}

impl Story {
    /// A node with these pods.
    async fn with_pods(pods: &[&str]) -> Self {
        let node = world().await.node("trail").await;
        let node_uid = world().await.kubernetes().await.get(&node).await.unwrap().metadata.uid.unwrap();
        let workload = Workload::new(world().await.sandbox.client().await.unwrap(), "trail").await;
        for pod in pods {
            workload.ready_pod(pod, "web", &node).await;
        }
        let [name, audit_id] = [(); 2].map(|()| Uuid::new_v4().to_string());
        Self { node, node_uid, workload, name, audit_id }
    }

    /// Asks for it in this user's name.
    async fn ask(&self, user: User, policy: DrainPolicy) {
        let policy = DrainPolicy { unmanaged_pods: UnmanagedPods::Drain, ..policy };
        let spec = OperationSpec {
            reason: "new disk".to_owned(),
            audit_id: self.audit_id.clone(),
            trace_parent: format!("00-{REQUEST_TRACE}-{REQUEST_SPAN}-01"),
            ..to_drain(&self.node, &self.node_uid, &policy, requester(user))
        };
        let operation = NodeOperation::new(&self.name, spec);
        operations().await.create(&PostParams::default(), &operation).await.unwrap();
    }

    /// Waits until it has come to a state like this.
    async fn comes_to(&self, is_meant: impl Fn(State) -> bool) -> OperationStatus {
        eventually("the drain has come that far", async || {
            let status = operations().await.get(&self.name).await.unwrap().status.unwrap_or_default();
            is_meant(status.state).then_some(status)
        })
        .await
    }

    async fn ends(&self) -> OperationStatus {
        self.comes_to(State::is_final).await
    }

    /// Its records, the oldest first, once there is one of its end, which is the other.
    async fn records(&self) -> (Vec<AuditRecord>, AuditRecord) {
        let filter = AuditRecordFilter { operation: format!("operations/{}", self.name), ..Default::default() };
        eventually("the end is on record", async || {
            let mut found = list(filter.clone()).await;
            found.reverse();
            let is_end = |record: &&AuditRecord| {
                let intent = found.iter().any(|other| other.audit_id == record.audit_id && other.outcome.is_none());
                record.pod.is_none() && !intent
            };
            let end = found.iter().find(is_end).cloned()?;
            Some((found, end))
        })
        .await
    }

    /// What `kubectl describe node` says, once there is this in it.
    async fn described(&self, with: &str) -> String {
        eventually(with, async || {
            let output = world().await.sandbox.kubectl(["describe", "node", &self.node]).await.unwrap();
            Some(String::from_utf8(output.stdout).unwrap()).filter(|text| text.contains(with))
        })
        .await
    }

    async fn condition(&self, kind: &str) -> Option<NodeCondition> {
        let node = world().await.kubernetes().await.get(&self.node).await.unwrap();
        node.status?.conditions?.into_iter().find(|condition| condition.type_ == kind)
    }

    /// Waits until a condition has this status, and gives its reason.
    async fn condition_is(&self, kind: &str, status: &str) -> String {
        eventually(&format!("{kind} is {status}"), async || {
            self.condition(kind).await.filter(|condition| condition.status == status)?.reason
        })
        .await
    }
}

async fn operations() -> Api<NodeOperation> {
    Api::all(world().await.sandbox.client().await.unwrap())
}

async fn list(filter: AuditRecordFilter) -> Vec<AuditRecord> {
    let address = format!("http://{}", world().await.server.address());
    let mut client = AuditServiceClient::connect(address).await.unwrap();
    let request = ListAuditRecordsRequest { filter: Some(filter), page_size: 1000, ..Default::default() };
    client.list_audit_records(request).await.unwrap().into_inner().audit_records
}

#[tokio::test]
async fn each_step_of_a_drain_is_on_record_in_the_requesters_name() {
    let story = Story::with_pods(&["a", "b"]).await;
    story.ask(User::Admin, DrainPolicy::default()).await;
    assert_eq!(story.ends().await.state, State::Succeeded);
    let (records, end) = story.records().await;
    for record in &records {
        assert_eq!(record.rpc, "nodeward.v1.DrainService/DrainNode");
        assert_eq!(record.user.as_ref().unwrap().username, User::Admin.name());
        assert_eq!(record.node, format!("nodes/{}", story.node));
        assert_eq!((&record.request_audit_id, record.reason.as_str()), (&story.audit_id, "new disk"));
    }
    for pod in ["a", "b"] {
        let of_pod: Vec<_> =
            records.iter().filter(|record| record.pod.as_ref().is_some_and(|it| it.name == pod)).collect();
        let [intent, outcome] = of_pod[..] else { panic!("an intent and an outcome: {of_pod:#?}") };
        assert_eq!((intent.stage(), outcome.stage()), (Stage::RequestReceived, Stage::ResponseComplete));
        let removed = intent.pod.as_ref().unwrap();
        assert_eq!((removed.removal(), &removed.namespace), (Removal::Eviction, &story.workload.namespace));
        assert_eq!(removed.uid.len(), 36);
        assert_eq!(outcome.outcome.as_ref().unwrap().result(), Outcome::Changed);
        let kubernetes = eventually("Kubernetes has filed it under the same id", async || {
            events().await.into_iter().find(|event| event["auditID"] == intent.audit_id && event["verb"] == "create")
        })
        .await;
        assert_eq!(kubernetes["objectRef"]["name"], pod);
        assert_eq!(kubernetes["objectRef"]["subresource"], "eviction");
    }
    assert_eq!((end.stage(), end.outcome.unwrap().code.as_str()), (Stage::ResponseComplete, "OK"));
    let of_node = list(AuditRecordFilter { node: format!("nodes/{}", story.node), ..Default::default() }).await;
    assert!(records.iter().all(|record| of_node.contains(record)));
}

#[tokio::test]
async fn a_pod_that_goes_past_its_budget_has_the_budget_and_the_reason_in_its_record() {
    let story = Story::with_pods(&["a"]).await;
    story.workload.budget("web", "web", 1, 1).await;
    let (namespace, name) = (story.workload.namespace.clone(), "web".to_owned());
    let budget_overrides = vec![BudgetOverride { namespace, name, reason: "owner agreed".to_owned() }];
    story.ask(User::Admin, DrainPolicy { budget_overrides, ..DrainPolicy::default() }).await;
    assert_eq!(story.ends().await.state, State::Succeeded);
    let (records, _) = story.records().await;
    let deletion = records.iter().find(|record| record.pod.is_some()).unwrap();
    assert_eq!(deletion.pod.as_ref().unwrap().removal(), Removal::Deletion);
    let [overridden] = &deletion.budget_overrides[..] else { panic!("one budget: {deletion:#?}") };
    assert_eq!(overridden.budget, format!("{}/web", story.workload.namespace));
    assert_eq!(overridden.reason, "owner agreed");

    let of_override: Vec<_> = records.iter().filter(|record| record.override_use.is_some()).collect();
    let [intent, outcome] = of_override[..] else { panic!("an intent and an outcome: {of_override:#?}") };
    let used = intent.override_use.as_ref().unwrap();
    assert_eq!((&used.budget, used.reason.as_str()), (&overridden.budget, "owner agreed"));
    assert_eq!((&used.pod, &used.removal_audit_id), (&deletion.pod, &deletion.audit_id));
    assert_ne!(intent.audit_id, deletion.audit_id, "it is a record of its own");
    assert!(intent.sequence < deletion.sequence, "it is on the disk before the pod is deleted");
    assert_eq!((intent.audit_id.as_str(), intent.outcome.is_none()), (outcome.audit_id.as_str(), true));
    assert_eq!(outcome.outcome.as_ref().unwrap().result(), Outcome::Changed);
}

#[tokio::test]
async fn a_drain_is_a_trace_of_its_own_that_names_its_request() {
    let story = Story::with_pods(&["a"]).await;
    story.ask(User::Admin, DrainPolicy::default()).await;
    let status = story.ends().await;
    let collector = &world().await.collector;
    let root = collector.wait_for(&status.trace_id, "drain", DEADLINE).await;
    assert_eq!((root.parent_id(), root.data.kind()), (String::new(), SpanKind::Internal));
    assert_eq!(root.attribute("k8s.node.name"), Some(story.node.clone()));
    assert_eq!(root.attribute("nodeward.operation.name"), Some(story.name.clone()));
    assert_eq!(root.attribute("nodeward.operation.state").as_deref(), Some("succeeded"));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let links: Vec<_> = root.data.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect();
    assert_eq!(links, [(REQUEST_TRACE.to_owned(), REQUEST_SPAN.to_owned())]);

    let evict = collector.wait_for(&status.trace_id, "evict", DEADLINE).await;
    assert_eq!(evict.parent_id(), root.span_id());
    assert_eq!(evict.attribute("k8s.pod.name").as_deref(), Some("a"));
    assert_eq!(evict.attribute("nodeward.attempt").as_deref(), Some("1"));
    assert_eq!(evict.attribute("nodeward.outcome").as_deref(), Some("changed"));
    let is_eviction = |span: &Span| {
        span.parent_id() == evict.span_id()
            && span.attribute("nodeward.kubernetes.resource").as_deref() == Some("pods/eviction")
    };
    collector.wait_for_span(is_eviction, DEADLINE).await;
    let (records, _) = story.records().await;
    assert!(records.iter().all(|record| record.trace_id == status.trace_id));
    assert!(records.iter().any(|record| Some(record.audit_id.clone()) == evict.attribute("nodeward.audit.id")));
}

#[tokio::test]
async fn kubectl_describe_tells_what_blocks_a_drain_and_how_it_ended() {
    let story = Story::with_pods(&["a"]).await;
    story.workload.budget("web", "web", 1, 1).await;
    story.ask(User::Admin, DrainPolicy::default()).await;
    let namespace = &story.workload.namespace;
    let why = format!("pod {namespace}/a: budget {namespace}/web needs 1 healthy pods and has 1");
    let text = story.described(&why).await;
    assert!(text.contains("DrainBlocked") && text.contains("DrainStarted"), "{text}");
    assert!(text.contains("drains the node for admin: new disk"), "{text}");
    story.workload.budgets().delete("web", &Default::default()).await.unwrap();
    assert_eq!(story.ends().await.state, State::Succeeded);
    story.described("NodeDrained").await;
    let field = format!("--field-selector=involvedObject.name={}", story.node);
    let output = world().await.sandbox.kubectl(["get", "events", &field]).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("DrainBlocked") && text.contains("NodeDrained"), "{text}");
}

#[tokio::test]
async fn the_conditions_of_a_node_say_that_it_is_drained_and_then_that_it_was() {
    let story = Story::with_pods(&["a"]).await;
    story.workload.budget("web", "web", 1, 1).await;
    story.ask(User::Admin, DrainPolicy::default()).await;
    assert_eq!(story.condition_is("DrainInProgress", "True").await, "AdminRequested");
    assert!(story.condition("Drained").await.is_none());
    story.workload.budgets().delete("web", &Default::default()).await.unwrap();
    assert_eq!(story.condition_is("Drained", "True").await, "DrainCompleted");
    assert_eq!(story.condition_is("DrainInProgress", "False").await, "DrainCompleted");
}

#[tokio::test]
async fn a_drain_that_is_cancelled_is_no_longer_in_progress_and_says_so() {
    let story = Story::with_pods(&["a"]).await;
    story.workload.budget("web", "web", 1, 1).await;
    story.ask(User::Admin, DrainPolicy::default()).await;
    story.comes_to(|state| state == State::Blocked).await;
    let cancel = Cancel { username: "alice".to_owned(), ..Cancel::default() };
    let patch = kube::api::Patch::Merge(json!({ "spec": { "cancel": cancel } }));
    operations().await.patch(&story.name, &Default::default(), &patch).await.unwrap();
    assert_eq!(story.condition_is("DrainInProgress", "False").await, "DrainCancelled");
    assert!(story.condition("Drained").await.is_none());
    story.described("DrainCancelled").await;
    let (_, end) = story.records().await;
    assert_eq!(end.outcome.unwrap().code, "CANCELLED");
}

#[tokio::test]
async fn who_may_not_patch_the_status_of_nodes_drains_them_without_conditions() {
    let story = Story::with_pods(&["a"]).await;
    story.ask(User::Operator, DrainPolicy::default()).await;
    assert_eq!(story.ends().await.state, State::Succeeded);
    story.described("NodeDrained").await;
    story.described("DrainConditionsNotWritten").await;
    assert!(story.condition("DrainInProgress").await.is_none());
}
