//! Following an operation, from any replica: what has happened in it, and what happens next.

use std::collections::BTreeMap;
use std::time::Duration;

use nodeward_api::v1::operation_event::Event;
use nodeward_api::v1::operation_service_client::OperationServiceClient;
use nodeward_api::v1::pod_progress::State;
use nodeward_api::v1::{OperationEvent, OperationState, StreamOperationEventsRequest};
use nodeward_server::args::ServeOptions;
use nodeward_server::server::Server;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::support::operations::{Blocked, channel, ended, events, forget, get, metadata, operations};
use crate::support::{assert_error, assert_violation, world};

/// A server that carries no operations out.
async fn another() -> Server {
    world().await.another_server(ServeOptions::default()).await
}

async fn client_of(server: &Server) -> OperationServiceClient<Channel> {
    OperationServiceClient::new(channel(server).await)
}

async fn follow(client: &mut OperationServiceClient<Channel>, name: &str, after: i64) -> Streaming<OperationEvent> {
    let request = StreamOperationEventsRequest { name: name.to_owned(), after_sequence: after };
    client.stream_operation_events(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<OperationEvent>) -> Result<Option<OperationEvent>, Status> {
    timeout(Duration::from_secs(60), stream.message()).await.expect("an event in time")
}

/// All events to the end.
async fn all(mut stream: Streaming<OperationEvent>) -> Vec<OperationEvent> {
    let mut events = Vec::new();
    while let Some(event) = next(&mut stream).await.unwrap() {
        events.push(event);
    }
    events
}

fn sequences(events: &[OperationEvent]) -> Vec<i64> {
    events.iter().map(|event| event.sequence).collect()
}

/// What a follower knows in the end: the state of the operation, and those of its pods.
fn known(events: &[OperationEvent]) -> (OperationState, BTreeMap<String, State>) {
    let (mut state, mut pods) = (OperationState::Unspecified, BTreeMap::new());
    for event in events {
        match event.event.as_ref().unwrap() {
            Event::StateChange(change) => state = change.state(),
            Event::Pod(pod) => drop(pods.insert(pod.pod.clone().unwrap().uid, pod.state())),
            Event::CordonChange(_) => {}
        }
    }
    (state, pods)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_from_another_replica_sees_where_all_stands_and_then_what_happens() {
    let blocked = Blocked::new("follow", 2).await;
    let server = another().await;
    let mut stream = follow(&mut client_of(&server).await, &blocked.name, 0).await;
    let mut seen = Vec::new();
    while !matches!(known(&seen).0, OperationState::Blocked) || known(&seen).1.len() < 2 {
        seen.push(next(&mut stream).await.unwrap().expect("it goes on"));
    }
    blocked.open().await;
    seen.extend(all(stream).await);

    assert!(sequences(&seen).is_sorted_by(|a, b| a < b), "{:?}", sequences(&seen));
    let (state, pods) = known(&seen);
    assert_eq!((state, pods.len()), (OperationState::Succeeded, 2));
    assert!(pods.values().all(|state| *state == State::Gone), "{pods:?}");
    let last = seen.last().unwrap();
    assert!(matches!(&last.event, Some(Event::StateChange(change)) if change.state() == OperationState::Succeeded));
    assert_eq!(last.progress.as_ref().unwrap().gone, 2);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_resumes_gets_exactly_what_comes_after() {
    let blocked = Blocked::new("resume", 2).await;
    blocked.open().await;
    ended(&mut operations().await, &blocked.name).await;
    let mut client = events().await;
    let whole = all(follow(&mut client, &blocked.name, 0).await).await;
    assert!(whole.len() >= 4, "{whole:?}");
    let last = whole.last().unwrap().sequence;
    for after in 0..=last {
        let rest: Vec<OperationEvent> = whole.iter().filter(|event| event.sequence > after).cloned().collect();
        assert_eq!(all(follow(&mut client, &blocked.name, after).await).await, rest, "after {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_followers_know_the_same_in_the_end() {
    let blocked = Blocked::new("two", 3).await;
    let server = another().await;
    let here = follow(&mut events().await, &blocked.name, 0).await;
    let there = follow(&mut client_of(&server).await, &blocked.name, 0).await;
    blocked.open().await;
    let (here, there) = tokio::join!(all(here), all(there));
    assert_eq!(known(&here), known(&there));
    assert_eq!(here.last(), there.last());
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_no_event_has_yet_is_refused() {
    let blocked = Blocked::new("ahead", 1).await;
    let mut client = events().await;
    for after_sequence in [1_000_000, -1] {
        let request = StreamOperationEventsRequest { name: blocked.name.clone(), after_sequence };
        assert_violation(client.stream_operation_events(request).await, "after_sequence");
    }
    blocked.open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_an_operation_that_is_deleted_ends_with_that() {
    let blocked = Blocked::new("forgotten", 1).await;
    let sequence = metadata(&get(&mut operations().await, &blocked.name).await).sequence;
    let mut stream = follow(&mut events().await, &blocked.name, sequence).await;
    forget(&blocked.name).await;
    let end = loop {
        match next(&mut stream).await {
            Ok(event) => assert!(event.is_some(), "it ends with a reason"),
            Err(status) => break status,
        }
    };
    assert_error(Err::<(), _>(end), Code::NotFound, "OPERATION_NOT_FOUND");
    let request = StreamOperationEventsRequest { name: blocked.name.clone(), after_sequence: 0 };
    let gone = events().await.stream_operation_events(request).await;
    assert_error(gone, Code::NotFound, "OPERATION_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_by_itself_with_its_age_and_with_its_server() {
    let blocked = Blocked::new("aged", 1).await;
    let options = ServeOptions { watch_max_age: Duration::from_secs(1), ..ServeOptions::default() };
    let brief = world().await.another_server(options).await;
    let seen = all(follow(&mut client_of(&brief).await, &blocked.name, 0).await).await;
    assert_eq!(known(&seen).0, OperationState::Blocked);
    brief.stop().await.unwrap();

    let server = another().await;
    let stream = follow(&mut client_of(&server).await, &blocked.name, seen.last().unwrap().sequence).await;
    let (rest, stopped) = tokio::join!(all(stream), server.stop());
    stopped.unwrap();
    assert!(rest.iter().all(|event| event.sequence > seen.last().unwrap().sequence));
    blocked.open().await;
}
