//! When a request is sent again, and with what.

use std::time::Duration;

use futures::StreamExt;
use nodeward_client::api::{Node, NodeSpec};
use nodeward_client::{
    Change, Client, Code, ConnectOptions, DeleteOptions, Error, Patch, ReadOptions, RetryPolicy, Selection,
    WatchOptions,
};
use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tonic_types::{ErrorDetails, StatusExt};

use crate::fake::{Call, Fake, Fate, Network, TRACE_ID, node, put_off, status, unavailable};

fn client(fake: &Fake) -> Client {
    Network::default().client(fake, ConnectOptions::new(""))
}

fn fake() -> Fake {
    Fake::with([node("a", "1")])
}

fn after(delay: Duration) -> Status {
    Status::with_error_details(Code::Unavailable, "later", ErrorDetails::with_retry_info(Some(delay)))
}

fn pushing_back(value: &str) -> Status {
    let mut status = unavailable();
    status.metadata_mut().insert("grpc-retry-pushback-ms", value.parse().unwrap());
    status
}

#[tokio::test(start_paused = true)]
async fn a_retried_change_keeps_its_request_id() {
    let fake = fake();
    fake.next(Fate::Fail(unavailable())).next(Fate::Lose(unavailable()));
    let changed = client(&fake).cordon("a", Change::default()).await.unwrap();
    assert_eq!(fake.request_ids(), vec![changed.request_id; 3]);
}

