//! What runs in the sandbox, and what becomes of it when a component is taken away.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use nodeward_sandbox::{Component, DEMO_NAMESPACE, SandboxError};
use serde_json::json;

use crate::support::{DISTURBED, sandbox, until};

async fn answers(client: &Client) -> bool {
    let answer = tokio::time::timeout(Duration::from_millis(500), client.apiserver_version()).await;
    matches!(answer, Ok(Ok(_)))
}

fn pod(name: &str, node: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": {
            "nodeName": node,
            "automountServiceAccountToken": false,
            "containers": [{ "name": "main", "image": "registry.example/main:1" }],
        },
    }))
    .unwrap()
}

async fn running(pods: &Api<Pod>, name: &str) -> bool {
    pods.get(name).await.unwrap().status.and_then(|status| status.phase).as_deref() == Some("Running")
}

#[tokio::test]
async fn nodes_are_ready_and_untainted_in_three_zones() {
    let _undisturbed = DISTURBED.read().await;
    let client = sandbox().await.client().await.unwrap();
    let nodes = Api::<Node>::all(client).list(&ListParams::default().labels("nodeward.dev/log-agent")).await.unwrap();
    let mut zones: Vec<&str> = Vec::new();
    for node in nodes.items.iter().filter(|node| node.metadata.name.as_deref().unwrap().starts_with("worker-")) {
        let conditions = node.status.as_ref().unwrap().conditions.as_ref().unwrap();
        assert!(conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
        assert_eq!(node.spec.as_ref().unwrap().taints, None);
        zones.push(&node.metadata.labels.as_ref().unwrap()["topology.kubernetes.io/zone"]);
    }
    zones.sort_unstable();
    assert_eq!(zones, ["zone-a", "zone-b", "zone-c"]);
}

#[tokio::test]
async fn the_demo_runs_with_one_budget_that_allows_disruptions_and_one_that_does_not() {
    let _undisturbed = DISTURBED.read().await;
    let client = sandbox().await.client().await.unwrap();
    let pods = Api::<Pod>::namespaced(client.clone(), DEMO_NAMESPACE).list(&ListParams::default()).await.unwrap();
    let with_label = |app: &str| {
        pods.items
            .iter()
            .filter(|pod| {
                pod.metadata.labels.as_ref().is_some_and(|labels| labels.get("app").is_some_and(|value| value == app))
            })
            .count()
    };
    assert_eq!(with_label("web"), 6);
    assert_eq!(with_label("one-off"), 1);
    assert!(with_label("log-agent") >= 3, "one on each node");
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(client, DEMO_NAMESPACE);
    let allowed = async |name| budgets.get(name).await.unwrap().status.unwrap().disruptions_allowed;
    assert_eq!(allowed("web").await, Some(2));
    assert_eq!(allowed("ledger").await, Some(0));
}

#[tokio::test]
async fn kubectl_and_the_apiserver_have_the_same_version() {
    let _undisturbed = DISTURBED.read().await;
    let output = sandbox().await.kubectl(["version", "--output=json"]).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let versions: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(versions["clientVersion"]["gitVersion"], nodeward_sandbox::KUBERNETES_VERSION);
    assert_eq!(versions["serverVersion"]["gitVersion"], nodeward_sandbox::KUBERNETES_VERSION);
    assert_eq!(versions["serverVersion"]["minor"], "36");
}

#[tokio::test]
async fn a_certificate_of_the_cluster_does_not_open_etcd_not_even_an_administrators() {
    let _undisturbed = DISTURBED.read().await;
    let sandbox = sandbox().await;
    let asked = async |kubeconfig: Kubeconfig| {
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let request = http::Request::get("/version").body(Vec::new()).unwrap();
        Client::try_from(config).unwrap().request_text(request).await
    };
    let apiservers = Kubeconfig::read_from(sandbox.dir().join("pki/apiserver-etcd-client.kubeconfig")).unwrap();
    let answer = asked(apiservers.clone()).await.unwrap();
    assert!(answer.contains("etcdserver"), "{answer}");

    let administrator = Kubeconfig::read_from(sandbox.kubeconfig_path()).unwrap();
    let mut administrators = apiservers;
    administrators.auth_infos[0].auth_info = administrator.auth_infos[0].auth_info.clone();
    assert!(asked(administrators).await.is_err());
}

#[tokio::test]
async fn kwok_plays_our_nodes_and_leaves_others_alone() {
    let _undisturbed = DISTURBED.read().await;
    let sandbox = sandbox().await;
    let client = sandbox.client().await.unwrap();
    let nodes: Api<Node> = Api::all(client.clone());
    let theirs = serde_json::from_value(json!({ "metadata": { "name": "theirs" } })).unwrap();
    nodes.create(&PostParams::default(), &theirs).await.unwrap();
    sandbox.create_nodes(&["ours".into()]).await.unwrap();

    let leases: Api<Lease> = Api::namespaced(client, "kube-node-lease");
    until("a lease for our node", async || leases.get_opt("ours").await.unwrap().is_some()).await;
    assert!(leases.get_opt("theirs").await.unwrap().is_none());
    let conditions = nodes.get("theirs").await.unwrap().status.and_then(|status| status.conditions);
    assert!(!conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True"));
}

#[tokio::test]
async fn a_pod_stays_terminating_while_it_has_a_finalizer() {
    let _undisturbed = DISTURBED.read().await;
    let client = sandbox().await.client().await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client, DEMO_NAMESPACE);
    let mut held = pod("held", "worker-1");
    held.metadata.finalizers = Some(vec!["nodeward.dev/test".into()]);
    pods.create(&PostParams::default(), &held).await.unwrap();
    pods.create(&PostParams::default(), &pod("free", "worker-1")).await.unwrap();
    until("both pods running", async || running(&pods, "held").await && running(&pods, "free").await).await;
    for name in ["held", "free"] {
        pods.delete(name, &DeleteParams::default()).await.unwrap();
    }
    until("the other pod being gone", async || pods.get_opt("free").await.unwrap().is_none()).await;
    assert!(pods.get("held").await.unwrap().metadata.deletion_timestamp.is_some());

    let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    pods.patch("held", &PatchParams::default(), &free).await.unwrap();
    until("the pod being gone", async || pods.get_opt("held").await.unwrap().is_none()).await;
}

#[tokio::test]
async fn a_killed_apiserver_comes_back_at_the_same_address_with_its_data() {
    let _alone = DISTURBED.write().await;
    let sandbox = sandbox().await;
    let client = sandbox.client().await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let map = serde_json::from_value(json!({ "metadata": { "name": "kept" }, "data": { "a": "b" } })).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();

    sandbox.kill(Component::ApiServer).await.unwrap();
    assert!(!answers(&client).await);
    assert!(sandbox.pids().iter().all(|(component, _)| *component != Component::ApiServer));
    sandbox.restart(Component::ApiServer).await.unwrap();
    assert_eq!(maps.get("kept").await.unwrap().data.unwrap()["a"], "b");

    // The others have found it again: a pod is scheduled, and run.
    let pods: Api<Pod> = Api::namespaced(client, DEMO_NAMESPACE);
    let mut unbound = pod("after-apiserver-restart", "");
    unbound.spec.as_mut().unwrap().node_name = None;
    pods.create(&PostParams::default(), &unbound).await.unwrap();
    until("a pod running", async || running(&pods, "after-apiserver-restart").await).await;
}

#[tokio::test]
async fn a_paused_apiserver_hangs_until_it_is_resumed() {
    let _alone = DISTURBED.write().await;
    let sandbox = sandbox().await;
    let client = sandbox.client().await.unwrap();
    sandbox.pause(Component::ApiServer).await.unwrap();
    assert!(!answers(&client).await);
    sandbox.resume(Component::ApiServer).await.unwrap();
    until("an answer", async || answers(&client).await).await;
}

#[tokio::test]
async fn a_restarted_kwok_takes_its_nodes_over_at_once() {
    let _alone = DISTURBED.write().await;
    let sandbox = sandbox().await;
    sandbox.kill(Component::Kwok).await.unwrap();
    sandbox.restart(Component::Kwok).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(sandbox.client().await.unwrap(), DEMO_NAMESPACE);
    pods.create(&PostParams::default(), &pod("after-restart", "worker-2")).await.unwrap();
    until("a pod running", async || running(&pods, "after-restart").await).await;
}

#[tokio::test]
async fn every_component_can_be_killed_and_restarted() {
    let _alone = DISTURBED.write().await;
    let sandbox = sandbox().await;
    for component in [Component::Etcd, Component::ControllerManager, Component::Scheduler] {
        sandbox.kill(component).await.unwrap();
        sandbox.restart(component).await.unwrap();
    }
    let client = sandbox.client().await.unwrap();
    until("an answer", async || answers(&client).await).await;
}

#[tokio::test]
async fn what_runs_is_not_started_twice_and_what_is_gone_is_not_paused() {
    let _alone = DISTURBED.write().await;
    let sandbox = sandbox().await;
    let twice = sandbox.restart(Component::Scheduler).await;
    assert!(matches!(twice, Err(SandboxError::AlreadyRunning(Component::Scheduler))));
    sandbox.kill(Component::Scheduler).await.unwrap();
    let gone = sandbox.pause(Component::Scheduler).await;
    assert!(matches!(gone, Err(SandboxError::NotRunning(Component::Scheduler))));
    sandbox.restart(Component::Scheduler).await.unwrap();
}
