//! Which pod is meant.

use std::fmt;

use k8s_openapi::api::core::v1::Pod;

/// A pod. Its name alone is not enough: a StatefulSet gives the replacement the same one, perhaps on another node.
///
/// In the order of namespaces, names and uids.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodReference {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Tells it from all other pods that ever had its name.
    pub uid: String,
}

impl PodReference {
    /// The reference to a pod.
    pub fn of(pod: &Pod) -> Self {
        let metadata = &pod.metadata;
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
        }
    }
}

/// As kubectl writes it: `namespace/name`.
impl fmt::Display for PodReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
