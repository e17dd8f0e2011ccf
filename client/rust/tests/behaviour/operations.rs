//! Drains and operations through the library.

use std::time::Duration;

use futures::TryStreamExt;
use nodeward_client::api::cancel_operation_request::Cordon;
use nodeward_client::api::pod_progress::State as PodState;
use nodeward_client::api::{CordonState, OperationState};
use nodeward_client::{
    CancelOptions, Change, Client, ConnectOptions, DrainOptions, OperationEventKind, OperationEventsOptions,
    OperationListOptions, drain_metadata, operation_error,
};

use crate::fake::{Call, Fake, Fate, Network, OperationStep, cordon, pod, reaches, unavailable, worker};

const NAME: &str = "operations/drain-a";

fn client(fake: &Fake) -> Client {
    Network::default().client(fake, ConnectOptions::new(""))
}

/// The numbers of the events that came until the stream ended by itself.
async fn followed(fake: &Fake, after_sequence: i64) -> Vec<i64> {
    let options = OperationEventsOptions { after_sequence, ..OperationEventsOptions::default() };
    let events: Vec<_> = client(fake).operation_events("drain-a", options).try_collect().await.unwrap();
    let number = |event| if let OperationEventKind::Event(event) = event { Some(event.sequence) } else { None };
    events.into_iter().filter_map(number).collect()
}

fn asked_after(fake: &Fake) -> Vec<i64> {
    fake.event_requests().into_iter().map(|request| request.after_sequence).collect()
}

#[tokio::test(start_paused = true)]
async fn events_go_on_after_the_last_one_until_the_operation_ends() {
    let fake = Fake::default().with_drain("a", OperationState::Running);
    fake.next_events("a", [cordon(3, CordonState::Own), pod(5, "x", PodState::Removing)])
        .next_events("a", [pod(6, "x", PodState::Gone), OperationStep::Fail(unavailable())])
        .next_events("a", [OperationStep::Fail(unavailable())])
        .next_events("a", [reaches(9, OperationState::Succeeded)]);
    assert_eq!(followed(&fake, 0).await, [3, 5, 6, 9]);
    assert_eq!(asked_after(&fake), [0, 5, 6, 6]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_comes_again_is_told_once() {
    let fake = Fake::default().with_drain("a", OperationState::Running);
    fake.next_events("a", [cordon(3, CordonState::Own)])
        .next_events("a", [cordon(3, CordonState::Own), reaches(4, OperationState::Cancelled)]);
    assert_eq!(followed(&fake, 0).await, [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn whoever_follows_after_the_last_event_is_told_that_it_has_ended() {
    let fake = Fake::default().with_drain("a", OperationState::Succeeded);
    fake.next_events("a", []);
    assert!(followed(&fake, 9).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_end_is_not_missed_if_it_comes_between_two_streams() {
    let fake = Fake::default().with_drain("a", OperationState::Succeeded);
    fake.next_events("a", [pod(5, "x", PodState::Removing)]).next_events("a", [reaches(9, OperationState::Succeeded)]);
    assert_eq!(followed(&fake, 0).await, [5, 9]);
}

#[tokio::test]
async fn an_operation_that_is_not_there_ends_the_stream_of_its_events() {
    let mut events = client(&Fake::default()).operation_events(NAME, OperationEventsOptions::default());
    assert_eq!(events.try_next().await.unwrap_err().reason(), Some("OPERATION_NOT_FOUND"));
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_sent_again_has_the_same_request_id() {
    let fake = Fake::with([worker("a")]);
    fake.next(Fate::Lose(unavailable()));
    let drained = client(&fake).drain_node("a", DrainOptions::default(), Change::because("disk")).await.unwrap();
    let ids: Vec<String> = fake.drain_requests().into_iter().map(|request| request.request_id).collect();
    assert_eq!(ids, [drained.request_id.clone(), drained.request_id.clone()]);
    assert_eq!((drained.value.name.as_str(), fake.drain_requests()[0].reason.as_str()), (NAME, "disk"));
    assert_eq!(drain_metadata(&drained.value).unwrap().node, "nodes/a");
}

#[tokio::test]
async fn operations_come_from_all_pages() {
    let drains = ["a", "b", "c"];
    let fake = drains.iter().fold(Fake::default(), |fake, node| fake.with_drain(node, OperationState::Running));
    fake.lock().page_size = 2;
    let operations: Vec<_> = client(&fake).operations(OperationListOptions::default()).try_collect().await.unwrap();
    let names: Vec<&str> = operations.iter().map(|operation| operation.name.as_str()).collect();
    assert_eq!(names, drains.map(|node| format!("operations/drain-{node}")));
}

#[tokio::test(start_paused = true)]
async fn waiting_goes_on_over_an_outage_until_the_operation_has_ended() {
    let fake = Fake::default().with_drain("a", OperationState::Running);
    fake.lock().waits = [OperationState::Running; 30].into_iter().chain([OperationState::Failed]).collect();
    for _ in 0..20 {
        fake.next(Fate::Fail(unavailable()));
    }
    let operation = client(&fake).wait_operation("drain-a", None).await.unwrap();
    assert!(operation_error(&operation).unwrap().message().contains("1 pod is left"));
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_at_its_timeout_with_an_operation_that_is_not_done() {
    let fake = Fake::default().with_drain("a", OperationState::Running);
    let operation = client(&fake).wait_operation(NAME, Some(Duration::from_secs(60))).await.unwrap();
    assert!(!operation.done);
    // It is paused between answers that come too early.
    assert!(fake.calls().len() < 40, "{}", fake.calls().len());
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_answered_within_the_timeout_of_a_request() {
    let fake = Fake::default().with_drain("a", OperationState::Succeeded);
    client(&fake).with_timeout(Some(Duration::from_secs(10))).wait_operation(NAME, None).await.unwrap();
    let Some(Call::WaitOperation(request)) = fake.calls().pop() else { panic!("it was not asked") };
    assert_eq!(request.timeout.unwrap().seconds, 5);
}

#[tokio::test]
async fn a_cancellation_says_what_becomes_of_the_cordon() {
    let fake = Fake::default().with_drain("a", OperationState::Running);
    let options = CancelOptions { cordon: Cordon::Release };
    client(&fake).cancel_operation("drain-a", options, Change::because("not today")).await.unwrap();
    let request = fake.cancel_requests().remove(0);
    assert_eq!(
        (request.name.as_str(), request.cordon(), request.reason.as_str()),
        (NAME, Cordon::Release, "not today")
    );
    assert!(!request.request_id.is_empty());
}

#[tokio::test]
async fn an_operation_that_is_deleted_is_gone() {
    let fake = Fake::default().with_drain("a", OperationState::Succeeded);
    client(&fake).delete_operation("drain-a").await.unwrap();
    assert!(matches!(fake.calls().pop(), Some(Call::DeleteOperation(request)) if request.name == NAME));
    assert_eq!(client(&fake).operation(NAME).await.unwrap_err().reason(), Some("OPERATION_NOT_FOUND"));
}
