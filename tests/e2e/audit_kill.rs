//! A server that is killed again and again: nothing is changed that is not on record, and the record says what is true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt, watcher};
use nodeward_api::v1::{CordonNodeRequest, PatchNodeRequest, UncordonNodeRequest};
use nodeward_audit_log::{PublicKey, SigningKey, Verifier};
use nodeward_server::audit::{AuditRecord, Stage};
use rand::Rng;
use serde_json::{Value, json};
use tokio::task::AbortHandle;
use tonic::{Code, Response, Status};
use uuid::Uuid;

use crate::support::apiserver_log::events;
use crate::support::nodes::create_bare;
use crate::support::process::ServerProcess;
use crate::support::records::records;
use crate::support::{Client, connect, eventually, unique, world};

/// How often the server is killed.
const KILLS: usize = 50;

/// How many changes must have come of it, for the test to mean something: a machine with other work to do makes few.
const CHANGES: usize = 10;

/// How many change nodes at a time.
const WRITERS: usize = 6;

/// How many nodes there are: fewer, so that writers get in each other's way.
const NODES: usize = 3;

/// The audit ids of the changes that were answered.
type Answered = Arc<Mutex<BTreeSet<String>>>;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_at_any_moment_has_changed_nothing_that_is_not_on_record() {
    let kubernetes = world().await.kubernetes().await;
    let nodes: Vec<String> = (0..NODES).map(|_| unique("kill")).collect();
    for node in &nodes {
        create_bare(&kubernetes, node, json!({})).await;
    }
    let witness = Witness::of(&nodes).await;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let flags = ["--plaintext", "--no-auth", "--audit-settle", "2", "--audit-dir", log.to_str().unwrap()];
    let kubeconfig = world().await.sandbox.kubeconfig_path();

    let answered = Answered::default();
    for _ in 0..KILLS {
        let server = ServerProcess::start_listening(kubeconfig, &flags).await;
        let writers = (0..WRITERS).map(|writer| {
            let (node, answered) = (nodes[writer % NODES].clone(), answered.clone());
            let client = connect(server.address);
            tokio::spawn(async move { write(client.await, node, answered).await })
        });
        let writers: Vec<_> = writers.collect();
        let moment = rand::rng().random_range(0..300);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        server.kill().await;
        join_all(writers).await.into_iter().for_each(|ended| ended.unwrap());
        assert_whole(dir.path());
    }
    let server = ServerProcess::start_exactly(kubeconfig, &flags).await;
    let story = eventually("all is settled", async || Some(Story::of(&log)).filter(Story::is_over)).await;
    server.terminate().await;
    server.ended().await;
    assert_whole(dir.path());

    let answered = answered.lock().unwrap().clone();
    assert!(answered.len() > CHANGES, "{} changes were answered", answered.len());
    let unrecorded: Vec<_> = answered.iter().filter(|id| !story.ended.contains(*id)).collect();
    assert!(unrecorded.is_empty(), "answered, and not recorded: {unrecorded:?}");
    let seen = witness.says().await;
    assert_eq!(seen.unmarked, [""; 0], "changes that no record belongs to");
    let kubernetes = Kubernetes::of(&nodes, &story.begun).await;
    for made in [&seen.changes, &kubernetes.made, &kubernetes.left] {
        let unrecorded: Vec<_> = made.difference(&story.begun).collect();
        assert!(unrecorded.is_empty(), "made, and not recorded: {unrecorded:?}");
    }
    assert!(seen.changes.len() > CHANGES, "{} changes were seen", seen.changes.len());
    story.assert_true(&seen, &kubernetes);
}

/// Changes a node without end, until the server is gone.
async fn write(mut client: Client, node: String, answered: Answered) {
    let name = format!("nodes/{node}");
    for number in 0_u32.. {
        let request_id = if number % 2 == 0 { Uuid::new_v4().to_string() } else { String::new() };
        let answer = match number % 3 {
            0 => client.cordon_node(CordonNodeRequest { name: name.clone(), request_id, ..Default::default() }).await,
            1 => {
                let request = UncordonNodeRequest { name: name.clone(), request_id, ..Default::default() };
                client.uncordon_node(request).await
            }
            _ => {
                let patch = json!({"metadata": {"labels": {"kill": Uuid::new_v4().to_string()}}}).to_string();
                let request = PatchNodeRequest { name: name.clone(), request_id, patch, ..Default::default() };
                client.patch_node(request).await
            }
        };
        match answer {
            Ok(response) => drop(answered.lock().unwrap().insert(audit_id(&response))),
            Err(status) if is_overtaken(&status) => {}
            Err(_) => return,
        }
    }
}

fn audit_id<T>(response: &Response<T>) -> String {
    response.metadata().get("x-audit-id").unwrap().to_str().unwrap().to_owned()
}

/// Others changed the node all the time.
fn is_overtaken(status: &Status) -> bool {
    status.code() == Code::Aborted
}

/// The log verifies, as it was left.
fn assert_whole(dir: &Path) {
    let key = dir.join("audit-key.pem");
    if key.exists() {
        let key: PublicKey = SigningKey::load(&key).unwrap().public_key();
        let report = Verifier::new(key).verify(&dir.join("log")).unwrap();
        assert!(report.is_intact(), "{report}");
    }
}

/// What the log tells, by audit ids.
struct Story {
    begun: BTreeSet<String>,
    ended: BTreeSet<String>,
    unknown: BTreeSet<String>,
    /// With the reason.
    settled: BTreeMap<String, String>,
}

