//! Who may do what with an operation: whoever has the right, and whoever asked for it.

use nodeward_api::google::longrunning::{
    CancelOperationRequest, DeleteOperationRequest, GetOperationRequest, ListOperationsRequest, WaitOperationRequest,
};
use nodeward_api::v1::StreamOperationEventsRequest;
use nodeward_sandbox::{ClientCertificate, User};
use nodeward_server::operation::Requester;
use tonic::{Code, Status};

use crate::support::guarded::guarded;
use crate::support::operations::{clients_of, drain_as};
use crate::support::requests::NO_OPERATION;
use crate::support::somebody::Somebody;
use crate::support::{ErrorExt, assert_error, unique};

/// An operation of this user on a node that does not exist, which fails soon.
async fn of_user(username: &str) -> String {
    let requester = Requester { username: username.to_owned(), ..Requester::default() };
    drain_as(&unique("missing"), requester).await
}

/// How each RPC about one operation is answered: its name and the reason of its error, if it has one.
async fn answers(somebody: &Somebody, name: &str) -> Vec<(&'static str, String)> {
    let (mut operations, mut events) = clients_of(somebody);
    let name = name.to_owned();
    let reason = |answer: Result<(), Status>| answer.err().map(|status| status.reason()).unwrap_or_default();
    let timeout = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let wait = WaitOperationRequest { name: name.clone(), timeout };
    let follow = StreamOperationEventsRequest { name: name.clone(), after_sequence: 0 };
    let (get, cancel) = (GetOperationRequest { name: name.clone() }, CancelOperationRequest { name: name.clone() });
    vec![
        ("get", reason(operations.get_operation(get).await.map(drop))),
        ("wait", reason(operations.wait_operation(wait).await.map(drop))),
        ("follow", reason(events.stream_operation_events(follow).await.map(drop))),
        ("cancel", reason(operations.cancel_operation(cancel).await.map(drop))),
        ("delete", reason(operations.delete_operation(DeleteOperationRequest { name }).await.map(drop))),
    ]
}

fn denied(answers: &[(&'static str, String)]) -> Vec<&'static str> {
    answers.iter().filter(|(_, reason)| reason == "ACCESS_DENIED").map(|(rpc, _)| *rpc).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asked_for_an_operation_may_follow_and_cancel_it_without_a_right() {
    let name = unique("requester");
    let requester = guarded().await.with(ClientCertificate::of(&name)).await;
    let own = answers(&requester, &of_user(&name).await).await;
    assert_eq!(denied(&own), ["delete"], "{own:?}");
    let of_others = answers(&requester, &of_user("somebody-else").await).await;
    assert_eq!(denied(&of_others), ["get", "wait", "follow", "cancel", "delete"]);
    let list = ListOperationsRequest { name: "operations".to_owned(), ..Default::default() };
    let listed = clients_of(&requester).0.list_operations(list).await;
    assert_error(listed, Code::PermissionDenied, "ACCESS_DENIED");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lacks_the_right_does_not_learn_whether_an_operation_exists() {
    let stranger = guarded().await.with(ClientCertificate::of("stranger")).await;
    let exists = of_user("somebody-else").await;
    let get = async |name: &str| {
        let request = GetOperationRequest { name: name.to_owned() };
        let status = clients_of(&stranger).0.get_operation(request).await.unwrap_err();
        (status.code(), status.message().to_owned(), status.details().to_vec())
    };
    assert_eq!(get(&exists).await, get(NO_OPERATION).await);
    assert_eq!(answers(&stranger, &exists).await, answers(&stranger, NO_OPERATION).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_to_operations_are_those_of_the_roles() {
    let viewer = guarded().await.user(User::Viewer).await;
    assert_eq!(denied(&answers(&viewer, &of_user("somebody-else").await).await), ["cancel", "delete"]);
    let operator = guarded().await.user(User::Operator).await;
    let all = answers(&operator, &of_user("somebody-else").await).await;
    assert!(all.iter().all(|(_, reason)| reason.is_empty()), "{all:?}");
}
