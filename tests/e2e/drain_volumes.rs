//! Drains that wait until the volumes of the pods that they have removed are detached.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use nodeward_server::drain::{Blocker, DrainPolicy, PodState, PodVolumes};
use serde_json::{from_value, json};

use crate::support::draining::{Draining, any_pod, empty_node, workload};
use crate::support::shape::Shape;
use crate::support::workload::Workload;
use crate::support::{eventually, unique, world};

/// A CSI driver that nobody runs.
const DRIVER: &str = "volumes.test.nodeward.dev";

/// A volume of a pod, which is attached to a node by hand, since no driver does.
struct Attached {
    name: String,
    client: Client,
}

impl Attached {
    /// A volume that is attached to this node, and that a claim of this name in the namespace is bound to.
    async fn to(node: &str, workload: &Workload, claim: &str) -> Self {
        let attached = Self { name: unique("volume"), client: world().await.sandbox.client().await.unwrap() };
        attached.bind(workload, claim).await;
        attached.attach(node).await;
        attached
    }

    async fn bind(&self, workload: &Workload, claim: &str) {
        let size = json!({ "storage": "1Gi" });
        let claimed_by = json!({ "kind": "PersistentVolumeClaim", "namespace": workload.namespace, "name": claim });
        let volume = json!({
            "metadata": { "name": self.name },
            "spec": {
                "accessModes": ["ReadWriteOnce"], "capacity": size, "storageClassName": "",
                "persistentVolumeReclaimPolicy": "Retain", "claimRef": claimed_by,
                "csi": { "driver": DRIVER, "volumeHandle": self.name },
            },
        });
        let volumes: Api<PersistentVolume> = Api::all(self.client.clone());
        volumes.create(&PostParams::default(), &from_value(volume).unwrap()).await.unwrap();
        let claimed = json!({
            "metadata": { "name": claim },
            "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": { "requests": size }, "storageClassName": "",
                "volumeName": self.name,
            },
        });
        let claims = workload.all::<PersistentVolumeClaim>();
        claims.create(&PostParams::default(), &from_value(claimed).unwrap()).await.unwrap();
    }

    /// As its driver would. The finalizer keeps the controller from detaching it, as that of a driver does.
    async fn attach(&self, node: &str) {
        let attachment = json!({
            "metadata": { "name": self.name, "finalizers": ["volumes.test.nodeward.dev/attacher"] },
            "spec": { "attacher": DRIVER, "nodeName": node, "source": { "persistentVolumeName": self.name } },
        });
        let attachments = self.attachments();
        attachments.create(&PostParams::default(), &from_value(attachment).unwrap()).await.unwrap();
        let status = Patch::Merge(json!({ "status": { "attached": true } }));
        attachments.patch_status(&self.name, &PatchParams::default(), &status).await.unwrap();
    }

    /// As its driver would.
    async fn detach(&self) {
        let attachments = self.attachments();
        attachments.delete(&self.name, &DeleteParams::default()).await.unwrap();
        let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        attachments.patch(&self.name, &PatchParams::default(), &free).await.unwrap();
        eventually("it is detached", async || attachments.get_opt(&self.name).await.unwrap().is_none().then_some(()))
            .await;
    }

    fn attachments(&self) -> Api<VolumeAttachment> {
        Api::all(self.client.clone())
    }
}

/// A pod with a volume.
fn with_volume(claim: &str) -> Shape {
    let volume = json!({ "name": "data", "persistentVolumeClaim": { "claimName": claim } });
    Shape::of("db").grace(1).spec("volumes", json!([volume]))
}

fn waiting() -> DrainPolicy {
    DrainPolicy { volumes: PodVolumes::WaitDetached, ..any_pod() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_has_gone_is_waited_for_until_its_volume_is_detached() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    let volume = Attached::to(&node, &workload, "data").await;
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
    let volume = Attached::to(&node, &workload, "data").await;
    workload.ready_shaped_pod("db", &with_volume("data"), &node).await;
    Draining::begin(&node, any_pod()).await.succeeded().await;
    let attachment = volume.attachments().get(&volume.name).await.unwrap();
    assert!(attachment.status.is_some_and(|status| status.attached));
    volume.detach().await;
}
