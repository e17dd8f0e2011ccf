//! A node that is to be drained, with a bit of everything on it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use nodeward_sandbox::User;
use nodeward_server::drain::{DrainPolicy, PodState};
use nodeward_server::operation::{NodeOperation, OperationStatus};
use serde_json::{Value, from_value, json};

use super::super::eventually;
use super::super::operations::{any_pod, operation, requester, to_drain};
use super::super::workload::Workload;
use super::story::assert_coherent;
use super::witness::is_healthy;
use super::{Asked, Ground, Story, Witness, asked};

/// How many pods of a Deployment are on the node. Its budget lets one go at a time: the next when it is replaced.
const REPLICAS: usize = 3;

/// A node to which pods can move.
const SPARE: &str = "worker-1";

/// A node that is to be drained.
pub struct Site {
    pub node: String,
    pub witness: Witness,
    workload: Workload,
    client: Client,
    /// The uids of the pods that must go.
    leaving: BTreeSet<String>,
}

impl Site {
    /// A node with three pods that may go one by one, one that may go at once, and two that must stay.
    pub async fn new(ground: &Ground) -> Self {
        Self::with(ground, false).await
    }

    /// The same, and a pod that may not go before [`Self::open_gate`].
    pub async fn gated(ground: &Ground) -> Self {
        Self::with(ground, true).await
    }

    async fn with(ground: &Ground, is_gated: bool) -> Self {
        let client = ground.client().await;
        let workload = Workload::new(client.clone(), "site").await;
        let node = workload.namespace.clone();
        ground.sandbox.create_nodes(std::slice::from_ref(&node)).await.unwrap();
        let (site, create) = (format!("example.com/{node}"), PostParams::default());
        label(&client, &node, json!({ &site: "", "example.com/agent": &node })).await;

        deployment(&client, &node, "web", (REPLICAS, "50ms"), &json!({ &site: "" })).await;
        Api::namespaced(client.clone(), &node).create(&create, &agent(&node)).await.unwrap();
        let loner = workload.pod("loner", "loner", &node).await;
        workload.pods().create(&create, &mirror(&node)).await.unwrap();
        let neighbour = workload.pod("neighbour", "neighbour", SPARE).await;
        let mut budgets = BTreeMap::from([("web".to_owned(), REPLICAS - 1)]);
        let mut leaving = BTreeSet::from([loner.uid().unwrap()]);
        if is_gated {
            leaving.insert(workload.ready_pod("gate", "gate", &node).await.uid().unwrap());
            workload.budget("gate", "gate", 1, 1).await;
            budgets.insert("gate".to_owned(), 1);
        }
        workload.budget("web", "web", i32::try_from(REPLICAS - 1).unwrap(), i32::try_from(REPLICAS).unwrap()).await;

        let pods = workload.pods();
        let of = async |app: &str, count: usize| healthy(&pods, app, count).await;
        leaving.extend(of("web", REPLICAS).await);
        let mut staying: BTreeSet<String> = of("agent", 1).await.into_iter().chain(of("mirror", 1).await).collect();
        staying.extend(neighbour.uid());
        // From here on pods can move.
        label(&client, SPARE, json!({ &site: "" })).await;
        let witness = Witness::of(pods.clone(), budgets, staying).await;
        Self { node, witness, workload, client, leaving }
    }

    /// Asks for the node to be drained, in the operator's name.
    pub async fn drain(self, ground: &Ground) -> Drain {
        let operation = drain(ground, &self.client, &self.node).await;
        Drain { site: self, story: operation }
    }
}

/// How a drain has ended.
pub struct Ended {
    /// All that servers have asked of the apiserver for it.
    pub asked: Vec<Asked>,
    /// The last status.
    pub status: OperationStatus,
}

/// A drain of a site.
pub struct Drain {
    pub site: Site,
    pub story: Story,
}