impl Story {
    fn of(log: &Path) -> Self {
        let mut story =
            Self { begun: BTreeSet::new(), ended: BTreeSet::new(), unknown: BTreeSet::new(), settled: BTreeMap::new() };
        records(log).into_iter().for_each(|record| story.add(record));
        story
    }

    fn add(&mut self, record: AuditRecord) {
        let id = record.audit_id.to_string();
        let reason = record.response_status.map(|status| status.reason).unwrap_or_default();
        match record.stage {
            Stage::RequestReceived => assert!(self.begun.insert(id)),
            Stage::ResponseComplete => {
                assert!(self.ended.insert(id.clone()), "{id} has two outcomes");
                if reason == "OUTCOME_UNKNOWN" {
                    self.unknown.insert(id);
                }
            }
            Stage::Settled => {
                assert!(self.unknown.contains(&id));
                assert_eq!(self.settled.insert(id.clone(), reason), None, "{id} is settled twice");
            }
        }
    }

    /// Whether every change has an outcome, and every unknown one is settled.
    fn is_over(&self) -> bool {
        self.begun.is_subset(&self.ended) && self.unknown.len() == self.settled.len()
    }

    /// What was settled as carried out was, and what was not was not.
    fn assert_true(&self, seen: &Seen, kubernetes: &Kubernetes) {
        for (id, reason) in &self.settled {
            let is_made = seen.changes.contains(id) || kubernetes.made.contains(id);
            match reason.as_str() {
                // What changes nothing and is only remembered shows in no mark.
                "CARRIED_OUT" => assert!(is_made || kubernetes.left.contains(id), "{id} was not carried out"),
                "NOT_CARRIED_OUT" => assert!(!is_made, "{id} was carried out"),
                other => assert_eq!(other, "OUTCOME_UNKNOWN"),
            }
        }
    }
}

/// What came of the changes of these nodes, by Kubernetes' own account, by audit ids.
struct Kubernetes {
    /// It has answered that they are made.
    made: BTreeSet<String>,
    /// Nobody waited for the answer any more. They may be made all the same.
    left: BTreeSet<String>,
}

impl Kubernetes {
    async fn of(nodes: &[String], begun: &BTreeSet<String>) -> Self {
        let of_nodes = |event: &Value| nodes.iter().any(|node| event["objectRef"]["name"] == node.as_str());
        let events = events().await.into_iter().filter(|event| event["verb"] == "patch" && of_nodes(event));
        let events: Vec<Value> = events.collect();
        let id = |event: &Value| event["auditID"].as_str().unwrap().to_owned();
        // Controllers taint the nodes meanwhile.
        let server = events.iter().find(|event| begun.contains(&id(event))).map(|event| &event["userAgent"]);
        let with_code = |code: u16| {
            let events = events.iter().filter(move |event| event["responseStatus"]["code"] == code);
            events.filter(|event| Some(&event["userAgent"]) == server).map(id).collect()
        };
        Self { made: with_code(200), left: with_code(504) }
    }
}

/// Follows the nodes, past all servers: each change of theirs that is the writers' has an audit id.
struct Witness {
    seen: Arc<Mutex<Seen>>,
    watching: AbortHandle,
}

#[derive(Default)]
struct Seen {
    nodes: BTreeMap<String, Node>,
    /// The audit ids of all changes.
    changes: BTreeSet<String>,
    unmarked: Vec<String>,
}

impl Seen {
    fn add(&mut self, node: Node) {
        let name = node.metadata.name.clone().unwrap();
        let last = last_change(&node);
        if let Some(before) = self.nodes.get(&name)
            && written(before) != written(&node)
            && last_change(before) == last
        {
            self.unmarked.push(format!("{name} at {:?}", node.metadata.resource_version));
        }
        self.changes.extend(last);
        self.nodes.insert(name, node);
    }
}

impl Witness {
    async fn of(nodes: &[String]) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let kubernetes = world().await.kubernetes().await;
        let (nodes, sees) = (nodes.to_vec(), seen.clone());
        let watching = tokio::spawn(async move {
            let changes = watcher(kubernetes, watcher::Config::default().any_semantic()).applied_objects();
            let mut changes = std::pin::pin!(changes);
            while let Some(node) = changes.try_next().await.unwrap() {
                if nodes.contains(node.metadata.name.as_ref().unwrap()) {
                    sees.lock().unwrap().add(node);
                }
            }
        });
        Self { seen, watching: watching.abort_handle() }
    }

    /// All that it has seen, up to how the nodes are now.
    async fn says(self) -> Seen {
        let kubernetes = world().await.kubernetes().await;
        eventually("the watch shows the nodes as they are", async || {
            for node in kubernetes.list(&ListParams::default()).await.unwrap() {
                let seen = self.seen.lock().unwrap();
                let seen = seen.nodes.get(node.metadata.name.as_ref().unwrap());
                if seen.is_some_and(|seen| last_change(seen) != last_change(&node)) {
                    return None;
                }
            }
            Some(())
        })
        .await;
        self.watching.abort();
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// What the writers write.
fn written(node: &Node) -> (bool, Option<&String>) {
    let unschedulable = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or_default();
    (unschedulable, node.metadata.labels.as_ref().and_then(|labels| labels.get("kill")))
}

fn last_change(node: &Node) -> Option<String> {
    node.metadata.annotations.as_ref()?.get("nodeward.dev/last-change").cloned()
}
