//! Bodies over stores that are driven as the feed drives them.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use futures::FutureExt;
use k8s_openapi::api::core::v1::Node;
use nodeward_api::v1::watch_nodes_response::Event;
use nodeward_api::v1::{WatchNodesRequest, WatchNodesResponse};
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::*;
use crate::access::Session;
use crate::cluster::store::Store;

type Open = Pin<Box<WatchBody>>;

const MAX_AGE: Duration = Duration::from_secs(3600);

fn node(name: &str, version: u64, note: &str) -> Node {
    let mut node = Node::default();
    node.metadata.name = Some(name.to_owned());
    node.metadata.resource_version = Some(version.to_string());
    node.metadata.annotations = Some([("note".to_owned(), note.to_owned())].into());
    node
}

fn open_until(store: &Store, request: &WatchNodesRequest, stop: &CancellationToken) -> Open {
    let watch = Watch::open(store, request, MAX_AGE, stop.clone()).unwrap();
    Box::pin(WatchBody::new(watch, Vigil::new(Session::of_nobody(), None)))
}

/// A watch of what changes from now on, after the bookmark that it begins with.
async fn open(store: &Store, filter: &str) -> Open {
    let request = WatchNodesRequest { skip_snapshot: true, filter: filter.to_owned(), ..Default::default() };
    let mut body = open_until(store, &request, &CancellationToken::new());
    assert!(is_bookmark(&messages(&piece(&mut body).await)[0]));
    body
}

async fn frame(body: &mut Open) -> Option<Frame<Bytes>> {
    poll_fn(|cx| body.as_mut().poll_frame(cx)).await.map(Result::unwrap)
}

async fn piece(body: &mut Open) -> Bytes {
    frame(body).await.unwrap().into_data().unwrap()
}

/// The status in the trailers, which are the last.
async fn status(body: &mut Open) -> Status {
    let trailers = frame(body).await.unwrap().into_trailers().unwrap();
    assert!(body.is_end_stream());
    assert!(frame(body).await.is_none());
    Status::from_header_map(&trailers).unwrap()
}

/// The messages of a piece.
fn messages(mut piece: &[u8]) -> Vec<WatchNodesResponse> {
    let mut messages = Vec::new();
    while let Some((head, rest)) = piece.split_first_chunk::<5>() {
        let (message, rest) = rest.split_at(u32::from_be_bytes(head[1..].try_into().unwrap()) as usize);
        messages.push(WatchNodesResponse::decode(message).unwrap());
        piece = rest;
    }
    messages
}

