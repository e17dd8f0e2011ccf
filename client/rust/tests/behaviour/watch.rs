//! A watch that goes on by itself.

use std::path::PathBuf;
use std::time::Duration;

use futures::{Stream, StreamExt};
use nodeward_client::api::node_change::Type;
use nodeward_client::{Code, ConnectOptions, Error, WatchEvent, WatchEventKind, WatchOptions};
use tokio::time::Instant;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::fake::{Fake, Network, Step, change, complete, expired, node, put_off, status, unavailable};

fn added(name: &str, token: &str) -> Step {
    change(Type::Added, node(name, "1"), token)
}

/// A snapshot of `a` and `b`.
fn snapshot() -> [Step; 3] {
    [added("a", "t1"), added("b", "t2"), complete(2, "t3")]
}

fn watch(fake: &Fake, options: WatchOptions) -> impl Stream<Item = Result<WatchEvent, Error>> + Unpin + use<> {
    Network::default().client(fake, ConnectOptions::new("")).watch(options)
}

/// The next events in short: `+a`, `~a`, `-a`, `=2` for the end of a snapshot of two nodes, `.` for a bookmark, `!` for an
/// interruption.
async fn take(events: &mut (impl Stream<Item = Result<WatchEvent, Error>> + Unpin), count: usize) -> Vec<String> {
    let mut shown = Vec::new();
    for _ in 0..count {
        shown.push(short(events.next().await.unwrap().unwrap().kind));
    }
    shown
}

fn short(kind: WatchEventKind) -> String {
    let name = |node: nodeward_client::api::Node| node.name.trim_start_matches("nodes/").to_owned();
    match kind {
        WatchEventKind::Added { node } => format!("+{}", name(node)),
        WatchEventKind::Modified { node, .. } => format!("~{}", name(node)),
        WatchEventKind::Deleted { node } => format!("-{}", name(node)),
        WatchEventKind::SnapshotComplete { node_count } => format!("={node_count}"),
        WatchEventKind::Bookmark => ".".to_owned(),
        WatchEventKind::Interrupted { .. } => "!".to_owned(),
    }
}

fn after_token() -> WatchOptions {
    WatchOptions { resume_token: Some("t0".into()), ..WatchOptions::default() }
}

fn begun_within(seconds: u64) -> WatchOptions {
    WatchOptions { begin_within: Some(Duration::from_secs(seconds)), ..WatchOptions::default() }
}

fn unknown_token() -> Status {
    status(Code::InvalidArgument, "INVALID_RESUME_TOKEN", "the token is not of this watch", None)
}

/// A file with a bearer token, which is replaced at will.
struct TokenFile {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl TokenFile {
    fn new(token: &str) -> Self {
        let directory = tempfile::TempDir::new().unwrap();
        let file = Self { path: directory.path().join("token"), _directory: directory };
        file.write(Some(token));
        file
    }