#[tokio::test(start_paused = true)]
async fn another_change_gets_another_request_id() {
    let (fake, change) = (fake(), Change::because("x"));
    let client = client(&fake);
    client.cordon("a", change.clone()).await.unwrap();
    client.uncordon("a", change).await.unwrap();
    let ids = fake.request_ids();
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn every_change_carries_a_request_id() {
    let fake = fake();
    let client = client(&fake);
    let (wanted, mask) = (node("a", "2"), || vec!["metadata.labels.version".to_owned()]);
    client.create("b", Node::default(), Change::default()).await.unwrap();
    client.update(wanted.clone(), mask(), Change::default()).await.unwrap();
    client.update_status(wanted, mask(), Change::default()).await.unwrap();
    client.patch("a", Patch::merge("{}"), Change::default()).await.unwrap();
    client.delete("b", DeleteOptions::default(), Change::default()).await.unwrap();
    let selection = Selection { filter: "name = \"a\"".into(), expected_count: 1, ..Selection::default() };
    client.delete_nodes(selection, Change::default()).await.unwrap();
    let ids = fake.request_ids();
    assert_eq!(ids.len(), 6);
    assert!(ids.iter().all(|id| id.len() == 36), "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn retry_info_is_waited_for() {
    let fake = fake();
    fake.next(Fate::Fail(after(Duration::from_secs(7))));
    let begin = Instant::now();
    client(&fake).cordon("a", Change::default()).await.unwrap();
    let elapsed = begin.elapsed();
    assert!(elapsed >= Duration::from_secs(7) && elapsed < Duration::from_secs(8), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pushback_is_waited_for_exactly() {
    let fake = fake();
    fake.next(Fate::Fail(pushing_back("7000")));
    let begin = Instant::now();
    client(&fake).cordon("a", Change::default()).await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_negative_pushback_ends_the_attempts() {
    let fake = fake();
    fake.next(Fate::Fail(pushing_back("-1")));
    assert!(client(&fake).cordon("a", Change::default()).await.is_err());
    assert_eq!(fake.request_ids().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_server_is_told_how_often_a_request_was_sent_before() {
    let fake = fake();
    fake.next(Fate::Fail(unavailable())).next(Fate::Fail(unavailable()));
    client(&fake).cordon("a", Change::default()).await.unwrap();
    let told =
        |metadata: &MetadataMap| metadata.get("grpc-previous-rpc-attempts").map(|one| one.to_str().unwrap().to_owned());
    let told: Vec<Option<String>> = fake.lock().metadata.iter().map(told).collect();
    assert_eq!(told, [None, Some("1".to_owned()), Some("2".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn while_many_requests_fail_none_is_sent_again() {
    let fake = fake();
    for _ in 0..6 {
        fake.next(Fate::Fail(unavailable()));
    }
    let client = client(&fake);
    assert!(client.cordon("a", Change::default()).await.is_err());
    // The tokens are those of the client and of all that is made of it.
    assert!(client.with_timeout(None).cordon("a", Change::default()).await.is_err());
    assert_eq!(fake.request_ids().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_token_file_that_goes_away_between_attempts_does_not_hide_why_the_first_failed() {
    let fake = fake();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "token").unwrap();
    fake.next(Fate::Fail(after(Duration::from_secs(7))));
    let client = Network::default().client(&fake, ConnectOptions::new("").bearer_token_file(file.path()));
    let remove = async {
        while fake.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        file.close().unwrap();
    };
    let (result, ()) = tokio::join!(client.cordon("a", Change::default()), remove);
    assert_eq!(result.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_no_request_can_carry_is_shortened() {
    let fake = fake();
    let millennia = Duration::from_secs(20_000 * 365 * 24 * 3600);
    for timeout in [millennia, Duration::MAX] {
        client(&fake).with_timeout(Some(timeout)).get_node("a", ReadOptions::default()).await.unwrap();
    }
    let metadata = fake.lock().metadata.clone();
    assert_eq!(metadata[0].get("grpc-timeout").unwrap(), "99999999H");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_put_off_is_sent_again_when_the_server_said() {
    for reason in ["RATE_LIMITED", "OVERLOADED", "AUTHENTICATION_OVERLOADED"] {
        let fake = fake();
        fake.next(Fate::Fail(put_off(reason, Duration::from_secs(7))));
        let begin = Instant::now();
        let changed = client(&fake).cordon("a", Change::default()).await.unwrap();
        let elapsed = begin.elapsed();
        assert!(elapsed >= Duration::from_secs(7) && elapsed < Duration::from_secs(8), "{reason}: {elapsed:?}");
        assert_eq!(fake.request_ids(), vec![changed.request_id; 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_beyond_the_deadline_is_not_begun() {
    let fake = fake();
    fake.next(Fate::Fail(after(Duration::from_secs(60))));
    let begin = Instant::now();
    let error = client(&fake).cordon("a", Change::default()).await.unwrap_err();
    assert_eq!((error.code(), error.retry_delay()), (Code::Unavailable, Some(Duration::from_secs(60))));
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn no_other_code_is_retried() {
    for code in (1..17).map(Code::from_i32).filter(|code| *code != Code::Unavailable) {
        let fake = fake();
        fake.next(Fate::Fail(status(code, "SOME_REASON", "no", None)));
        let error = client(&fake).cordon("a", Change::default()).await.unwrap_err();
        assert_eq!((error.code(), fake.request_ids().len()), (code, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_end_with_the_last_error() {
    let fake = fake();
    for _ in 0..9 {
        fake.next(Fate::Fail(unavailable()));
    }
    let error = client(&fake).cordon("a", Change::default()).await.unwrap_err();
    assert_eq!((error.reason(), fake.request_ids().len()), (Some("NOT_READY"), 5));
}

#[tokio::test(start_paused = true)]
async fn one_attempt_is_no_retry() {
    let fake = fake();
    fake.next(Fate::Fail(unavailable()));
    let policy = RetryPolicy { max_attempts: 1, ..RetryPolicy::default() };
    let client = Network::default().client(&fake, ConnectOptions::new("").retry(policy));
    assert!(client.cordon("a", Change::default()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_ends_at_the_deadline() {
    let fake = fake();
    fake.next(Fate::Hang);
    let begin = Instant::now();
    let error = client(&fake).cordon("a", Change::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert_eq!(begin.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_told_to_the_server_and_shrinks() {
    let fake = fake();
    fake.next(Fate::Fail(after(Duration::from_secs(8))));
    client(&fake).cordon("a", Change::default()).await.unwrap();
    let timeouts: Vec<String> =
        fake.lock().metadata.iter().map(|one| one.get("grpc-timeout").unwrap().to_str().unwrap().to_owned()).collect();
    let seconds = |text: &str| text.trim_end_matches(char::is_alphabetic).parse::<u64>().unwrap() / 1_000_000;
    assert!(seconds(&timeouts[0]) >= 29 && seconds(&timeouts[1]) <= 22, "{timeouts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_timeout_sends_none() {
    let fake = fake();
    client(&fake).with_timeout(None).get_node("a", ReadOptions::default()).await.unwrap();
    assert!(fake.lock().metadata[0].get("grpc-timeout").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_made_again() {
    let (fake, network) = (fake(), Network::default());
    network.break_next(2);
    let client = network.client(&fake, ConnectOptions::new(""));
    assert_eq!(client.get_node("a", ReadOptions::default()).await.unwrap().name, "nodes/a");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_with_its_connection_is_asked_for_again() {
    let (fake, network) = (fake(), Network::default());
    fake.next(Fate::Hang);
    let client = network.client(&fake, ConnectOptions::new(""));
    let cut = async {
        while fake.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        network.cut();
    };
    let (changed, ()) = tokio::join!(client.cordon("a", Change::default()), cut);
    assert_eq!(fake.request_ids(), vec![changed.unwrap().request_id; 2]);
}

#[tokio::test]
async fn an_error_names_the_trace_and_the_request() {
    let change = Change::default().with_request_id("4e0f4f3e-6a6c-4a53-8a1f-1c2d3e4f5a6b");
    let error: Error = client(&fake()).cordon("missing", change).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::NotFound, Some("NODE_NOT_FOUND")));
    assert_eq!((error.trace_id(), error.hint()), (Some(TRACE_ID), Some("list the nodes")));
    assert_eq!(error.request_id(), Some("4e0f4f3e-6a6c-4a53-8a1f-1c2d3e4f5a6b"));
}

#[tokio::test]
async fn a_change_names_its_trace() {
    assert_eq!(client(&fake()).cordon("a", Change::default()).await.unwrap().trace_id.as_deref(), Some(TRACE_ID));
}

#[tokio::test]
async fn the_parts_of_a_change_are_sent() {
    let fake = fake();
    let etag = fake.get("a").unwrap().etag;
    client(&fake).cordon("a", Change::because("disk").if_etag(&etag).dry_run()).await.unwrap();
    let Some(Call::Cordon(request)) = fake.calls().pop() else { panic!("it was not asked") };
    assert_eq!((request.name.as_str(), request.reason.as_str()), ("nodes/a", "disk"));
    assert_eq!((request.etag, request.validate_only), (etag, true));
}

#[tokio::test]
async fn the_token_and_further_metadata_are_sent() {
    let fake = fake();
    let client = Network::default().client(&fake, ConnectOptions::new("").bearer_token("secret"));
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let client = client.with_metadata("traceparent", parent).unwrap();
    client.get_node("a", ReadOptions::default()).await.unwrap();
    let metadata = fake.lock().metadata[0].clone();
    assert_eq!(metadata.get("authorization").unwrap(), "Bearer secret");
    assert_eq!(metadata.get("traceparent").unwrap(), parent);
}

#[tokio::test]
async fn the_name_of_an_update_may_be_short() {
    let fake = fake();
    let wanted = Node { name: "a".into(), spec: Some(NodeSpec::default()), ..Node::default() };
    client(&fake).update(wanted, Vec::new(), Change::default()).await.unwrap();
    assert_eq!(fake.updates()[0].node.as_ref().unwrap().name, "nodes/a");
}

#[tokio::test]
async fn requests_and_watches_can_be_spawned() {
    let client = client(&fake());
    let changing = client.clone();
    let changed = tokio::spawn(async move { changing.cordon("a", Change::default()).await });
    assert!(changed.await.unwrap().is_ok());
    let mut events = client.watch(WatchOptions::default());
    tokio::spawn(async move { events.next().await }).abort();
}
