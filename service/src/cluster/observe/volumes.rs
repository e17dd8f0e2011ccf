//! Which PersistentVolumes claims are bound to, and which are attached to nodes.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::VolumeAttachment;

use super::{Observer, View};

/// A live view of volumes.
#[derive(Clone, Debug)]
pub struct Volumes {
    /// All attachments: Kubernetes can't tell those of one node.
    attachments: View<VolumeAttachment>,
    /// All claims.
    claims: View<PersistentVolumeClaim>,
}

impl Observer {
    /// All volumes.
    pub fn volumes(&self) -> Volumes {
        Volumes { attachments: self.attachments.view(), claims: self.claims.view() }
    }
}

impl Volumes {
    /// Waits until all has been read once.
    pub async fn in_sync(&self) {
        tokio::join!(self.attachments.in_sync(), self.claims.in_sync());
    }

    /// Waits for a change of anything, as `View::changed` does.
    pub async fn changed(&mut self) {
        tokio::select! {
            () = self.attachments.changed() => {}
            () = self.claims.changed() => {}
        }
    }

    /// The volumes that are attached to a node.
    pub fn attached_to(&self, node: &str) -> impl Iterator<Item = String> {
        let attachments = self.attachments.all().into_iter();
        attachments.filter_map(move |attachment| {
            let is_attached = attachment.status.as_ref().is_some_and(|status| status.attached);
            let is_here = is_attached && attachment.spec.node_name == node;
            attachment.spec.source.persistent_volume_name.clone().filter(|_| is_here)
        })
    }

    /// The volume that a claim is bound to.
    pub fn bound_to(&self, namespace: &str, claim: &str) -> Option<String> {
        self.claims.get(namespace, claim)?.spec.as_ref()?.volume_name.clone().filter(|volume| !volume.is_empty())
    }
}
