//! What is kept of objects in memory: what drains read, and nothing else.

use k8s_openapi::api::core::v1::{
    Container, EphemeralContainer, Node, PersistentVolumeClaim, PersistentVolumeClaimSpec, Pod,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::VolumeAttachment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;

/// Where kubectl notes the whole object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What of an object of this kind nobody reads.
pub trait Keep: Sized {
    /// Drops it.
    fn drop_unread(&mut self);

    /// The object without it.
    fn kept(mut self) -> Self {
        self.drop_unread();
        self
    }
}

impl Keep for Pod {
    /// Of the containers there stays what the scheduler counts: how they are made and run takes most of a pod's room.
    fn drop_unread(&mut self) {
        drop_from_metadata(&mut self.metadata);
        if let Some(spec) = &mut self.spec {
            let containers = spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten());
            containers.for_each(|container| *container = counted(std::mem::take(container)));
            spec.ephemeral_containers.iter_mut().flatten().for_each(|container| *container = named(container));
        }
        let status = self.status.iter_mut();
        let containers =
            status.flat_map(|status| [&mut status.container_statuses, &mut status.init_container_statuses]);
        for status in containers.flatten().flatten() {
            status.volume_mounts = None;
            status.last_state = None;
        }
    }
}

impl Keep for Node {
    fn drop_unread(&mut self) {
        drop_from_metadata(&mut self.metadata);
        if let Some(status) = &mut self.status {
            status.images = None;
        }
    }
}

impl Keep for PodDisruptionBudget {
    fn drop_unread(&mut self) {
        drop_from_metadata(&mut self.metadata);
    }
}

impl Keep for PersistentVolumeClaim {
    fn drop_unread(&mut self) {
        drop_all_but_what_it_is(&mut self.metadata);
        let volume_name = self.spec.take().and_then(|spec| spec.volume_name);
        self.spec = Some(PersistentVolumeClaimSpec { volume_name, ..PersistentVolumeClaimSpec::default() });
        self.status = None;
    }
}

impl Keep for VolumeAttachment {
    fn drop_unread(&mut self) {
        drop_all_but_what_it_is(&mut self.metadata);
        self.spec.source.inline_volume_spec = None;
        if let Some(status) = &mut self.status {
            (status.attachment_metadata, status.attach_error, status.detach_error) = (None, None, None);
        }
    }
}

impl<K> Keep for PartialObjectMeta<K> {
    fn drop_unread(&mut self) {
        drop_from_metadata(&mut self.metadata);
        self.metadata.annotations = None;
    }
}

fn drop_all_but_what_it_is(metadata: &mut ObjectMeta) {
    let ObjectMeta { namespace, name, uid, resource_version, .. } = std::mem::take(metadata);
    *metadata = ObjectMeta { namespace, name, uid, resource_version, ..ObjectMeta::default() };
}

fn drop_from_metadata(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

/// What counts of a container for finding it a place.
fn counted(container: Container) -> Container {
    let Container { name, image, ports, resources, resize_policy, restart_policy, .. } = container;
    Container { name, image, ports, resources, resize_policy, restart_policy, ..Container::default() }
}

fn named(container: &EphemeralContainer) -> EphemeralContainer {
    EphemeralContainer { name: container.name.clone(), ..EphemeralContainer::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn kept(object: Value) -> Value {
        let mut pod: Pod = serde_json::from_value(object).unwrap();
        pod.drop_unread();
        serde_json::to_value(pod).unwrap()
    }

    #[test]
    fn what_a_drain_reads_of_a_pod_stays() {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "a", "namespace": "b", "uid": "c", "resourceVersion": "1", "labels": { "app": "web" },
                "annotations": { "kubernetes.io/config.mirror": "" }, "finalizers": ["x"],
                "deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 5,
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "d", "controller": true }],
            },
            "spec": {
                "nodeName": "worker-1", "priority": 1000, "priorityClassName": "high", "terminationGracePeriodSeconds": 9,
                "nodeSelector": { "a": "b" }, "tolerations": [{ "key": "a", "operator": "Exists" }],
                "overhead": { "cpu": "1" }, "volumes": [{ "name": "scratch", "emptyDir": {} }],
                "containers": [{
                    "name": "main", "image": "x", "resources": { "requests": { "cpu": "1" } },
                    "ports": [{ "containerPort": 1, "hostPort": 2 }],
                }],
                "initContainers": [{ "name": "sidecar", "restartPolicy": "Always" }],
            },
            "status": {
                "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }],
                "containerStatuses": [{
                    "name": "main", "image": "x", "imageID": "", "ready": false, "restartCount": 7,
                    "state": { "waiting": { "reason": "CrashLoopBackOff" } },
                }],
            },
        });
        assert_eq!(kept(pod.clone()), pod);
    }

    #[test]
    fn of_a_claim_there_stays_its_volume_and_of_an_attachment_whether_it_is_one() {
        let metadata =
            json!({ "name": "a", "namespace": "b", "uid": "c", "resourceVersion": "1", "labels": { "d": "e" } });
        let kept = json!({ "name": "a", "namespace": "b", "uid": "c", "resourceVersion": "1" });
        let spec = json!({ "volumeName": "pv", "storageClassName": "fast" });
        let claim = json!({ "metadata": metadata, "spec": spec, "status": { "phase": "Bound" } });
        let mut claim: PersistentVolumeClaim = serde_json::from_value(claim).unwrap();
        claim.drop_unread();
        let claim = serde_json::to_value(claim).unwrap();
        assert_eq!((&claim["metadata"], &claim["spec"]), (&kept, &json!({ "volumeName": "pv" })));

        let spec = json!({ "attacher": "x", "nodeName": "worker-1", "source": { "persistentVolumeName": "pv" } });
        let status = json!({ "attached": true, "attachmentMetadata": { "path": "/dev/a" } });
        let attachment = json!({ "metadata": metadata, "spec": spec, "status": status });
        let mut attachment: VolumeAttachment = serde_json::from_value(attachment).unwrap();
        attachment.drop_unread();
        let attachment = serde_json::to_value(attachment).unwrap();
        assert_eq!((&attachment["metadata"], &attachment["spec"]), (&kept, &spec));
        assert_eq!(attachment["status"], json!({ "attached": true }));
    }

    #[test]
    fn what_takes_room_and_is_not_read_goes() {
        let container = json!({
            "name": "main", "env": [{ "name": "A", "value": "b" }], "command": ["sh"], "args": ["-c"],
            "volumeMounts": [{ "name": "a", "mountPath": "/a" }], "livenessProbe": { "exec": { "command": ["true"] } },
        });
        let pod = kept(json!({
            "metadata": {
                "managedFields": [{ "manager": "kubelet" }],
                "annotations": { LAST_APPLIED: "{}", "other": "stays" },
            },
            "spec": { "containers": [container] },
        }));
        assert_eq!(pod["metadata"], json!({ "annotations": { "other": "stays" } }));
        assert_eq!(pod["spec"]["containers"], json!([{ "name": "main" }]));
    }
}
