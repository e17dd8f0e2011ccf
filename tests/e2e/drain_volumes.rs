//! Drains that wait until the volumes of the pods that they have removed are detached.

use nodeward_server::drain::{Blocker, DrainPolicy, PodState, PodVolumes};

use crate::support::draining::{Draining, any_pod, empty_node, workload};
use crate::support::volumes::{Attached, with_volume};
use crate::support::workload::Workload;
use crate::support::world;

fn waiting() -> DrainPolicy {
    DrainPolicy { volumes: PodVolumes::WaitDetached, ..any_pod() }
}

async fn attached(node: &str, workload: &Workload) -> Attached {
    Attached::to(&world().await.sandbox.client().await.unwrap(), node, workload, "data").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_has_gone_is_waited_for_until_its_volume_is_detached() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    let volume = attached(&node, &workload).await;
    workload.ready_shaped_pod("db", &with_volume("data"), &node).await;
    let draining = Draining::begin(&node, waiting()).await;
    let blocker = draining.blocker("db", |blocker| matches!(blocker, Blocker::VolumeAttached { .. })).await;
    assert_eq!(blocker, Blocker::VolumeAttached { volumes: vec![volume.name.clone()] });
    assert!(workload.find("db").await.is_none());
    draining.blocked().await;

    volume.detach().await;
    let done = draining.succeeded().await;
    assert_eq!((done.pods[0].state, &done.pods[0].blocker), (PodState::Gone, &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_are_not_waited_for_unless_the_policy_says_so() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    let volume = attached(&node, &workload).await;
    workload.ready_shaped_pod("db", &with_volume("data"), &node).await;
    Draining::begin(&node, any_pod()).await.succeeded().await;
    let attachment = volume.attachment().await.unwrap();
    assert!(attachment.status.is_some_and(|status| status.attached));
    volume.detach().await;
}
