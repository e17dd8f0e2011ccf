//! The store is driven here as the feed drives it, without a cluster.

use k8s_openapi::api::core::v1::Pod;

use super::store::PodStore;
use super::*;
use crate::cluster::feed::Sink as _;
use crate::pod::example::pod;

fn at(name: &str, node: &str, version: u64) -> Pod {
    let pod = pod(name).in_namespace("shop").on(node);
    pod.with(|pod| pod.metadata.resource_version = Some(version.to_string())).build()
}

fn listed(version: u64, pods: impl IntoIterator<Item = Pod>) -> Arc<PodStore> {
    let store = Arc::new(PodStore::default());
    store.relist(pods.into_iter().map(|pod| store.keep(pod)).collect(), version);
    store
}

fn names(pods: Vec<Arc<PodRecord>>) -> Vec<String> {
    pods.iter().map(|pod| format!("{}@{}", pod.name, pod.version)).collect()
}

#[test]
fn it_tells_the_pods_of_a_node_and_all() {
    let store = listed(10, [at("b", "two", 3), at("c", "one", 4), at("a", "one", 5), at("waiting", "", 6)]);
    assert_eq!(names(store.on_node("one")), ["a@5", "c@4"]);
    assert_eq!(names(store.on_node("none")), [""; 0]);
    assert_eq!(names(store.all()), ["waiting@6", "a@5", "c@4", "b@3"]);
}

#[test]
fn it_holds_what_is_there() {
    let store = listed(10, [at("a", "one", 3), at("b", "one", 4)]);
    store.apply(at("b", "one", 11));
    store.apply(at("c", "two", 12));
    store.remove(at("a", "one", 13));
    assert_eq!(names(store.all()), ["b@11", "c@12"]);
}

#[test]
fn a_pod_that_gets_a_node_is_there_once() {
    let store = listed(10, [at("a", "", 3)]);
    store.apply(at("a", "one", 11));
    assert_eq!(names(store.all()), ["a@11"]);

    let in_the_list = listed(10, [at("a", "", 3), at("a", "one", 9)]);
    assert_eq!(names(in_the_list.all()), ["a@9"]);
}

#[test]
fn a_pod_whose_node_is_first_heard_of_with_its_deletion_is_gone() {
    let store = listed(10, [at("a", "", 3)]);
    store.remove(at("a", "one", 11));
    assert_eq!(names(store.all()), [""; 0]);
}

#[test]
fn what_a_resumed_watch_repeats_changes_nothing() {
    let store = listed(10, [at("a", "one", 9)]);
    let changes = *store.changes().borrow();
    store.apply(at("a", "one", 8));
    store.remove(at("a", "one", 10));
    assert_eq!(names(store.all()), ["a@9"]);
    assert_eq!(*store.changes().borrow(), changes);
}

#[test]
fn a_bookmark_wakes_nobody() {
    let store = listed(10, []);
    let changes = *store.changes().borrow();
    store.advance(30);
    assert_eq!((store.version(), *store.changes().borrow()), (30, changes));
}

#[tokio::test]
async fn all_look_at_one_watch_which_ends_with_the_last_of_them() {
    let service = tower::service_fn(|_: http::Request<kube::client::Body>| {
        std::future::pending::<Result<http::Response<kube::client::Body>, std::io::Error>>()
    });
    let pods = AllPods::new(Client::new(service, "default"));
    let (one, other) = (pods.view(), pods.view());
    assert!(Arc::ptr_eq(&one.running, &other.running));
    let running = Arc::downgrade(&one.running);
    drop((one, other));
    assert!(running.upgrade().is_none());
}
