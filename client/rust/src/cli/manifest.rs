//! Kubernetes' manifests of nodes as nodes of the contract. Every field is known here or named in an error: a typing error
//! must not become a node without the field.

use nodeward_client::api::{Node, NodeSpec, ObjectMeta, OwnerReference, Taint};
use serde_json::{Map, Value};

use crate::failure::Failure;
use fields::Fields;

mod fields;
mod status;

/// What the server fills in. A manifest that was read from a cluster has it; it is not taken over.
const SERVER_FIELDS: [&str; 9] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
    "namespace",
];

/// The prefix of the annotations that nodeward keeps for itself, and takes from nobody.
const OWN_PREFIX: &str = "nodeward.dev/";

/// A node to create, and what of its manifest is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Its name.
    pub name: String,
    /// Its metadata, spec and status.
    pub node: Node,
    /// The paths of the fields that are left out.
    pub ignored: Vec<String>,
}

/// The nodes of a document: one, or those of a list.
pub fn nodes(document: Value, source: &str) -> Result<Vec<Manifest>, Failure> {
    let Value::Object(object) = document else {
        return Err(Failure::Input(format!("{source}: a manifest must be an object")));
    };
    match kind(&object) {
        "v1/Node" => Ok(vec![node(object, source)?]),
        "v1/List" | "v1/NodeList" => {
            let Some(Value::Array(items)) = object.into_iter().find(|(key, _)| key == "items").map(|(_, items)| items)
            else {
                return Err(Failure::Input(format!("{source}: the list has no items")));
            };
            let nodes: Result<Vec<_>, _> = items.into_iter().map(|item| nodes(item, source)).collect();
            Ok(nodes?.into_iter().flatten().collect())
        }
        _ if object.contains_key("name") => Err(Failure::Input(format!(
            "{source}: this is a node as nodeward shows it; create takes a manifest of Kubernetes (apiVersion: v1, kind: Node)"
        ))),
        _ => {
            let text = |key| object.get(key).and_then(Value::as_str).unwrap_or("none");
            let (version, kind) = (text("apiVersion"), text("kind"));
            Err(Failure::Input(format!("{source}: apiVersion {version} and kind {kind} are not v1 and Node")))
        }
    }
}

fn kind(object: &Map<String, Value>) -> &'static str {
    let text = |key| object.get(key).and_then(Value::as_str);
    match (text("apiVersion"), text("kind")) {
        (Some("v1"), Some("Node")) => "v1/Node",
        (Some("v1"), Some("NodeList")) => "v1/NodeList",
        (Some("v1"), Some("List")) => "v1/List",
        _ => "",
    }
}

fn node(object: Map<String, Value>, source: &str) -> Result<Manifest, Failure> {
    let mut fields = Fields::new(object);
    fields.drop("apiVersion");
    fields.drop("kind");
    let (name, metadata) = fields.nested("metadata", self::metadata).unwrap_or_default();
    let spec = fields.nested("spec", self::spec);
    let status = fields.nested("status", status::status);
    if name.as_ref().is_none_or(String::is_empty) {
        fields.problem("metadata.name is required");
    }
    let (problems, ignored) = fields.finish();
    if !problems.is_empty() {
        return Err(Failure::Input(format!("{source}: {}", problems.join("\n  "))));
    }
    Ok(Manifest {
        name: name.unwrap_or_default(),
        node: Node { metadata: Some(metadata), spec, status, ..Node::default() },
        ignored,
    })
}

fn metadata(fields: &mut Fields) -> (Option<String>, ObjectMeta) {
    for field in SERVER_FIELDS {
        fields.ignore(field);
    }
    let mut annotations = fields.texts("annotations");
    annotations.retain(|key, _| {
        let is_own = key.starts_with(OWN_PREFIX);
        if is_own {
            fields.leave_out(&format!("annotations.{key}"));
        }
        !is_own
    });
    let metadata = ObjectMeta {
        labels: fields.texts("labels"),
        annotations,
        finalizers: fields.list_of_texts("finalizers"),
        owner_references: fields.list("ownerReferences", owner),
        ..ObjectMeta::default()
    };
    (fields.text("name"), metadata)
}

fn owner(fields: &mut Fields) -> OwnerReference {
    OwnerReference {
        api_version: fields.required_text("apiVersion"),
        kind: fields.required_text("kind"),
        name: fields.required_text("name"),
        uid: fields.required_text("uid"),
        controller: fields.boolean("controller"),
        block_owner_deletion: fields.boolean("blockOwnerDeletion"),
    }
}

fn spec(fields: &mut Fields) -> NodeSpec {
    NodeSpec {
        pod_cidr: fields.text("podCIDR"),
        pod_cidrs: fields.list_of_texts("podCIDRs"),
        provider_id: fields.text("providerID"),
        unschedulable: fields.boolean("unschedulable"),
        taints: fields.list("taints", taint),
        config_source: fields.nested("configSource", status::config_source),
        external_id: fields.text("externalID"),
    }
}

fn taint(fields: &mut Fields) -> Taint {
    Taint {
        key: fields.required_text("key"),
        value: fields.text("value"),
        effect: fields.required_text("effect"),
        time_added: fields.time("timeAdded"),
    }
}

#[cfg(test)]
mod tests;
