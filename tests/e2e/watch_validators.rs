//! The promises of a watch under 200 changes, while the apiserver is killed and restarted twice.
//!
//! After etcd's robustness tests: ordered and unique is checked at every message (see `Replay`); here it is shown that
//! nothing is lost, and that any message can be resumed at, bookmarks too.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use nodeward_api::v1;
use nodeward_api::v1::WatchNodesRequest;
use nodeward_api::v1::watch_nodes_response::Event;
use nodeward_sandbox::Component;
use nodeward_server::args::ServeOptions;
use nodeward_server::node::convert;

use crate::support::fleet::{Fleet, Written};
use crate::support::follower::Follower;
use crate::support::fragile::fragile_sandbox;
use crate::support::watcher::{Watcher, mask, watch};
use crate::support::{Client, connect, eventually, start_server};

const CHANGES: usize = 200;

/// Before these changes the apiserver is killed.
const KILLS: [usize; 2] = [80, 140];

type State = BTreeMap<String, v1::Node>;

/// The fleet as Kubernetes has it.
async fn state(nodes: &Api<Node>) -> State {
    let list = nodes.list(&ListParams::default()).await.unwrap();
    let nodes = list.items.iter().map(convert::to_contract).map(|node| (node.name.clone(), node));
    nodes.filter(|(name, _)| name.starts_with("nodes/fleet-")).collect()
}

/// Those of one team.
fn of_team(state: &State, team: &str) -> State {
    let is_of_team =
        |node: &v1::Node| node.metadata.as_ref().unwrap().labels.get("team").is_some_and(|found| found == team);
    state.iter().filter(|(_, node)| is_of_team(node)).map(|(name, node)| (name.clone(), node.clone())).collect()
}

/// What the mask of the masked follower leaves.
fn labels_and_cordons(state: &State) -> BTreeMap<String, (BTreeMap<String, String>, bool)> {
    let seen = |node: &v1::Node| {
        let labels = node.metadata.as_ref().map(|metadata| metadata.labels.clone()).unwrap_or_default();
        (labels, node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false))
    };
    state.iter().map(|(name, node)| (name.clone(), seen(node))).collect()
}

fn events(messages: &[v1::WatchNodesResponse]) -> Vec<&Event> {
    let events = messages.iter().filter_map(|message| message.event.as_ref());
    events.filter(|event| !matches!(event, Event::Bookmark(_))).collect()
}

/// Resumes at some of the messages, among them all bookmarks: what follows is what had followed.
async fn assert_resumable(client: &Client, request: &WatchNodesRequest, messages: &[v1::WatchNodesResponse]) {
    let is_bookmark = |index: usize| matches!(messages[index].event, Some(Event::Bookmark(_)));
    let snapshot = messages.iter().position(|message| matches!(message.event, Some(Event::SnapshotComplete(_))));
    let picked = (snapshot.unwrap()..messages.len()).filter(|index| index % 10 == 0 || is_bookmark(*index));
    join_all(picked.map(|index| async move {
        let rest = events(&messages[index + 1..]);
        let request = WatchNodesRequest { resume_token: messages[index].resume_token.clone(), ..request.clone() };
        let mut watcher = Watcher::open(client, request).await;
        for expected in rest {
            assert_eq!(watcher.event().await, *expected, "after message {index}");
        }
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_repeated_though_the_apiserver_is_killed() {
    let sandbox = fragile_sandbox().await;
    let server = start_server(sandbox.kubeconfig_path(), ServeOptions::default()).await;
    server.ready().await;
    let client = connect(server.address()).await;
    let nodes: Api<Node> = Api::all(sandbox.client().await.unwrap());
    let seed = rand::random();
    eprintln!("the fleet's seed is {seed}");
    let mut fleet = Fleet::new(nodes.clone(), client.clone(), 20, seed);
    for _ in 0..20 {
        fleet.change().await; // So that there is something in the snapshots.
    }

    let everything = watch(r#"name = "fleet-*""#);
    let read_mask = mask(&["name", "metadata.labels", "spec.unschedulable"]);
    let masked = WatchNodesRequest { read_mask, ..everything.clone() };
    let uninterrupted = Follower::start("the uninterrupted one", &client, everything.clone()).await;
    let cutting = Follower::start_cutting("the one that resumes", &client, everything.clone(), 3).await;
    let filtered =
        Follower::start_cutting("the filtered one", &client, watch(r#"name = "fleet-*" AND labels.team = "blue""#), 5)
            .await;
    let masked = Follower::start_cutting("the masked one", &client, masked, 4).await;

    let mut written_before_kill = Vec::new();
    for change in 0..CHANGES {
        let written = if KILLS.contains(&change) {
            sandbox.kill(Component::ApiServer).await.unwrap();
            // The change is tried, and fails, until the apiserver is there again.
            let (restarted, written) = tokio::join!(sandbox.restart(Component::ApiServer), fleet.change());
            restarted.unwrap();
            written
        } else {
            fleet.change().await
        };
        if let Written::Version(version) = written
            && change < KILLS[0]
        {
            written_before_kill.push(version);
        }
    }

    for follower in [&uninterrupted, &cutting, &filtered, &masked] {
        eventually(follower.what(), async || {
            let (seen, state) = (follower.replay(), state(&nodes).await);
            let is_all = match follower.what() {
                "the filtered one" => *seen.nodes() == of_team(&state, "blue"),
                "the masked one" => labels_and_cordons(seen.nodes()) == labels_and_cordons(&state),
                _ => *seen.nodes() == state,
            };
            is_all.then_some(())
        })
        .await;
    }
    let messages = uninterrupted.messages();
    let seen = uninterrupted.replay();
    for version in written_before_kill {
        let times = seen.versions().iter().filter(|seen| **seen == version).count();
        assert_eq!(times, 1, "the change at version {version}");
    }
    assert_resumable(&client, &everything, &messages).await;
    drop([uninterrupted, cutting, filtered, masked]);
    server.stop().await.unwrap();
}
