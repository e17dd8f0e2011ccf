//! The fields that a filter can name, and where they stand in a Kubernetes node.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeSystemInfo};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// A field: its name in a filter, and its path in the contract's Node if it has one of its own, which may be written too.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) path: Option<&'static str>,
    pub(super) kind: Kind,
}

/// What a field holds, and so what it can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text(TextField),
    /// A text that is a version when it is compared by `<` and its like.
    Version(TextField),
    Flag(Flag),
    Readiness,
    SchedulingState,
    CreateTime,
    Texts(TextMap),
    Amounts(AmountMap),
    Conditions,
    Taints,
    Addresses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextField {
    Name,
    Uid,
    ProviderId,
    PodCidr,
    Zone,
    Region,
    InstanceType,
    Architecture,
    OperatingSystem,
    OsImage,
    KubeletVersion,
    KernelVersion,
    ContainerRuntimeVersion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Ready,
    Cordoned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextMap {
    Labels,
    Annotations,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AmountMap {
    Capacity,
    Allocatable,
}

const fn field(name: &'static str, path: Option<&'static str>, kind: Kind) -> Field {
    Field { name, path, kind }
}

/// All fields. Of two names for one kind the first is printed.
pub(super) static FIELDS: &[Field] = &[
    field("name", None, Kind::Text(TextField::Name)),
    field("labels", Some("metadata.labels"), Kind::Texts(TextMap::Labels)),
    field("annotations", Some("metadata.annotations"), Kind::Texts(TextMap::Annotations)),
    field("taints", Some("spec.taints"), Kind::Taints),
    field("ready", None, Kind::Flag(Flag::Ready)),
    field("readiness", Some("readiness.state"), Kind::Readiness),
    field("cordoned", None, Kind::Flag(Flag::Cordoned)),
    field("unschedulable", Some("spec.unschedulable"), Kind::Flag(Flag::Cordoned)),
    field("scheduling_state", None, Kind::SchedulingState),
    field("conditions", Some("status.conditions"), Kind::Conditions),
    field("zone", None, Kind::Text(TextField::Zone)),
    field("region", None, Kind::Text(TextField::Region)),
    field("instance_type", None, Kind::Text(TextField::InstanceType)),
    field("capacity", Some("status.capacity"), Kind::Amounts(AmountMap::Capacity)),
    field("allocatable", Some("status.allocatable"), Kind::Amounts(AmountMap::Allocatable)),
    field("create_time", Some("metadata.creation_timestamp"), Kind::CreateTime),
    field("uid", Some("metadata.uid"), Kind::Text(TextField::Uid)),
    field("provider_id", Some("spec.provider_id"), Kind::Text(TextField::ProviderId)),
    field("addresses", Some("status.addresses"), Kind::Addresses),
    field("pod_cidr", Some("spec.pod_cidr"), Kind::Text(TextField::PodCidr)),
    field("kubelet_version", Some("status.node_info.kubelet_version"), Kind::Version(TextField::KubeletVersion)),
    field("kernel_version", Some("status.node_info.kernel_version"), Kind::Version(TextField::KernelVersion)),
    field(
        "container_runtime_version",
        Some("status.node_info.container_runtime_version"),
        Kind::Version(TextField::ContainerRuntimeVersion),
    ),
    field("os_image", Some("status.node_info.os_image"), Kind::Text(TextField::OsImage)),
    field("operating_system", Some("status.node_info.operating_system"), Kind::Text(TextField::OperatingSystem)),
    field("architecture", Some("status.node_info.architecture"), Kind::Text(TextField::Architecture)),
];

impl Kind {
    /// The name under which the field is printed.
    pub(super) fn name(self) -> &'static str {
        FIELDS.iter().find(|field| field.kind == self).map_or("", |field| field.name)
    }
}

impl TextField {
    pub(super) fn name(self) -> &'static str {
        FIELDS
            .iter()
            .find(|field| matches!(field.kind, Kind::Text(text) | Kind::Version(text) if text == self))
            .map_or("", |field| field.name)
    }

    /// The text of the node, `None` if it is absent or empty, which Kubernetes does not tell apart.
    pub(super) fn of(self, node: &Node) -> Option<&str> {
        let spec = node.spec.as_ref();
        let info = |text: fn(&NodeSystemInfo) -> &String| node.status.as_ref()?.node_info.as_ref().map(text);
        let text = match self {
            TextField::Name => node.metadata.name.as_ref(),
            TextField::Uid => node.metadata.uid.as_ref(),
            TextField::ProviderId => spec.and_then(|spec| spec.provider_id.as_ref()),
            TextField::PodCidr => spec.and_then(|spec| spec.pod_cidr.as_ref()),
            TextField::Zone => label(node, "topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"),
            TextField::Region => {
                label(node, "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
            }
            TextField::InstanceType => {
                label(node, "node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
            }
            TextField::Architecture => info(|info| &info.architecture),
            TextField::OperatingSystem => info(|info| &info.operating_system),
            TextField::OsImage => info(|info| &info.os_image),
            TextField::KubeletVersion => info(|info| &info.kubelet_version),
            TextField::KernelVersion => info(|info| &info.kernel_version),
            TextField::ContainerRuntimeVersion => info(|info| &info.container_runtime_version),
        };
        text.map(String::as_str).filter(|text| !text.is_empty())
    }
}

/// A label of <https://kubernetes.io/docs/reference/labels-annotations-taints/>, or the deprecated one that it replaced.
fn label<'a>(node: &'a Node, key: &str, deprecated: &str) -> Option<&'a String> {
    let labels = node.metadata.labels.as_ref()?;
    labels.get(key).or_else(|| labels.get(deprecated))
}

impl TextMap {
    pub(super) fn of(self, node: &Node) -> Option<&BTreeMap<String, String>> {
        match self {
            TextMap::Labels => node.metadata.labels.as_ref(),
            TextMap::Annotations => node.metadata.annotations.as_ref(),
        }
    }
}

impl AmountMap {
    pub(super) fn of(self, node: &Node) -> Option<&BTreeMap<String, Quantity>> {
        let status = node.status.as_ref()?;
        match self {
            AmountMap::Capacity => status.capacity.as_ref(),
            AmountMap::Allocatable => status.allocatable.as_ref(),
        }
    }
}
