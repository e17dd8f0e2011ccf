//! What the update masks may name: the changeable fields and single parts of them.

use super::Target;
use crate::node::mask::{MAX_PATH_BYTES, Segment, parse_path};
use crate::node::syntax::shown;

/// A changeable field of a node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Its path in the contract.
    pub path: &'static str,
    /// Its path in Kubernetes' JSON.
    pub json: [&'static str; 2],
    pub kind: Kind,
}

/// How a field is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As a whole only.
    Whole,
    /// A map whose keys can be changed one by one.
    Map,
    /// The annotations, some of which are nodeward's own.
    Annotations,
    /// The taints, some of which controllers own.
    Taints,
    /// The conditions, which can be changed one by one.
    Conditions,
}

const fn field(path: &'static str, json: [&'static str; 2], kind: Kind) -> Field {
    Field { path, json, kind }
}

static NODE_FIELDS: [Field; 9] = [
    field("metadata.labels", ["metadata", "labels"], Kind::Map),
    field("metadata.annotations", ["metadata", "annotations"], Kind::Annotations),
    field("metadata.finalizers", ["metadata", "finalizers"], Kind::Whole),
    field("metadata.owner_references", ["metadata", "ownerReferences"], Kind::Whole),
    field("spec.taints", ["spec", "taints"], Kind::Taints),
    field("spec.unschedulable", ["spec", "unschedulable"], Kind::Whole),
    field("spec.provider_id", ["spec", "providerID"], Kind::Whole),
    field("spec.pod_cidr", ["spec", "podCIDR"], Kind::Whole),
    field("spec.pod_cidrs", ["spec", "podCIDRs"], Kind::Whole),
];

static STATUS_FIELDS: [Field; 13] = [
    field("status.capacity", ["status", "capacity"], Kind::Map),
    field("status.allocatable", ["status", "allocatable"], Kind::Map),
    field("status.phase", ["status", "phase"], Kind::Whole),
    field("status.conditions", ["status", "conditions"], Kind::Conditions),
    field("status.addresses", ["status", "addresses"], Kind::Whole),
    field("status.daemon_endpoints", ["status", "daemonEndpoints"], Kind::Whole),
    field("status.node_info", ["status", "nodeInfo"], Kind::Whole),
    field("status.images", ["status", "images"], Kind::Whole),
    field("status.volumes_in_use", ["status", "volumesInUse"], Kind::Whole),
    field("status.volumes_attached", ["status", "volumesAttached"], Kind::Whole),
    field("status.runtime_handlers", ["status", "runtimeHandlers"], Kind::Whole),
    field("status.features", ["status", "features"], Kind::Whole),
    field("status.declared_features", ["status", "declaredFeatures"], Kind::Whole),
];

/// What one path of an update mask names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A field as a whole.
    Field(&'static Field),
    /// A single key of a map.
    Key(&'static Field, String),
    /// The taint of this key and effect.
    Taint { key: String, effect: String },
    /// The condition of this type.
    Condition(String),
}

/// All changeable fields.
pub(super) fn changeable(target: Target) -> &'static [Field] {
    match target {
        Target::Node => &NODE_FIELDS,
        Target::Status => &STATUS_FIELDS,
    }
}

/// The parts that a path of an update mask names: several for `*` only.
///
/// # Errors
/// What is wrong with the path, and what may be named instead.
pub(super) fn parts(path: &str, target: Target) -> Result<Vec<Part>, String> {
    if path == "*" {
        return Ok(changeable(target).iter().map(Part::Field).collect());
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(format!("{} is too long: a path has at most {MAX_PATH_BYTES} bytes", shown(path)));
    }
    let segments = parse_path(path)?;
    let part = match segments.as_slice() {
        [Segment::Name(parent), Segment::Name(name)] => find(parent, name, target).map(Part::Field),
        [Segment::Name(parent), Segment::Name(name), key] => match find(parent, name, target) {
            Some(field) => single_part(field, key, path)?,
            None => None,
        },
        _ => None,
    };
    part.map(|part| vec![part]).ok_or_else(|| unchangeable(path, target))
}

fn single_part(field: &'static Field, key: &Segment, path: &str) -> Result<Option<Part>, String> {
    let Some(key) = key.key() else {
        // All keys or elements are the field.
        return Ok((field.kind != Kind::Whole).then_some(Part::Field(field)));
    };
    match field.kind {
        Kind::Whole => Ok(None),
        Kind::Map | Kind::Annotations => Ok(Some(Part::Key(field, key.to_owned()))),
        Kind::Conditions => Ok(Some(Part::Condition(key.to_owned()))),
        Kind::Taints => {
            let (key, effect) = key.rsplit_once(':').ok_or_else(|| {
                format!(
                    "{} is not a taint: name its key and effect, as in spec.taints.`dedicated:NoSchedule`",
                    shown(path)
                )
            })?;
            Ok(Some(Part::Taint { key: key.to_owned(), effect: effect.to_owned() }))
        }
    }
}

fn find(parent: &str, name: &str, target: Target) -> Option<&'static Field> {
    let path = format!("{parent}.{}", snake_case(name));
    changeable(target).iter().find(|field| field.path == path)
}

/// The contract's spelling of a field that is spelled as in JSON.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

fn unchangeable(path: &str, target: Target) -> String {
    let fields: Vec<&str> = changeable(target).iter().map(|field| field.path).collect();
    let (rpc, single) = match target {
        Target::Node => (
            "UpdateNode",
            "a single label, annotation or taint, as in metadata.labels.`example.com/team` or \
             spec.taints.`dedicated:NoSchedule`",
        ),
        Target::Status => (
            "UpdateNodeStatus",
            "a single resource or condition, as in status.capacity.`example.com/gpu` or status.conditions.KernelDeadlock",
        ),
    };
    format!("{} can't be changed by {rpc}: name {}, {single}, or `*` for all of these", shown(path), fields.join(", "))
}
