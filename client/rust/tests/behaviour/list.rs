//! Lists over several pages.

use futures::TryStreamExt;
use nodeward_client::{ConnectOptions, ListOptions};

use crate::fake::{Fake, Fate, Network, node, unavailable};

fn fake() -> Fake {
    let fake = Fake::with((1..=5).map(|number| node(&format!("n{number}"), "1")));
    fake.lock().page_size = 2;
    fake
}

#[tokio::test]
async fn all_pages_are_collected_under_the_etag_of_the_first() {
    let client = Network::default().client(&fake(), ConnectOptions::new(""));
    let list = client.list_all(ListOptions::default()).await.unwrap();
    let names: Vec<&str> = list.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["nodes/n1", "nodes/n2", "nodes/n3", "nodes/n4", "nodes/n5"]);
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
async fn a_page_that_is_not_available_is_asked_for_again() {
    let fake = fake();
    fake.next(Fate::Fail(unavailable()));
    let client = Network::default().client(&fake, ConnectOptions::new(""));
    assert_eq!(client.list_all(ListOptions::default()).await.unwrap().nodes.len(), 5);
}
