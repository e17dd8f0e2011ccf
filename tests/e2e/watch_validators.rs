//! The promises of a watch under 200 changes, while the apiserver is killed and restarted twice, and the network to it is cut
//! twice.
//!
//! After etcd's robustness tests: ordered and unique is checked at every message (see `Replay`); here it is shown that
//! nothing is lost, and that any message can be resumed at, bookmarks too. Every version of a node that a writer got as its
//! answer must be shown by every stream, exactly once. The only versions that may be left out are those that the server
//! itself can't have: an apiserver that was restarted may have forgotten what happened before, as it says itself (410).

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use nodeward_api::v1;
use nodeward_api::v1::WatchNodesRequest;
use nodeward_api::v1::watch_nodes_response::Event;
use nodeward_sandbox::{Component, Sandbox};
use nodeward_server::args::ServeOptions;
use nodeward_server::node::convert;

use crate::support::fleet::{Fleet, cached};
use crate::support::follower::Follower;
use crate::support::fragile::{fragile_sandbox, has_forgotten};
use crate::support::proxy::Proxy;
use crate::support::replay::version;
use crate::support::watcher::{Watcher, mask, watch};
use crate::support::{Client, connect, eventually, start_server};

const CHANGES: usize = 200;

/// Before these changes the apiserver is killed.
const KILLS: [usize; 2] = [80, 140];

/// Before these changes the network is cut, and mended after so many more.
const CUTS: [usize; 2] = [40, 110];
const CUT_FOR: usize = 10;

type State = BTreeMap<String, v1::Node>;

/// The fleet as Kubernetes has it.
async fn state(nodes: &Api<Node>) -> State {
    let list = nodes.list(&ListParams::default()).await.unwrap();
    let nodes = list.items.iter().map(convert::to_contract).map(|node| (node.name.clone(), cached(node)));
    nodes.filter(|(name, _)| name.starts_with("nodes/fleet-")).collect()
}

fn is_of_team(node: &v1::Node, team: &str) -> bool {
    node.metadata.as_ref().unwrap().labels.get("team").is_some_and(|found| found == team)
}

/// Those of one team.
fn of_team(state: &State, team: &str) -> State {
    state.iter().filter(|(_, node)| is_of_team(node, team)).map(|(name, node)| (name.clone(), node.clone())).collect()
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

/// The changes of the fleet, and what must be seen of them.
struct Story<'a> {
    sandbox: &'a Sandbox,
    proxy: &'a Proxy,
    nodes: &'a Api<Node>,
    fleet: Fleet,
    /// A client that sees everything.
    witness: &'a Follower,
    /// The answers that the writers got: nodes in versions that were there.
    written: Vec<v1::Node>,
    /// Those of a time that the apiserver has forgotten.
    forgotten: Vec<v1::Node>,
}

impl Story<'_> {
    async fn run(&mut self) {
        for change in 0..CHANGES {
            if CUTS.contains(&change) {
                self.proxy.cut();
            }
            if CUTS.contains(&(change.saturating_sub(CUT_FOR))) {
                self.proxy.mend();
            }
            let is_cut = CUTS.iter().any(|begin| (*begin..begin + CUT_FOR).contains(&change));
            if KILLS.contains(&change) {
                self.kill_the_apiserver().await;
            } else if is_cut {
                self.written.extend(self.fleet.change_in_kubernetes().await);
            } else {
                self.written.extend(self.fleet.change().await);
            }
        }
    }

    /// The change that is made next fails until the apiserver is there again.
    async fn kill_the_apiserver(&mut self) {
        let known = latest(self.witness);
        self.sandbox.kill(Component::ApiServer).await.unwrap();
        let (restarted, written) = tokio::join!(self.sandbox.restart(Component::ApiServer), self.fleet.change());
        restarted.unwrap();
        let mut written: Vec<v1::Node> = written.into_iter().collect();
        while written.is_empty() {
            written.extend(self.fleet.change().await);
        }
        if has_forgotten(self.nodes, &known.to_string()).await {
            // By the time that the server has heard of this change it has read what there is, and goes on from there.
            let last = written.last().and_then(version).unwrap_or_default();
            eventually("the server goes on", async || (latest(self.witness) >= last).then_some(())).await;
            let (before, after) = self.written.drain(..).partition(|node| version(node) <= Some(known));
            self.written = before;
            self.forgotten.extend::<Vec<_>>(after);
            self.forgotten.extend(written);
        } else {
            self.written.extend(written);
        }
    }
}

