//! Operations by `google.longrunning.Operations` and OperationService: looking at them, waiting for them, ending and
//! forgetting them.

use std::time::{Duration, SystemTime};

use nodeward_api::google::longrunning::operation::Result as Ended;
use nodeward_api::google::longrunning::operations_client::OperationsClient;
use nodeward_api::google::longrunning::{
    CancelOperationRequest as Cancel, DeleteOperationRequest, GetOperationRequest, ListOperationsRequest,
    WaitOperationRequest,
};
use nodeward_api::v1::cancel_operation_request::Cordon;
use nodeward_api::v1::{CancelOperationRequest, CordonState, DrainNodeResponse, OperationState};
use nodeward_server::args::ServeOptions;
use nodeward_server::audit::{AuditOptions, Stage};
use prost::Message;
use tokio::time::Instant;
use tonic::Code;
use uuid::Uuid;

use crate::support::draining::is_cordoned;
use crate::support::operations::{
    Blocked, channel, drain, drain_as, ended, error, events, get, metadata, operations, resources,
};
use crate::support::records::records;
use crate::support::{assert_error, assert_violation, eventually, unique, world};

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_shown_while_it_is_blocked_and_when_it_has_ended() {
    let blocked = Blocked::new("shown", 2).await;
    let mut client = operations().await;
    let operation = get(&mut client, &blocked.name).await;
    assert!(!operation.done && operation.result.is_none());
    let shown = metadata(&operation);
    assert_eq!(shown.node, format!("nodes/{}", blocked.node));
    assert_eq!((shown.cordon(), shown.reason.as_str()), (CordonState::Own, "new disk"));
    let progress = shown.progress.unwrap();
    assert_eq!((progress.total, progress.blocked), (2, 2));
    assert!(shown.blocked_pods[0].blocker.as_ref().unwrap().message.contains("needs 2 healthy pods"));

    blocked.open().await;
    let operation = ended(&mut client, &blocked.name).await;
    let Some(Ended::Response(response)) = &operation.result else { panic!("{operation:?}") };
    let response = DrainNodeResponse::decode(response.value.as_slice()).unwrap();
    assert_eq!(response.progress.unwrap().gone, 2);
    assert_eq!(metadata(&operation).state(), OperationState::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_failed_says_why() {
    let name = drain(&unique("missing")).await;
    let operation = ended(&mut operations().await, &name).await;
    assert_eq!(error(&operation).1, "NODE_NOT_FOUND");
    assert_eq!(metadata(&operation).state(), OperationState::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_the_newest_first_by_pages_and_filters() {
    let caller = unique("lister");
    let mut names = Vec::new();
    let mut client = operations().await;
    for _ in 0..3 {
        let requester = nodeward_server::operation::Requester { username: caller.clone(), ..Default::default() };
        let name = drain_as(&unique("missing"), requester).await;
        let created = metadata(&get(&mut client, &name).await).create_time.unwrap().seconds;
        names.insert(0, name);
        // Kubernetes counts creations by whole seconds.
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        eventually("the next second", async || (now() > created.cast_unsigned()).then_some(())).await;
    }
    let list = async |filter: String, page_size, page_token| {
        let name = "operations".to_owned();
        let request = ListOperationsRequest { name, filter, page_size, page_token, ..Default::default() };
        operations().await.list_operations(request).await.unwrap().into_inner()
    };
    for name in &names {
        ended(&mut client, name).await;
    }
    let filter = format!("caller = \"{caller}\" AND state = FAILED");
    let first = eventually("all are in memory", async || {
        let page = list(filter.clone(), 2, String::new()).await;
        (!page.next_page_token.is_empty()).then_some(page)
    })
    .await;
    let second = list(filter.clone(), 2, first.next_page_token).await;
    assert!(second.next_page_token.is_empty());
    let listed: Vec<String> =
        first.operations.into_iter().chain(second.operations).map(|operation| operation.name).collect();
    assert_eq!(listed, names);
    assert!(list(format!("caller = \"{caller}\" done = false"), 0, String::new()).await.operations.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_answers_the_present_state_when_its_time_is_over() {
    let blocked = Blocked::new("wait", 1).await;
    let request = WaitOperationRequest {
        name: blocked.name.clone(),
        timeout: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
    };
    let begun = Instant::now();
    let operation = operations().await.wait_operation(request).await.unwrap().into_inner();
    assert!(!operation.done && begun.elapsed() >= Duration::from_secs(1));
    blocked.open().await;
    ended(&mut operations().await, &blocked.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_before_the_deadline_of_its_call() {
    let blocked = Blocked::new("wait", 1).await;
    let mut request = tonic::Request::new(WaitOperationRequest { name: blocked.name.clone(), timeout: None });
    request.set_timeout(Duration::from_secs(3));
    assert!(!operations().await.wait_operation(request).await.unwrap().into_inner().done);
    blocked.open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_can_be_deleted_when_it_has_ended() {
    let blocked = Blocked::new("deleted", 1).await;
    let mut client = operations().await;
    let delete = || DeleteOperationRequest { name: blocked.name.clone() };
    let refused = client.delete_operation(delete()).await;
    assert_error(refused, Code::FailedPrecondition, "OPERATION_NOT_DONE");
    blocked.open().await;
    ended(&mut client, &blocked.name).await;
    client.delete_operation(delete()).await.unwrap();
    let gone = client.get_operation(GetOperationRequest { name: blocked.name.clone() }).await;
    assert_error(gone, Code::NotFound, "OPERATION_NOT_FOUND");
    assert_error(client.delete_operation(delete()).await, Code::NotFound, "OPERATION_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_drain_ends_and_leaves_its_cordon() {
    let blocked = Blocked::new("cancelled", 1).await;
    let mut client = operations().await;
    client.cancel_operation(Cancel { name: blocked.name.clone() }).await.unwrap();
    let operation = ended(&mut client, &blocked.name).await;
    assert_eq!(error(&operation), (Code::Cancelled as i32, "OPERATION_CANCELLED".to_owned()));
    assert!(metadata(&operation).cancel_requested);
    assert!(is_cordoned(&blocked.node).await);
    // It is as it is.
    client.cancel_operation(Cancel { name: blocked.name.clone() }).await.unwrap();
    assert_eq!(get(&mut client, &blocked.name).await, operation);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_who_cancel_the_first_is_noted() {
    let blocked = Blocked::new("cancelled", 1).await;
    let mut client = events().await;
    let cancel = |reason: &str, cordon: Cordon, request_id: Uuid| CancelOperationRequest {
        name: blocked.name.clone(),
        cordon: cordon.into(),
        reason: reason.to_owned(),
        request_id: request_id.to_string(),
        ..CancelOperationRequest::default()
    };
    let [first, second] = [(); 2].map(|()| Uuid::new_v4());
    let answer = client.cancel_operation(cancel("first", Cordon::Release, first)).await.unwrap().into_inner();
    assert!(metadata(&answer).cancel_requested);
    client.cancel_operation(cancel("second", Cordon::Keep, second)).await.unwrap();
    client.cancel_operation(cancel("first", Cordon::Release, first)).await.unwrap();
    let conflict = client.cancel_operation(cancel("other", Cordon::Release, first)).await;
    assert_error(conflict, Code::InvalidArgument, "REQUEST_ID_CONFLICT");
    let name = blocked.name.trim_start_matches("operations/");
    let noted = resources().await.get(name).await.unwrap().spec.cancel.unwrap();
    assert_eq!((noted.reason.as_str(), noted.release_cordon), ("first", true));
    ended(&mut operations().await, &blocked.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_can_be_tried_and_held_to_a_version() {
    let blocked = Blocked::new("cancelled", 1).await;
    let mut client = events().await;
    let etag = metadata(&get(&mut operations().await, &blocked.name).await).etag;
    let cancel = |validate_only, etag: &str| CancelOperationRequest {
        name: blocked.name.clone(),
        validate_only,
        etag: etag.to_owned(),
        ..CancelOperationRequest::default()
    };
    let tried = client.cancel_operation(cancel(true, "")).await.unwrap().into_inner();
    assert!(!metadata(&tried).cancel_requested);
    assert_error(client.cancel_operation(cancel(false, "\"1\"")).await, Code::Aborted, "ETAG_MISMATCH");
    assert!(!metadata(&get(&mut operations().await, &blocked.name).await).cancel_requested);
    client.cancel_operation(cancel(false, &etag)).await.unwrap();
    ended(&mut operations().await, &blocked.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_name_of_an_operation_is_refused() {
    let (mut client, mut own) = (operations().await, events().await);
    let name = "operations/x".to_owned();
    assert_violation(client.get_operation(GetOperationRequest { name: name.clone() }).await, "name");
    assert_violation(client.cancel_operation(Cancel { name: name.clone() }).await, "name");
    assert_violation(client.delete_operation(DeleteOperationRequest { name: name.clone() }).await, "name");
    assert_violation(client.wait_operation(WaitOperationRequest { name: name.clone(), timeout: None }).await, "name");
    let cancel = CancelOperationRequest { name, cordon: 9, ..Default::default() };
    assert_violation(own.cancel_operation(cancel).await, "cordon");
    assert_violation(client.list_operations(ListOperationsRequest::default()).await, "name");
    let filter = "nonsense = 1".to_owned();
    let list = ListOperationsRequest { name: "operations".to_owned(), filter, ..Default::default() };
    assert_violation(client.list_operations(list).await, "filter");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cancels_and_deletes_is_on_record_before_and_after_with_the_operation() {
    let dir = tempfile::tempdir().unwrap();
    let audit = AuditOptions { audit_dir: Some(dir.path().join("log")), ..AuditOptions::default() };
    let server = world().await.another_server(ServeOptions { audit, ..ServeOptions::default() }).await;
    let blocked = Blocked::new("recorded", 1).await;
    let mut client = OperationsClient::new(channel(&server).await);
    let cancelled = client.cancel_operation(Cancel { name: blocked.name.clone() }).await.unwrap();
    ended(&mut client, &blocked.name).await;
    let deleted = client.delete_operation(DeleteOperationRequest { name: blocked.name.clone() }).await.unwrap();
    server.stop().await.unwrap();

    let mut expected = Vec::new();
    for (rpc, answer) in [("CancelOperation", cancelled), ("DeleteOperation", deleted)] {
        assert!(answer.metadata().contains_key("x-trace-id"));
        let id = answer.metadata().get("x-audit-id").unwrap().to_str().unwrap().to_owned();
        for (stage, outcome) in [(Stage::RequestReceived, ""), (Stage::ResponseComplete, "changed")] {
            let rpc = format!("google.longrunning.Operations/{rpc}");
            expected.push((id.clone(), rpc, stage, "operations".to_owned(), blocked.name.clone(), outcome.to_owned()));
        }
    }
    let found = records(&dir.path().join("log")).into_iter().map(|record| {
        let object = record.request.object_ref.unwrap();
        let outcome = record.response_status.map(|status| status.outcome).unwrap_or_default();
        let name = format!("operations/{}", object.name);
        (record.audit_id.to_string(), record.rpc, record.stage, object.resource, name, outcome)
    });
    assert_eq!(found.collect::<Vec<_>>(), expected);
}
