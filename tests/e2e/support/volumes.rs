//! Volumes that are attached to nodes, since a drain can wait for them.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{from_value, json};

use super::shape::Shape;
use super::workload::Workload;
use super::{eventually, unique};

/// A CSI driver that nobody runs.
const DRIVER: &str = "volumes.test.nodeward.dev";

/// A volume of a pod, which is attached to a node by hand, since no driver does.
pub struct Attached {
    /// The name of the PersistentVolume.
    pub name: String,
    client: Client,
}

impl Attached {
    /// A volume that is attached to this node, and that a claim of this name in the namespace is bound to.
    pub async fn to(client: &Client, node: &str, workload: &Workload, claim: &str) -> Self {
        let attached = Self { name: unique("volume"), client: client.clone() };
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
    pub async fn detach(&self) {
        let attachments = self.attachments();
        attachments.delete(&self.name, &DeleteParams::default()).await.unwrap();
        let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        attachments.patch(&self.name, &PatchParams::default(), &free).await.unwrap();
        eventually("it is detached", async || self.attachment().await.is_none().then_some(())).await;
    }

    /// That it is attached, as Kubernetes has it.
    pub async fn attachment(&self) -> Option<VolumeAttachment> {
        self.attachments().get_opt(&self.name).await.unwrap()
    }

    fn attachments(&self) -> Api<VolumeAttachment> {
        Api::all(self.client.clone())
    }
}

/// A pod with the volume that this claim is bound to.
pub fn with_volume(claim: &str) -> Shape {
    let volume = json!({ "name": "data", "persistentVolumeClaim": { "claimName": claim } });
    Shape::of("db").grace(1).spec("volumes", json!([volume]))
}