/// The latest version that was shown.
fn latest(follower: &Follower) -> u64 {
    follower.replay().versions().iter().copied().max().unwrap_or_default()
}

/// How often each version of a node was shown.
fn times(follower: &Follower) -> BTreeMap<u64, usize> {
    let mut times = BTreeMap::new();
    follower.replay().versions().iter().for_each(|version| *times.entry(*version).or_default() += 1);
    times
}

/// Every version was shown, once.
fn assert_all_seen<'a>(follower: &Follower, written: impl Iterator<Item = &'a v1::Node>) {
    let (times, versions) = (times(follower), written.filter_map(version).collect::<BTreeSet<u64>>());
    for version in versions {
        assert_eq!(times.get(&version), Some(&1), "{}: the change at version {version}", follower.what());
    }
}

/// Every state was shown, as far as the mask shows it.
fn assert_all_states_seen(follower: &Follower, written: &[v1::Node]) {
    let state = |node: &v1::Node| labels_and_cordons(&[(node.name.clone(), node.clone())].into());
    let messages = follower.messages();
    let shown = messages.iter().filter_map(|message| match &message.event {
        Some(Event::Change(change)) => change.node.as_ref(),
        _ => None,
    });
    let shown: BTreeSet<_> = shown.map(state).collect();
    for node in written {
        assert!(shown.contains(&state(node)), "{}: {:?}", follower.what(), state(node));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_repeated_though_the_apiserver_is_killed_and_the_network_cut() {
    let sandbox = fragile_sandbox().await;
    let proxy = Proxy::start(&sandbox).await;
    let server = start_server(proxy.kubeconfig(), ServeOptions::default()).await;
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
    let blue = watch(r#"name = "fleet-*" AND labels.team = "blue""#);
    let read_mask = mask(&["name", "metadata.labels", "spec.unschedulable"]);
    let masked = WatchNodesRequest { read_mask, ..everything.clone() };
    let uninterrupted = Follower::start("the uninterrupted one", &client, everything.clone()).await;
    let cutting = Follower::start_cutting("the one that resumes", &client, everything.clone(), 3).await;
    let filtered = Follower::start_cutting("the filtered one", &client, blue, 5).await;
    let masked = Follower::start_cutting("the masked one", &client, masked, 4).await;
    let followers = [&uninterrupted, &cutting, &filtered, &masked];
    for follower in followers {
        eventually("the snapshot is complete", async || follower.replay().is_complete().then_some(())).await;
    }

    let (written, forgotten) = (Vec::new(), Vec::new());
    let mut story =
        Story { sandbox: &sandbox, proxy: &proxy, nodes: &nodes, fleet, witness: &uninterrupted, written, forgotten };
    story.run().await;
    let Story { written, forgotten, .. } = story;
    eprintln!("{} versions must be seen, {} may be left out", written.len(), forgotten.len());
    assert!(written.len() > CHANGES / 2);

    for follower in followers {
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
    assert_all_seen(&uninterrupted, written.iter());
    assert_all_seen(&cutting, written.iter());
    assert_all_seen(&filtered, written.iter().filter(|node| is_of_team(node, "blue")));
    assert_all_states_seen(&masked, &written);
    let repeated: Vec<_> =
        followers.iter().flat_map(|follower| times(follower)).filter(|(_, times)| *times > 1).collect();
    assert_eq!(repeated, []);
    assert_resumable(&client, &everything, &uninterrupted.messages()).await;
    drop([uninterrupted, cutting, filtered, masked]);
    server.stop().await.unwrap();
}