impl Drain {
    /// Lets the pod go that may not go before.
    pub async fn open_gate(&self) {
        self.site.witness.lower("gate", 0);
        let patch = Patch::Merge(json!({ "spec": { "minAvailable": 0 } }));
        self.site.workload.budgets().patch("gate", &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until it has ended, and asserts that it has done what it was to do, and nothing else: each pod that was to go has
    /// been removed once, in the name of whoever asked, and all others stay.
    pub async fn ends_well(self, ground: &Ground) -> Ended {
        let ended = self.ends_well_if(ground, true).await;
        self.clean_up().await;
        ended
    }

    /// The same, if what an apiserver has answered when it was killed may be missing from its account.
    pub async fn ends_well_by_a_broken_account(self, ground: &Ground) {
        self.ends_well_if(ground, false).await;
        self.clean_up().await;
    }

    async fn ends_well_if(&self, ground: &Ground, is_whole: bool) -> Ended {
        let (site, mut versions) = (&self.site, self.story.to_its_end().await);
        assert_coherent(&versions);
        let status = versions.pop().unwrap();
        for pod in &status.pods {
            let expected = if site.leaving.contains(&pod.pod.uid) { PodState::Gone } else { PodState::Skipped };
            assert_eq!(pod.state, expected, "{pod:#?}");
        }
        let node = Api::<Node>::all(site.client.clone()).get(&site.node).await.unwrap();
        assert_eq!(node.spec.unwrap().unschedulable, Some(true));
        eventually("the pods have moved", async || site.has_moved().then_some(())).await;
        site.witness.assert_content();

        let asked = eventually("the account says that all were removed", async || {
            let asked: Vec<Asked> = asked(ground).into_iter().filter(|asked| self.is_about(asked)).collect();
            let told = removed(&asked);
            (!is_whole || site.leaving.iter().all(|uid| told.contains(&**uid))).then_some(asked)
        })
        .await;
        assert_removed_once(&asked, &site.leaving);
        Ended { asked, status }
    }

    /// Whether something was asked for that is about this drain.
    fn is_about(&self, asked: &Asked) -> bool {
        let (site, name) = (&self.site, &asked.name);
        asked.namespace == site.workload.namespace || *name == site.node || *name == self.story.name
    }

    /// What a drain has left is in the way of nobody, but takes memory.
    async fn clean_up(self) {
        self.site.workload.delete().await;
        Api::<Node>::all(self.site.client).delete(&self.site.node, &Default::default()).await.unwrap();
    }
}

impl Site {
    /// Whether no pod that was to go is there, and as many healthy ones as before.
    fn has_moved(&self) -> bool {
        let pods = self.witness.pods();
        let is_gone = |uid: &String| pods.iter().all(|pod| pod.uid().as_ref() != Some(uid));
        let replaced = pods.iter().filter(|pod| pod.labels()["app"] == "web" && is_healthy(pod)).count();
        self.leaving.iter().all(is_gone) && replaced == REPLICAS
    }
}

/// Asserts that none but these pods were removed, each once, in the name of whoever asked for it.
fn assert_removed_once(asked: &[Asked], leaving: &BTreeSet<String>) {
    let mut left = leaving.clone();
    for removal in asked.iter().filter(|asked| asked.is_removal() && asked.is_done()) {
        assert!(left.remove(&removal.uid), "removed twice, or not to be removed: {removal:#?} of {asked:#?}");
        assert_eq!(removal.user, User::Operator.name());
    }
}

fn removed(asked: &[Asked]) -> BTreeSet<&str> {
    asked.iter().filter(|asked| asked.is_removal() && asked.is_done()).map(|asked| &*asked.uid).collect()
}

/// Asks for this node to be drained, in the operator's name: the operation from its first version on.
pub async fn drain(ground: &Ground, client: &Client, node: &str) -> Story {
    // The mirror, the pod without a controller: somebody has said that they know of them.
    drain_by(ground, client, node, (User::Operator, &any_pod())).await
}

/// The same, in this user's name and with this policy.
pub async fn drain_by(ground: &Ground, client: &Client, node: &str, (user, policy): (User, &DrainPolicy)) -> Story {
    let uid = Api::<Node>::all(client.clone()).get(node).await.unwrap().uid().unwrap();
    let spec = to_drain(node, &uid, policy, requester(user));
    // Operations are written by nodeward alone.
    let operations: Api<NodeOperation> = Api::all(ground.sandbox.server_client().await.unwrap());
    let created = operations.create(&PostParams::default(), &operation(spec)).await.unwrap();
    Story::of(operations, &created)
}

/// Waits until an app has so many pods, all healthy: their uids.
pub async fn healthy(pods: &Api<Pod>, app: &str, count: usize) -> Vec<String> {
    let list = ListParams::default().labels(&format!("app={app}"));
    eventually("the pods are healthy", async || {
        let pods = pods.list(&list).await.ok()?.items;
        (pods.len() == count && pods.iter().all(is_healthy)).then(|| pods.iter().filter_map(ResourceExt::uid).collect())
    })
    .await
}

/// Sets labels of a node.
pub async fn label(client: &Client, node: &str, labels: Value) {
    let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
    Api::<Node>::all(client.clone()).patch(node, &PatchParams::default(), &patch).await.unwrap();
}

/// A new Deployment in this namespace on the nodes with these labels: so many pods that become ready after this time, and end
/// quickly.
pub async fn deployment(
    client: &Client,
    namespace: &str,
    app: &str,
    (replicas, ready_after): (usize, &str),
    nodes: &Value,
) {
    let mut template = template(app, nodes);
    template["metadata"]["annotations"]["pod-ready.stage.kwok.x-k8s.io/delay"] = ready_after.into();
    let deployment = json!({
        "metadata": { "name": app },
        "spec": { "replicas": replicas, "selector": { "matchLabels": { "app": app } }, "template": template },
    });
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    deployments.create(&PostParams::default(), &from_value(deployment).unwrap()).await.unwrap();
}

fn template(app: &str, nodes: &Value) -> Value {
    json!({
        "metadata": {
            "labels": { "app": app },
            "annotations": { "pod-delete.stage.kwok.x-k8s.io/delay": "300ms" },
        },
        "spec": {
            "nodeSelector": nodes,
            "automountServiceAccountToken": false,
            "containers": [{ "name": "main", "image": "registry.example/main:1" }],
        },
    })
}

fn agent(node: &str) -> DaemonSet {
    let template = template("agent", &json!({ "example.com/agent": node }));
    let spec = json!({ "selector": { "matchLabels": { "app": "agent" } }, "template": template });
    from_value(json!({ "metadata": { "name": "agent" }, "spec": spec })).unwrap()
}

fn mirror(node: &str) -> Pod {
    let annotations = json!({ "kubernetes.io/config.mirror": "static", "kubernetes.io/config.source": "file" });
    let container = json!({ "name": "main", "image": "registry.example/main:1" });
    let metadata = json!({ "name": "mirror", "labels": { "app": "mirror" }, "annotations": annotations });
    let spec = json!({ "nodeName": node, "automountServiceAccountToken": false, "containers": [container] });
    from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
}