fn is_bookmark(message: &WatchNodesResponse) -> bool {
    matches!(message.event, Some(Event::Bookmark(_)))
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Woken {
    /// Polls the body, which must have nothing.
    fn waits_for(self: &Arc<Self>, body: &mut Open) {
        let waker = Waker::from(self.clone());
        assert!(body.as_mut().poll_frame(&mut Context::from_waker(&waker)).is_pending());
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn what_is_told_is_one_piece_of_memory_for_all_that_ask_for_the_same() {
    let store = Store::holding(vec![], 10);
    let (mut one, mut two) = (open(&store, "").await, open(&store, "").await);
    store.hear(node("a", 11, ""));
    let (one, two) = (piece(&mut one).await, piece(&mut two).await);
    assert_eq!(messages(&one).len(), 1);
    assert_eq!((one.as_ptr(), one.len()), (two.as_ptr(), two.len()));
}

#[tokio::test]
async fn what_waits_is_sent_in_pieces_of_many_messages() {
    let store = Store::holding(vec![], 10);
    let mut body = open(&store, "").await;
    for version in 11..111 {
        store.hear(node(&format!("node-{version}"), version, &"x".repeat(500)));
    }
    let (mut told, mut pieces) = (0, 0);
    while told < 100 {
        let piece = piece(&mut body).await;
        assert!(piece.len() <= PIECE, "{}", piece.len());
        told += messages(&piece).len();
        pieces += 1;
    }
    assert!(pieces <= 6, "{pieces}");
}

#[tokio::test]
async fn a_message_that_is_larger_than_a_piece_is_sent_alone() {
    let store = Store::holding(vec![], 10);
    let mut body = open(&store, "").await;
    for version in 11..14 {
        store.hear(node("a", version, &"x".repeat(if version == 12 { 2 * PIECE } else { 10 })));
    }
    for _ in 0..3 {
        assert_eq!(messages(&piece(&mut body).await).len(), 1);
    }
}

#[tokio::test]
async fn a_snapshot_is_sent_in_pieces_too() {
    let nodes = (0..20).map(|number| node(&format!("node-{number:02}"), 5, "")).collect();
    let mut body = open_until(&Store::holding(nodes, 10), &WatchNodesRequest::default(), &CancellationToken::new());
    let messages = messages(&piece(&mut body).await);
    assert_eq!(messages.len(), 21);
    assert!(matches!(messages[20].event, Some(Event::SnapshotComplete(_))));
}

#[tokio::test]
async fn who_does_not_read_holds_nothing() {
    let store = Store::holding(vec![], 10);
    let mut body = open(&store, "").await;
    let woken = Arc::new(Woken::default());
    woken.waits_for(&mut body);
    for version in 11..100 {
        store.hear(node("a", version, &"x".repeat(1000)));
    }
    assert_eq!(woken.count(), 1, "it is not woken again before it has looked");
    assert!(store.shared_bytes() < 4000, "{} bytes of messages", store.shared_bytes());
}

#[tokio::test]
async fn what_is_not_shown_wakes_nobody() {
    let store = Store::holding(vec![], 10);
    let mut body = open(&store, r#"name = "b""#).await;
    let woken = Arc::new(Woken::default());
    woken.waits_for(&mut body);
    store.hear(node("a", 11, ""));
    assert_eq!(woken.count(), 0);
    store.hear(node("b", 12, ""));
    assert_eq!(woken.count(), 1);
    assert_eq!(messages(&piece(&mut body).await).len(), 1);
}

#[tokio::test]
async fn a_watch_that_is_told_to_end_says_up_to_where_it_has_come() {
    let store = Store::holding(vec![], 10);
    let stop = CancellationToken::new();
    let mut body = open_until(&store, &WatchNodesRequest { skip_snapshot: true, ..Default::default() }, &stop);
    piece(&mut body).await;
    assert!(frame(&mut body).now_or_never().is_none());
    stop.cancel();
    assert!(is_bookmark(&messages(&piece(&mut body).await)[0]));
    assert_eq!(status(&mut body).await.code(), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_watch_says_that_it_is_alive_when_nothing_else_is_told_and_ends_at_its_age() {
    let store = Store::holding(vec![], 10);
    let mut body = open(&store, "").await;
    let opened = Instant::now();
    for version in 11..14 {
        tokio::time::advance(Duration::from_secs(20)).await;
        store.hear(node("a", version, &version.to_string()));
        assert!(!is_bookmark(&messages(&piece(&mut body).await)[0]), "it comes before the bookmark");
    }
    for bookmarks in 1..4 {
        assert!(is_bookmark(&messages(&piece(&mut body).await)[0]));
        let expected = Duration::from_secs(60 + 30 * bookmarks);
        assert_eq!(opened.elapsed().as_secs(), expected.as_secs());
    }
    while !matches!(body.state, State::Ending(_)) {
        piece(&mut body).await;
    }
    assert!((0.9..1.1).contains(&opened.elapsed().div_duration_f64(MAX_AGE)));
    assert_eq!(status(&mut body).await.code(), Code::Ok);
}

#[tokio::test]
async fn who_has_fallen_off_the_log_is_told_so_in_full() {
    let store = Store::forgetful(vec![], 10);
    let mut body = open(&store, "").await;
    store.hear(node("a", 11, ""));
    store.hear(node("a", 12, ""));
    let (told, expected) = (status(&mut body).await, Status::from(Error::ResumeTokenExpired));
    assert_eq!(
        (told.code(), told.message(), told.details()),
        (expected.code(), expected.message(), expected.details())
    );
}

/// Of the 5 KB that an open stream may take this is the part that is ours.
#[test]
fn an_open_watch_takes_little() {
    let (body, vigil) = (size_of::<WatchBody>(), size_of::<Vigil>());
    assert!(body + vigil <= 1024, "{body} + {vigil} bytes");
}
