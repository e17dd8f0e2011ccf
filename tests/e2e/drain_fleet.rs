//! Many nodes drained at once: no pod is lost, and no budget is violated at any moment.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::support::crash::{
    Ground, Replica, Witness, asked, assert_coherent, deployment, drain, healthy, label, times,
};
use crate::support::workload::Workload;

const NODES: usize = 50;

/// How many nodes the pods can move to: of each, at most 110 pods run there.
const SPARES: usize = 10;

const APPS: usize = 8;

/// The label of the nodes on which the pods may be.
const POOL: &str = "example.com/fleet";

#[tokio::test(flavor = "multi_thread")]
async fn fifty_nodes_that_are_drained_at_once_lose_no_pod_and_violate_no_budget() {
    let ground = &Ground::start(SPARES).await;
    let client = ground.client().await;
    let names: Vec<String> = (0..NODES).map(|number| format!("fleet-{number:02}")).collect();
    ground.sandbox.create_nodes(&names).await.unwrap();
    join_all(names.iter().map(|name| label(&client, name, json!({ POOL: "" })))).await;

    let replicas = NODES * times(4, 10) / APPS;
    let needed = replicas * 4 / 5;
    let workload = Workload::new(client.clone(), "fleet").await;
    let apps: Vec<String> = (0..APPS).map(|number| format!("app-{number}")).collect();
    let mut leaving = BTreeSet::new();
    for app in &apps {
        deployment(&client, &workload.namespace, app, (replicas, "50ms"), &json!({ POOL: "" })).await;
    }
    for app in &apps {
        leaving.extend(healthy(&workload.pods(), app, replicas).await);
        let [needed, replicas] = [needed, replicas].map(|count| i32::try_from(count).unwrap());
        workload.budget(app, app, needed, replicas).await;
    }
    for spare in 1..=SPARES {
        label(&client, &format!("worker-{spare}"), json!({ POOL: "" })).await;
    }
    let budgets: BTreeMap<String, usize> = apps.iter().map(|app| (app.clone(), needed)).collect();
    let witness = Witness::of(workload.pods(), budgets, BTreeSet::new()).await;

    let _server = Replica::start_steady(ground).await.leads().await;
    let stories = join_all(names.iter().map(|name| drain(ground, &client, name))).await;
    for story in &stories {
        assert_coherent(&story.to_its_end().await);
    }
    for app in &apps {
        healthy(&workload.pods(), app, replicas).await;
    }
    witness.assert_content();
    let nodes = Api::<Node>::all(client);
    for name in &names {
        assert_eq!(nodes.get(name).await.unwrap().spec.unwrap().unschedulable, Some(true));
    }
    let on_drained = |pod: &k8s_openapi::api::core::v1::Pod| {
        pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()).is_some_and(|node| names.contains(node))
    };
    let left: Vec<_> = witness.pods().into_iter().filter(on_drained).map(|pod| pod.name_any()).collect();
    assert!(left.is_empty(), "{left:?}");
    let asked = asked(ground);
    let removed: Vec<&str> = asked.iter().filter(|it| it.is_removal() && it.is_done()).map(|it| &*it.uid).collect();
    let distinct: BTreeSet<&str> = removed.iter().copied().collect();
    assert_eq!(removed.len(), distinct.len(), "a pod was removed twice");
    // Of a removal whose answer was lost it is not known whether it was carried out: it was asked for.
    let asked_for: BTreeSet<&str> = asked.iter().filter(|it| it.is_removal()).map(|it| &*it.uid).collect();
    let others: Vec<&String> = leaving.iter().filter(|uid| !asked_for.contains(&***uid)).collect();
    assert!(others.is_empty(), "pods that nodeward was to remove went without it: {others:?}");
}