    /// Replaces the content, or removes the file.
    fn write(&self, token: Option<&str>) {
        match token {
            Some(token) => std::fs::write(&self.path, token).unwrap(),
            None => std::fs::remove_file(&self.path).unwrap(),
        }
    }
}

fn tokens(fake: &Fake) -> Vec<String> {
    fake.watch_requests().into_iter().map(|request| request.resume_token).collect()
}

#[tokio::test(start_paused = true)]
async fn after_the_regular_end_the_watch_resumes_with_the_last_token() {
    let fake = Fake::default();
    fake.next_watch(snapshot().into_iter().chain([Step::End])).next_watch([added("c", "t4")]);
    let mut events = watch(&fake, WatchOptions::default());
    assert_eq!(take(&mut events, 4).await, ["+a", "+b", "=2", "+c"]);
    assert_eq!(tokens(&fake), ["", "t3"]);
}

#[tokio::test(start_paused = true)]
async fn after_unavailable_the_watch_resumes_with_the_last_token() {
    let fake = Fake::default();
    fake.next_watch([added("a", "t1"), Step::Fail(unavailable())]).next_watch([added("b", "t2")]);
    let mut events = watch(&fake, WatchOptions::default());
    assert_eq!(take(&mut events, 3).await, ["+a", "!", "+b"]);
    assert_eq!(tokens(&fake), ["", "t1"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_cut_connection_the_watch_resumes_with_the_last_token() {
    let (fake, network) = (Fake::default(), Network::default());
    fake.next_watch(snapshot()).next_watch([added("c", "t4")]);
    let mut events = network.client(&fake, ConnectOptions::new("")).watch(WatchOptions::default());
    assert_eq!(take(&mut events, 3).await, ["+a", "+b", "=2"]);
    network.cut();
    assert_eq!(take(&mut events, 2).await, ["!", "+c"]);
    assert_eq!(tokens(&fake), ["", "t3"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_a_proxy_ended_is_resumed() {
    let fake = Fake::default();
    let by_proxy = Status::unknown("stream was terminated without a final status");
    fake.next_watch([added("a", "t1"), Step::Fail(by_proxy)]).next_watch([added("b", "t2")]);
    let mut events = watch(&fake, WatchOptions::default());
    assert_eq!(take(&mut events, 3).await, ["+a", "!", "+b"]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_gives_the_differences_only() {
    let fake = Fake::default();
    fake.next_watch(snapshot().into_iter().chain([Step::End])).next_watch([Step::Fail(expired())]).next_watch([
        added("a", "u1"),
        change(Type::Added, node("c", "1"), "u2"),
        complete(2, "u3"),
    ]);
    let mut events = watch(&fake, WatchOptions::default());
    assert_eq!(take(&mut events, 6).await, ["+a", "+b", "=2", "+c", "-b", "."]);
    assert_eq!(tokens(&fake), ["", "t3", ""]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_changed_meanwhile_is_modified() {
    let fake = Fake::default();
    fake.next_watch(snapshot().into_iter().chain([Step::Fail(expired())])).next_watch([
        change(Type::Added, node("a", "2"), "u1"),
        added("b", "u2"),
        complete(2, "u3"),
    ]);
    let mut events = watch(&fake, WatchOptions::default());
    assert_eq!(take(&mut events, 5).await, ["+a", "+b", "=2", "~a", "."]);
}

#[tokio::test(start_paused = true)]
async fn a_new_snapshot_that_is_cut_goes_on_where_it_was() {
    let fake = Fake::default();
    fake.next_watch(snapshot().into_iter().chain([Step::Fail(expired())]))
        .next_watch([added("a", "u1"), Step::Fail(unavailable())])
        .next_watch([complete(1, "u2")]);
    let mut events = watch(&fake, WatchOptions::default());
    assert_eq!(take(&mut events, 6).await, ["+a", "+b", "=2", "!", "-b", "."]);
    assert_eq!(tokens(&fake), ["", "", "u1"]);
}

#[tokio::test(start_paused = true)]
async fn the_callers_expired_token_ends_the_watch() {
    let fake = Fake::default();
    fake.next_watch([Step::Fail(expired())]);
    let options = WatchOptions { resume_token: Some("old".into()), ..WatchOptions::default() };
    let mut events = watch(&fake, options);
    let error = events.next().await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some("RESUME_TOKEN_EXPIRED"));
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_watch_begun_within_a_snapshot_tells_of_its_end() {
    let fake = Fake::default();
    fake.next_watch([added("b", "t2"), complete(1, "t3")]);
    let mut events = watch(&fake, after_token());
    assert_eq!(take(&mut events, 2).await, ["+b", "=1"]);
    assert_eq!(tokens(&fake), ["t0"]);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_in_parts_has_the_size_of_all_of_them() {
    let fake = Fake::default();
    fake.next_watch([added("a", "t1"), Step::End]).next_watch([added("b", "t2"), complete(1, "t3")]);
    assert_eq!(take(&mut watch(&fake, WatchOptions::default()), 3).await, ["+a", "+b", "=2"]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_told_to_calm_down_is_an_interruption() {
    let (fake, network) = (Fake::default(), Network::default());
    network.calm_next(2);
    fake.next_watch(snapshot());
    let mut events = network.client(&fake, ConnectOptions::new("")).watch(WatchOptions::default());
    let WatchEventKind::Interrupted { error, .. } = events.next().await.unwrap().unwrap().kind else {
        panic!("it was not interrupted")
    };
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert_eq!(take(&mut events, 2).await, ["!", "+a"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_large_ends_the_watch() {
    let fake = Fake::default();
    fake.next_watch([Step::Fail(Status::resource_exhausted("decoded message length too large"))]);
    let error = watch(&fake, WatchOptions::default()).next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_another_server_does_not_know_gives_the_differences() {
    let fake = Fake::default();
    fake.next_watch(snapshot().into_iter().chain([Step::End])).next_watch([Step::Fail(unknown_token())]).next_watch([
        added("b", "u1"),
        added("c", "u2"),
        complete(2, "u3"),
    ]);
    let mut events = watch(&fake, WatchOptions::default());
    assert_eq!(take(&mut events, 6).await, ["+a", "+b", "=2", "+c", "-a", "."]);
    assert_eq!(tokens(&fake), ["", "t3", ""]);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_caller_that_the_server_does_not_know_ends_the_watch() {
    let fake = Fake::default();
    fake.next_watch([Step::Fail(unknown_token())]);
    let mut events = watch(&fake, after_token());
    assert_eq!(events.next().await.unwrap().unwrap_err().reason(), Some("INVALID_RESUME_TOKEN"));
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_token_file_that_is_being_replaced_is_waited_for() {
    for during in [None, Some("")] {
        let (fake, file) = (Fake::default(), TokenFile::new("one"));
        fake.next_watch([added("a", "t1"), Step::End]).next_watch([added("b", "t2")]);
        let options = ConnectOptions::new("").bearer_token_file(&file.path);
        let mut events = Network::default().client(&fake, options).watch(WatchOptions::default());
        assert_eq!(take(&mut events, 1).await, ["+a"]);
        file.write(during);
        assert_eq!(take(&mut events, 1).await, ["!"], "{during:?}");
        file.write(Some("two"));
        assert_eq!(take(&mut events, 1).await, ["+b"]);
        assert_eq!(fake.lock().metadata[1].get("authorization").unwrap(), "Bearer two");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_file_that_was_never_there_ends_the_watch() {
    let options = ConnectOptions::new("").bearer_token_file("/nowhere/token");
    let mut events = Network::default().client(&Fake::default(), options).watch(WatchOptions::default());
    assert!(events.next().await.unwrap().unwrap_err().message().contains("/nowhere/token"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_ends_a_watch_that_must_begin_by_then() {
    for steps in [vec![Step::Hang], vec![]] {
        let fake = Fake::default();
        fake.next_watch(steps);
        let begin = Instant::now();
        let error = watch(&fake, begun_within(7)).next().await.unwrap().unwrap_err();
        assert_eq!((error.code(), begin.elapsed().as_secs()), (Code::DeadlineExceeded, 7));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_put_off_watches_from_the_last_token_when_the_server_said() {
    for reason in ["RATE_LIMITED", "OVERLOADED", "AUTHENTICATION_OVERLOADED"] {
        let fake = Fake::default();
        fake.next_watch([added("a", "t1"), Step::End])
            .next_watch([Step::Fail(put_off(reason, Duration::from_secs(20)))])
            .next_watch([added("b", "t2")]);
        let begin = Instant::now();
        let mut events = watch(&fake, WatchOptions::default());
        assert_eq!(take(&mut events, 3).await, ["+a", "!", "+b"], "{reason}");
        assert!(begin.elapsed() >= Duration::from_secs(20));
        assert_eq!(tokens(&fake), ["", "t1", "t1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_ends_a_watch_that_must_begin_by_then() {
    let fake = Fake::default();
    for _ in 0..20 {
        fake.next_watch([Step::Fail(unavailable())]);
    }
    let begin = Instant::now();
    let mut events = watch(&fake, begun_within(7));
    let error = loop {
        if let Err(error) = events.next().await.unwrap() {
            break error;
        }
    };
    assert_eq!((error.reason(), begin.elapsed() < Duration::from_secs(7)), (Some("NOT_READY"), true));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_has_begun_goes_on_for_longer() {
    let fake = Fake::default();
    fake.next_watch([added("a", "t1")]).next_watch([Step::Hang]).next_watch([added("b", "t2")]);
    assert_eq!(take(&mut watch(&fake, begun_within(7)), 4).await, ["+a", "!", "!", "+b"]);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_watch_has_begun_when_the_server_accepts_the_token() {
    let fake = Fake::default();
    fake.next_watch([]).next_watch([added("a", "t1")]);
    let options = WatchOptions { resume_token: Some("t0".into()), ..begun_within(7) };
    assert_eq!(take(&mut watch(&fake, options), 2).await, ["!", "+a"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_no_retries_is_asked_again_late() {
    let fake = Fake::default();
    let mut status = unavailable();
    status.metadata_mut().insert("grpc-retry-pushback-ms", "-1".parse().unwrap());
    fake.next_watch([Step::Fail(status)]).next_watch(snapshot());
    let begin = Instant::now();
    assert_eq!(take(&mut watch(&fake, WatchOptions::default()), 2).await, ["!", "+a"]);
    assert_eq!(begin.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn other_errors_end_the_watch() {
    let fake = Fake::default();
    fake.next_watch([added("a", "t1"), Step::Fail(status(Code::Internal, "INTERNAL", "no", None))]);
    let mut events = watch(&fake, WatchOptions::default());
    assert_eq!(take(&mut events, 1).await, ["+a"]);
    assert_eq!(events.next().await.unwrap().unwrap_err().code(), Code::Internal);
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_is_no_longer_let_in_does_not_try_again() {
    for (code, reason) in [(Code::PermissionDenied, "ACCESS_DENIED"), (Code::Unauthenticated, "CREDENTIALS_INVALID")] {
        let fake = Fake::default();
        fake.next_watch([added("a", "t1"), Step::Fail(status(code, reason, "no", None))]);
        let mut events = watch(&fake, WatchOptions::default());
        assert_eq!(take(&mut events, 1).await, ["+a"]);
        assert_eq!(events.next().await.unwrap().unwrap_err().code(), code);
        assert!(events.next().await.is_none());
        assert_eq!(tokens(&fake).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_yet_is_waited_for_with_growing_pauses() {
    let fake = Fake::default();
    for _ in 0..20 {
        fake.next_watch([Step::Fail(unavailable())]);
    }
    fake.next_watch(snapshot());
    let begin = Instant::now();
    let mut events = watch(&fake, WatchOptions::default());
    let shown = take(&mut events, 21).await;
    assert_eq!((shown[19].as_str(), shown[20].as_str()), ("!", "+a"));
    // Twenty pauses of up to five seconds, jitter aside.
    assert!(begin.elapsed() > Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_retry_info_of_the_server_is_waited_for() {
    let fake = Fake::default();
    let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(20)));
    fake.next_watch([Step::Fail(Status::with_error_details(Code::Unavailable, "later", details))])
        .next_watch(snapshot());
    let begin = Instant::now();
    let mut events = watch(&fake, WatchOptions::default());
    take(&mut events, 2).await;
    assert!(begin.elapsed() >= Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn streams_that_end_at_once_do_not_make_a_busy_loop() {
    let fake = Fake::default();
    for _ in 0..10 {
        fake.next_watch([Step::End]);
    }
    fake.next_watch(snapshot());
    let begin = Instant::now();
    take(&mut watch(&fake, WatchOptions::default()), 1).await;
    assert!(begin.elapsed() > Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_opened_again() {
    let fake = Fake::default();
    fake.next_watch(snapshot()).next_watch([added("c", "t4")]);
    let options = WatchOptions { bookmark_interval: Some(Duration::from_secs(10)), ..WatchOptions::default() };
    let mut events = watch(&fake, options);
    take(&mut events, 3).await;
    let begin = Instant::now();
    assert_eq!(take(&mut events, 2).await, ["!", "+c"]);
    assert_eq!(begin.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_skipped_snapshot_is_not_told() {
    let fake = Fake::default();
    fake.next_watch(snapshot().into_iter().chain([added("c", "t4")]));
    let options = WatchOptions { skip_snapshot: true, ..WatchOptions::default() };
    assert_eq!(take(&mut watch(&fake, options), 2).await, ["=2", "+c"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_has_no_deadline() {
    let fake = Fake::default();
    fake.next_watch(snapshot());
    take(&mut watch(&fake, WatchOptions::default()), 1).await;
    assert!(fake.lock().metadata[0].get("grpc-timeout").is_none());
}
