//! Lists in one stream, and over several pages.

use futures::TryStreamExt;
use nodeward_client::api::{Consistency, Node};
use nodeward_client::{ConnectOptions, ListOptions};

use crate::fake::{Call, Fake, Fate, Network, node, unavailable};

fn fake() -> Fake {
    let fake = Fake::with((1..=5).map(|number| node(&format!("n{number}"), "1")));
    fake.lock().page_size = 2;
    fake
}

fn names(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().map(|node| node.name.as_str()).collect()
}

#[tokio::test]
async fn all_nodes_are_asked_for_at_once() {
    let fake = fake();
    let client = Network::default().client(&fake, ConnectOptions::new(""));
    let options = ListOptions {
        read_mask: vec!["name".into()],
        consistency: Consistency::Consistent,
        min_etag: "\"7\"".into(),
        ..ListOptions::filter("ready = true")
    };
    let list = client.list_all(options).await.unwrap();
    assert_eq!(names(&list.nodes), ["nodes/n1", "nodes/n2", "nodes/n3", "nodes/n4", "nodes/n5"]);
    assert_eq!(list.etag, "set-0");
    let [Call::Stream(request)] = &fake.calls()[..] else { panic!("{:?}", fake.calls()) };
    assert_eq!((request.filter.as_str(), request.min_etag.as_str()), ("ready = true", "\"7\""));
    assert_eq!(request.consistency(), Consistency::Consistent);
    assert_eq!(request.read_mask.as_ref().unwrap().paths, ["name"]);
}

#[tokio::test]
async fn in_another_order_all_pages_are_collected_under_the_etag_of_the_first() {
    let client = Network::default().client(&fake(), ConnectOptions::new(""));
    let list = client.list_all(ListOptions { order_by: "name desc".into(), ..Default::default() }).await.unwrap();
    assert_eq!(list.nodes.len(), 5);
    assert_eq!(list.etag, "set-0");
}

#[tokio::test]
async fn pages_are_asked_for_when_they_are_needed() {
    let fake = fake();
    let client = Network::default().client(&fake, ConnectOptions::new(""));
    let mut nodes = client.list_nodes(ListOptions::default());
    nodes.try_next().await.unwrap().unwrap();
    nodes.try_next().await.unwrap().unwrap();
    assert_eq!(fake.calls().len(), 1);
    nodes.try_next().await.unwrap().unwrap();
    assert_eq!(fake.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_available_is_asked_for_again() {
    for page_size in [0, 2] {
        let fake = fake();
        fake.next(Fate::Fail(unavailable()));
        let client = Network::default().client(&fake, ConnectOptions::new(""));
        let options = ListOptions { page_size, ..Default::default() };
        assert_eq!(client.list_all(options).await.unwrap().nodes.len(), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_before_its_summary_is_begun_anew() {
    let fake = fake();
    fake.lock().cut_streams = 1;
    let client = Network::default().client(&fake, ConnectOptions::new(""));
    let list = client.list_all(ListOptions::default()).await.unwrap();
    assert_eq!(names(&list.nodes), ["nodes/n1", "nodes/n2", "nodes/n3", "nodes/n4", "nodes/n5"]);
    assert_eq!(fake.calls().len(), 2);
}
