//! Feeds from an apiserver that answers as it is told.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use k8s_openapi::api::core::v1::Node;
use kube::client::Body;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::cluster::store::{Store, StoreOptions};

/// So many watches in a second are a busy loop.
const MANY: usize = 100;

/// What a watch brings, until it is closed.
type Watched = BoxStream<'static, Value>;

/// What arrived at the apiserver.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// A list in pages.
    Pages,
    /// A list that is the beginning of a watch.
    Stream,
    /// A watch from this version.
    Watch(String),
}

impl Asked {
    fn of(request: &Request<Body>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        match query.split_once("resourceVersion=") {
            _ if query.contains("sendInitialEvents=true") => Self::Stream,
            Some((_, version)) if query.contains("watch=true") => Self::Watch(version.to_owned()),
            _ => Self::Pages,
        }
    }
}

/// A feed of the nodes of an apiserver, which has no nodes but those that its watches bring.
struct Fed {
    store: Store,
    asked: watch::Receiver<Vec<Asked>>,
    _feed: tokio_util::task::AbortOnDropHandle<()>,
}

/// Follows an apiserver that answers a watch so, if it knows what is asked for. It is told how many there were before.
fn follow(answer: impl Fn(&Asked, usize) -> Option<Watched> + Send + 'static) -> Fed {
    let asked = Arc::new(watch::Sender::new(Vec::new()));
    let seen = asked.subscribe();
    let apiserver = tower::service_fn(move |request: Request<Body>| {
        let now = Asked::of(&request);
        let before = asked.borrow().iter().filter(|before| **before == now).count();
        let list = json!({ "metadata": { "resourceVersion": "10" }, "items": [] });
        let (code, body) = match (&now, answer(&now, before)) {
            (Asked::Pages, _) => (200, stream::once(async move { list }).boxed()),
            (_, Some(watched)) => (200, watched),
            (_, None) => {
                let refused = json!({ "kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422 });
                (422, stream::once(async { refused }).boxed())
            }
        };
        asked.send_modify(|asked| asked.push(now));
        let frames = body.map(|value| Ok::<_, std::io::Error>(Frame::data(Bytes::from(format!("{value}\n")))));
        let response = Response::builder().status(StatusCode::from_u16(code).unwrap());
        async move { Ok::<_, std::io::Error>(response.body(StreamBody::new(frames)).unwrap()) }
    });
    let store = Store::new(StoreOptions::default());
    let nodes = Api::<Node>::all(Client::new(apiserver, "default"));
    let feed = tokio::spawn(Feed::new(Whole::new(nodes), store.clone()).follow());
    Fed { store, asked: seen, _feed: tokio_util::task::AbortOnDropHandle::new(feed) }
}

impl Fed {
    fn count(&self, is_meant: impl Fn(&Asked) -> bool) -> usize {
        self.asked.borrow().iter().filter(|asked| is_meant(asked)).count()
    }

    fn lists(&self) -> usize {
        self.count(|asked| *asked == Asked::Pages)
    }

    fn watches(&self) -> usize {
        self.count(|asked| matches!(asked, Asked::Watch(_)))
    }

    /// Follows for a second, or until there were many watches.
    async fn for_a_second(mut self) -> Self {
        let many = |asked: &Vec<Asked>| asked.len() > MANY;
        let _ = timeout(Duration::from_secs(1), self.asked.wait_for(many)).await;
        self
    }

    /// Waits until all that happened up to this version has been taken in.
    async fn is_at(&self, version: u64) {
        let reached = async {
            while self.store.snapshot().version < version {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(3600), reached).await.expect("it gets there");
    }

    /// The nodes, as `name@version`.
    fn nodes(&self) -> Vec<String> {
        let nodes = self.store.snapshot().nodes;
        nodes.iter().map(|view| format!("{}@{}", view.name(), view.version())).collect()
    }
}

fn event(kind: &str, name: &str, version: u64) -> Value {
    json!({ "type": kind, "object": { "metadata": { "name": name, "resourceVersion": version.to_string() } } })
}

fn bookmark(version: u64, annotations: Value) -> Value {
    let metadata = json!({ "resourceVersion": version.to_string(), "annotations": annotations });
    json!({ "type": "BOOKMARK", "object": { "apiVersion": "v1", "kind": "Node", "metadata": metadata } })
}

fn end_of_list(version: u64) -> Value {
    bookmark(version, json!({ "k8s.io/initial-events-end": "true" }))
}

/// These events, and then nothing more.
fn then_silence(events: impl IntoIterator<Item = Value>) -> Option<Watched> {
    let events: Vec<Value> = events.into_iter().collect();
    Some(stream::iter(events).chain(stream::pending()).boxed())
}

/// These events, and then the end.
fn then_closed(events: impl IntoIterator<Item = Value>) -> Option<Watched> {
    let events: Vec<Value> = events.into_iter().collect();
    Some(stream::iter(events).boxed())
}

#[tokio::test(start_paused = true)]
async fn a_list_is_the_beginning_of_a_watch_which_goes_on() {
    let fed = follow(|_, _| {
        let list = [event("ADDED", "a", 3), event("ADDED", "b", 5), event("ADDED", "c", 7)];
        let meanwhile = [event("MODIFIED", "a", 11), event("DELETED", "b", 12), end_of_list(12)];
        then_silence(list.into_iter().chain(meanwhile).chain([event("MODIFIED", "c", 13)]))
    });
    fed.is_at(13).await;
    assert_eq!(fed.nodes(), ["a@11", "c@13"]);
    assert_eq!(*fed.asked.borrow(), [Asked::Stream]);
}

#[tokio::test(start_paused = true)]
async fn a_list_is_not_shown_before_it_is_complete() {
    let fed = follow(|_, _| then_silence([event("ADDED", "a", 3)]));
    sleep(Duration::from_secs(1)).await;
    assert!(!fed.store.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_is_begun_anew() {
    let fed = follow(|_, before| match before {
        0 => then_closed([event("ADDED", "a", 3)]),
        _ => then_silence([event("ADDED", "b", 4), end_of_list(10)]),
    });
    fed.is_at(10).await;
    assert_eq!(fed.nodes(), ["b@4"]);
}

#[tokio::test(start_paused = true)]
async fn an_apiserver_that_does_not_know_lists_that_are_watches_is_asked_for_pages() {
    let fed = follow(|asked, _| match asked {
        Asked::Stream => None,
        _ => then_silence([]),
    });
    fed.is_at(10).await;
    assert_eq!(fed.asked.borrow()[..2], [Asked::Stream, Asked::Pages]);
}

#[tokio::test(start_paused = true)]
async fn so_is_one_that_answers_with_an_ordinary_watch() {
    let fed = follow(|asked, _| match asked {
        Asked::Stream => then_silence([event("ADDED", "a", 3), bookmark(9, json!({}))]),
        _ => then_silence([]),
    });
    fed.is_at(10).await;
    assert_eq!(fed.asked.borrow()[..2], [Asked::Stream, Asked::Pages]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_falls_silent_is_taken_up_again_where_it_was_after_a_minute() {
    let fed = follow(|asked, _| match asked {
        Asked::Stream => then_silence([end_of_list(10), event("ADDED", "a", 12)]),
        _ => then_silence([event("ADDED", "b", 14)]),
    });
    let begun = Instant::now();
    fed.is_at(14).await;
    assert!((60..70).contains(&begun.elapsed().as_secs()), "after {:?}", begun.elapsed());
    assert_eq!(*fed.asked.borrow(), [Asked::Stream, Asked::Watch("12".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_brings_only_bookmarks_stays_open() {
    let bookmarks = |from: u64| {
        let minutes = stream::iter(from..).then(|version| async move {
            sleep(Duration::from_millis(61_250)).await;
            bookmark(version, json!({}))
        });
        Some(stream::iter([end_of_list(from)]).chain(minutes).boxed())
    };
    let fed = follow(move |_, _| bookmarks(10));
    fed.is_at(40).await;
    assert_eq!(*fed.asked.borrow(), [Asked::Stream]);
    assert!(fed.store.age() < Duration::from_secs(1), "a bookmark is a sign of life");
}

#[tokio::test(start_paused = true)]
async fn an_apiserver_that_does_not_answer_a_watch_is_asked_again() {
    let asked = Arc::new(watch::Sender::new(0));
    let count = asked.clone();
    let apiserver = tower::service_fn(move |_: Request<Body>| {
        count.send_modify(|count| *count += 1);
        std::future::pending::<Result<Response<Body>, std::io::Error>>()
    });
    let nodes = Api::<Node>::all(Client::new(apiserver, "default"));
    let feed = Feed::new(Whole::new(nodes), Store::new(StoreOptions::default())).follow();
    let mut asked = asked.subscribe();
    let twice = timeout(Duration::from_secs(40), asked.wait_for(|count| *count > 1));
    let seen = tokio::select! {
        () = feed => unreachable!("it goes on"),
        seen = twice => seen.is_ok(),
    };
    assert!(seen);
}

#[tokio::test]
async fn watches_that_are_closed_at_once_are_opened_again_with_pauses() {
    let fed = follow(|asked, _| match asked {
        Asked::Watch(_) => then_closed([]),
        _ => None,
    });
    let fed = fed.for_a_second().await;
    assert_eq!(fed.lists(), 1);
    assert!((2..10).contains(&fed.watches()), "{} watches", fed.watches());
}

#[tokio::test]
async fn lists_that_expire_at_once_are_read_again_with_pauses() {
    let gone = json!({ "type": "ERROR", "object": { "kind": "Status", "status": "Failure", "code": 410 } });
    let fed = follow(move |asked, _| match asked {
        Asked::Watch(_) => then_closed([gone.clone()]),
        _ => None,
    });
    let lists = fed.for_a_second().await.lists();
    assert!((2..10).contains(&lists), "{lists} lists");
}

#[tokio::test]
async fn a_watch_that_has_brought_something_is_taken_up_again_at_once_where_it_was() {
    let fed = follow(|asked, _| match asked {
        Asked::Watch(version) => then_closed([event("MODIFIED", "a", version.parse::<u64>().unwrap() + 1)]),
        _ => None,
    });
    let fed = fed.for_a_second().await;
    assert!(fed.watches() >= MANY);
    assert_eq!(fed.lists(), 1);
}
