//! Kubernetes has too much to do: what its callers are told.

use futures::future::join_all;
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use kube::Api;
use kube::api::PostParams;
use nodeward_api::v1::CordonNodeRequest;
use nodeward_sandbox::{ClientCertificate, Subject};
use serde_json::json;
use tokio::time::Duration;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::guarded::guarded;
use crate::support::{assert_error, eventually, unique, world};

/// From now on Kubernetes' priority and fairness has no place for what this user does to nodes.
async fn leave_no_place_for(user: &str) {
    let client = world().await.sandbox.client().await.unwrap();
    let limited = json!({
        "nominalConcurrencyShares": 0,
        "lendablePercent": 0,
        "borrowingLimitPercent": 0,
        "limitResponse": { "type": "Reject" },
    });
    let level = json!({ "metadata": { "name": user }, "spec": { "type": "Limited", "limited": limited } });
    let resources = json!([{ "verbs": ["patch"], "apiGroups": [""], "resources": ["nodes"], "clusterScope": true }]);
    let subjects = json!([{ "kind": "User", "user": { "name": user } }]);
    let schema = json!({
        "metadata": { "name": user },
        "spec": {
            "priorityLevelConfiguration": { "name": user },
            "matchingPrecedence": 100,
            "rules": [{ "subjects": subjects, "resourceRules": resources }],
        },
    });
    let (levels, schemas): (Api<PriorityLevelConfiguration>, Api<FlowSchema>) =
        (Api::all(client.clone()), Api::all(client));
    levels.create(&PostParams::default(), &serde_json::from_value(level).unwrap()).await.unwrap();
    schemas.create(&PostParams::default(), &serde_json::from_value(schema).unwrap()).await.unwrap();
}

/// Kubernetes asks for a second at first, and for more while it is not heeded.
#[tokio::test]
async fn a_caller_whom_kubernetes_asks_to_slow_down_is_told_for_how_long() {
    let guarded = guarded().await;
    let node = guarded.node("throttled").await;
    let name = unique("hasty");
    world().await.sandbox.bind(&Subject::user(&name), "nodeward-operator").await.unwrap();
    leave_no_place_for(&name).await;
    let client = guarded.with(ClientCertificate::of(&name)).await.client();
    let cordon =
        CordonNodeRequest { name: format!("nodes/{node}"), validate_only: true, ..CordonNodeRequest::default() };

    // One at a time has a place all the same.
    let refused = eventually("Kubernetes asks for a longer pause", async || {
        let calls = (0..16).map(|_| {
            let (mut client, cordon) = (client.clone(), cordon.clone());
            async move { client.cordon_node(cordon).await.err() }
        });
        let is_long = |refused: &Status| {
            let wait = refused.get_details_retry_info().and_then(|info| info.retry_delay);
            wait.is_some_and(|wait| wait > Duration::from_secs(1))
        };
        join_all(calls).await.into_iter().flatten().find(is_long)
    })
    .await;
    assert_error(Err::<(), _>(refused), Code::Unavailable, "CLUSTER_THROTTLED");
}
