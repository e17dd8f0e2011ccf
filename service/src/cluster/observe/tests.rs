//! Views and reads of an apiserver that answers as it is told.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, pending, ready};
use http::{Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::error::Error;

/// The targets of the requests that have arrived.
type Seen = Arc<watch::Sender<Vec<String>>>;

/// An apiserver that answers lists so, and whose watches stay silent.
fn apiserver(list: impl Fn(&str, usize) -> (u16, Value) + Clone + Send + 'static) -> (Observer, Seen) {
    let seen = Seen::default();
    let noted = seen.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let target = request.uri().path_and_query().unwrap().to_string();
        noted.send_modify(|seen| seen.push(target.clone()));
        // It does not know lists that are watches.
        let (code, body) = match target {
            target if target.contains("sendInitialEvents") => {
                (422, json!({ "kind": "Status", "status": "Failure", "code": 422 }))
            }
            target if target.contains("watch=true") => return Either::Left(pending()),
            target => list(&target, noted.borrow().len()),
        };
        let response = Response::builder().status(StatusCode::from_u16(code).unwrap());
        Either::Right(ready(Ok::<_, std::io::Error>(response.body(Body::from(body.to_string().into_bytes())).unwrap())))
    });
    (Observer::new(Client::new(service, "default")), seen)
}

fn page(names: &[&str], next: &str) -> (u16, Value) {
    let item =
        |name: &&str| json!({ "metadata": { "name": name, "namespace": "shop", "resourceVersion": "5" }, "spec": {} });
    let items: Vec<Value> = names.iter().map(item).collect();
    (200, json!({ "metadata": { "resourceVersion": "10", "continue": next }, "items": items }))
}

fn nothing(_: &str, _: usize) -> (u16, Value) {
    page(&[], "")
}

fn lists(seen: &Seen) -> Vec<String> {
    seen.borrow().iter().filter(|target| !target.contains("watch=true")).cloned().collect()
}

#[tokio::test]
async fn what_all_want_to_know_is_watched_once() {
    let (observer, seen) = apiserver(nothing);
    let views = [observer.budgets(), observer.budgets(), observer.observe("worker-1").budgets];
    for view in &views {
        view.in_sync().await;
    }
    assert_eq!(lists(&seen).iter().filter(|target| target.contains("poddisruptionbudgets")).count(), 1);
}

#[tokio::test]
async fn nothing_is_watched_for_nobody() {
    let (observer, _) = apiserver(nothing);
    let view = observer.budgets();
    view.in_sync().await;
    let objects = view.watched();
    drop(view.clone());
    assert_eq!(objects.strong_count(), 2, "the watch goes on");
    drop(view);
    while objects.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(!observer.budgets().is_in_sync(), "it begins anew");
}

#[tokio::test]
async fn pods_are_those_of_the_node() {
    let (observer, seen) = apiserver(nothing);
    observer.pods_on("worker-1").in_sync().await;
    assert_eq!(lists(&seen), ["/api/v1/pods?&fieldSelector=spec.nodeName%3Dworker-1&limit=500"]);
}

#[tokio::test]
async fn a_volume_is_attached_to_a_node_if_its_attachment_says_so() {
    let attachment = |name: &str, node: &str, attached: bool| {
        json!({
            "metadata": { "name": name, "resourceVersion": "5" },
            "spec": { "attacher": "x", "nodeName": node, "source": { "persistentVolumeName": format!("pv-{name}") } },
            "status": { "attached": attached },
        })
    };
    let attachments =
        [attachment("a", "worker-1", true), attachment("b", "worker-1", false), attachment("c", "worker-2", true)];
    let claims = [("data", "pv-a"), ("unbound", "")].map(|(claim, volume)| {
        let metadata = json!({ "name": claim, "namespace": "shop", "resourceVersion": "5" });
        json!({ "metadata": metadata, "spec": { "volumeName": volume } })
    });
    let (observer, _) = apiserver(move |target, _| {
        let items = if target.contains("volumeattachments") { json!(attachments) } else { json!(claims) };
        (200, json!({ "metadata": { "resourceVersion": "10" }, "items": items }))
    });
    let volumes = observer.volumes();
    volumes.in_sync().await;
    assert_eq!(volumes.attached_to("worker-1").collect::<Vec<_>>(), ["pv-a"]);
    assert_eq!(volumes.bound_to("shop", "data").as_deref(), Some("pv-a"));
    assert_eq!(volumes.bound_to("shop", "unbound"), None);
}

#[tokio::test]
async fn the_first_list_is_a_change() {
    let (observer, _) = apiserver(|_, _| page(&["a"], ""));
    let mut pods = observer.pods_on("worker-1");
    pods.changed().await;
    assert!(pods.is_in_sync());
    assert!(pods.get("shop", "a").is_some());
    assert!(tokio::time::timeout(Duration::from_millis(50), pods.changed()).await.is_err(), "there is no other");
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::test]
async fn a_read_takes_all_pages() {
    let (observer, _) = apiserver(|target, _| match target {
        target if !target.starts_with("/api/v1/pods") => page(&[], ""),
        target if target.contains("continue=more") => page(&["b"], ""),
        _ => page(&["a"], "more"),
    });
    let pods = observer.read(soon()).await.unwrap().pods;
    let names: Vec<_> = pods.into_iter().filter_map(|pod| pod.metadata.name).collect();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn a_read_begins_anew_if_its_pages_are_forgotten_but_not_for_ever() {
    let forgotten = |target: &str, _| match target {
        target if !target.starts_with("/api/v1/pods") => page(&[], ""),
        target if target.contains("continue=more") => {
            (410, json!({ "kind": "Status", "status": "Failure", "reason": "Expired", "code": 410 }))
        }
        _ => page(&["a"], "more"),
    };
    let (observer, seen) = apiserver(forgotten);
    assert!(observer.read(soon()).await.is_err());
    assert_eq!(lists(&seen).iter().filter(|target| target.contains("continue=more")).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_read_ends_at_its_deadline() {
    let service = tower::service_fn(|_: Request<Body>| pending::<Result<Response<Body>, std::io::Error>>());
    let observer = Observer::new(Client::new(service, "default"));
    let deadline = soon();
    assert!(matches!(observer.read(deadline).await, Err(Error::DeadlineExceeded { .. })));
    assert_eq!(Instant::now(), deadline);
}
