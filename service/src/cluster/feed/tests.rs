//! Feeds from an apiserver whose watches end as they are told.

use std::sync::Arc;

use http::{Request, Response};
use kube::client::Body;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::cluster::store::{Store, StoreOptions};

/// So many watches in a second are a busy loop.
const MANY: usize = 100;

/// How many lists and watches there were.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    lists: usize,
    watches: usize,
}

/// Follows an apiserver without nodes, which gives this answer to each watch, for a second or until there were many.
async fn follow_for_a_second(answer: impl Fn(usize) -> Option<Value> + Send + 'static) -> Counts {
    let counts = Arc::new(watch::Sender::new(Counts::default()));
    let count = counts.clone();
    let apiserver = tower::service_fn(move |request: Request<Body>| {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch="));
        count.send_modify(|counts| *if is_watch { &mut counts.watches } else { &mut counts.lists } += 1);
        let list = json!({ "metadata": { "resourceVersion": "10" }, "items": [] });
        let body = if is_watch { answer(count.borrow().watches) } else { Some(list) };
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        async { Ok::<_, std::io::Error>(Response::new(Body::from(body.into_bytes()))) }
    });
    let feed = Feed::new(Whole::new(Api::all(Client::new(apiserver, "default"))), Store::new(StoreOptions::default()));
    let mut seen = counts.subscribe();
    tokio::select! {
        () = feed.follow() => {}
        () = sleep(Duration::from_secs(1)) => {}
        _ = seen.wait_for(|counts| counts.watches >= MANY) => {}
    }
    *counts.borrow()
}

#[tokio::test]
async fn watches_that_are_closed_at_once_are_opened_again_with_pauses() {
    let Counts { lists, watches } = follow_for_a_second(|_| None).await;
    assert_eq!(lists, 1);
    assert!((2..10).contains(&watches), "{watches} watches");
}

#[tokio::test]
async fn lists_that_expire_at_once_are_read_again_with_pauses() {
    let gone = json!({ "type": "ERROR", "object": { "kind": "Status", "status": "Failure", "code": 410 } });
    let lists = follow_for_a_second(move |_| Some(gone.clone())).await.lists;
    assert!((2..10).contains(&lists), "{lists} lists");
}

#[tokio::test]
async fn a_watch_that_has_brought_something_is_taken_up_again_at_once() {
    let changed = |count: usize| {
        let metadata = json!({ "name": "a", "resourceVersion": (10 + count).to_string() });
        Some(json!({ "type": "MODIFIED", "object": { "metadata": metadata } }))
    };
    assert!(follow_for_a_second(changed).await.watches >= MANY);
}
