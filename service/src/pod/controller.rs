//! Who would replace a pod.

use k8s_openapi::api::core::v1::Pod;

/// The object that controls a pod, as the pod says. Whether it exists is another question.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Controller {
    /// The API group and version of the kind: `apps/v1`.
    pub api_version: String,
    /// `ReplicaSet`, `DaemonSet`, `Job`, or anything else.
    pub kind: String,
    /// Its name. It is in the pod's namespace, unless its kind is of the whole cluster, like that of nodes.
    pub name: String,
    /// Tells it from others that had its name.
    pub uid: String,
}

impl Controller {
    /// The controller of a pod: the first owner that says of itself that it is one (`metav1.GetControllerOf`).
    pub fn of(pod: &Pod) -> Option<Self> {
        let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
        let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
        Some(Self {
            api_version: owner.api_version.clone(),
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        })
    }

    /// Whether it is a DaemonSet of Kubernetes itself. Others have kinds of that name too (`apps.kruise.io/v1alpha1`), and
    /// `kubectl drain` takes their pods for ordinary ones, since it knows nothing of what they do.
    pub fn is_daemon_set(&self) -> bool {
        self.kind == "DaemonSet" && self.api_version == "apps/v1"
    }

    /// Whether it is a StatefulSet, which replaces a pod only when that is gone.
    pub fn is_stateful_set(&self) -> bool {
        self.kind == "StatefulSet" && self.api_version == "apps/v1"
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::pod;
    use super::*;

    #[test]
    fn the_controller_is_the_first_owner_that_says_so() {
        let mut pod = pod("web").owned_by("apps/v1", "ReplicaSet", "web").build();
        pod.metadata.owner_references.as_mut().unwrap()[0].controller = Some(false);
        assert_eq!(Controller::of(&pod), None);

        let first = pod.metadata.owner_references.as_ref().unwrap()[0].clone();
        for name in ["second", "third"] {
            let mut owner = first.clone();
            owner.controller = Some(true);
            owner.name = name.into();
            pod.metadata.owner_references.as_mut().unwrap().push(owner);
        }
        assert_eq!(Controller::of(&pod).unwrap().name, "second");
    }

    #[test]
    fn only_the_kind_of_kubernetes_is_a_daemon_set() {
        for (api_version, kind, expected) in [
            ("apps/v1", "DaemonSet", true),
            ("apps.kruise.io/v1alpha1", "DaemonSet", false),
            ("extensions/v1beta1", "DaemonSet", false),
            ("apps/v1", "ReplicaSet", false),
        ] {
            let controller = Controller::of(&pod("p").owned_by(api_version, kind, "x").build()).unwrap();
            assert_eq!(controller.is_daemon_set(), expected, "{api_version} {kind}");
        }
    }
}
