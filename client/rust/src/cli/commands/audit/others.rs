//! Changes that did not come through nodeward, as far as the node itself tells: Kubernetes keeps with each object who has set
//! the fields that it has now, and when (`metadata.managedFields`).
//!
//! That is a hint and no proof: programs name themselves, and what was set and removed again leaves no trace.

use nodeward_client::api::{ManagedFieldsEntry, Node, ObjectMeta};
use nodeward_client::node_id;
use prost_types::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// The names under which nodeward and its command line set fields.
const OURS: [&str; 2] = ["nodeward", "nodeward-cli"];

/// Annotations that nodeward sets for a caller who names a manager of their own.
const OUR_ANNOTATION: &str = "metadata.annotations.nodeward.dev/";

/// Fields that somebody else has set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OtherChange {
    pub node: String,
    /// Who, as they call themselves: `kubectl-cordon`, `kubelet`.
    pub manager: String,
    /// `Update` or `Apply`.
    pub operation: String,
    /// When they last set any of them.
    #[serde(serialize_with = "text")]
    pub time: Option<Timestamp>,
    /// Those that they have set last.
    pub fields: Vec<String>,
}

fn text<S: serde::Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.as_ref().map(Timestamp::to_string).serialize(serializer)
}

/// What others have set of a node, other than its status, which the kubelet reports.
pub fn of(node: &Node) -> Vec<OtherChange> {
    let entries = node.metadata.iter().flat_map(|ObjectMeta { managed_fields, .. }| managed_fields);
    entries.filter_map(|entry| change(node, entry)).collect()
}

fn change(node: &Node, entry: &ManagedFieldsEntry) -> Option<OtherChange> {
    let manager = entry.manager.clone().unwrap_or_default();
    let fields = fields(entry.fields_v1_json.as_deref().unwrap_or_default());
    let is_ours = OURS.contains(&manager.as_str()) || fields.iter().any(|field| field.starts_with(OUR_ANNOTATION));
    (!is_ours && !fields.is_empty()).then(|| OtherChange {
        node: node_id(&node.name).to_owned(),
        manager,
        operation: entry.operation.clone().unwrap_or_default(),
        time: entry.time,
        fields,
    })
}

/// The fields of the spec, and the single labels and annotations, in a set of FieldsV1.
fn fields(json: &str) -> Vec<String> {
    let Ok(Value::Object(root)) = serde_json::from_str(json) else { return Vec::new() };
    let of =
        |part: &'static str| children(&root).filter(move |(name, _)| *name == part).flat_map(|(_, set)| children(set));
    // What the node is to be comes first: labels can be many.
    let spec = of("spec").map(|(field, _)| format!("spec.{field}"));
    spec.chain(of("metadata").flat_map(|(field, keys)| metadata(field, keys))).collect()
}

fn metadata(field: &str, keys: &Map<String, Value>) -> Vec<String> {
    let path = format!("metadata.{field}");
    match field {
        "labels" | "annotations" => children(keys).map(|(key, _)| format!("{path}.{key}")).collect(),
        _ => vec![path],
    }
}

/// The named fields of a set. `.` stands for the object itself, `k:` and `v:` for elements of lists.
fn children(set: &Map<String, Value>) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
    set.iter().filter_map(|(key, value)| Some((key.strip_prefix("f:")?, value.as_object()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, fields: &str) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.into()),
            operation: Some("Update".into()),
            time: Some(Timestamp { seconds: 1, nanos: 0 }),
            fields_v1_json: Some(fields.into()),
            ..ManagedFieldsEntry::default()
        }
    }

    fn of_entries(managed_fields: Vec<ManagedFieldsEntry>) -> Vec<OtherChange> {
        let metadata = ObjectMeta { managed_fields, ..ObjectMeta::default() };
        of(&Node { name: "nodes/worker-3".into(), metadata: Some(metadata), ..Node::default() })
    }

    #[test]
    fn what_others_have_set_is_named_field_by_field() {
        let set = r#"{"f:metadata":{"f:labels":{".":{},"f:team":{}},"f:finalizers":{"v:x":{}}},"f:spec":{"f:unschedulable":{}}}"#;
        let [change] = &of_entries(vec![entry("kubectl-cordon", set)])[..] else { panic!("one change") };
        assert_eq!((change.node.as_str(), change.manager.as_str()), ("worker-3", "kubectl-cordon"));
        assert_eq!(change.fields, ["spec.unschedulable", "metadata.finalizers", "metadata.labels.team"]);
    }

    #[test]
    fn what_came_through_nodeward_is_left_out() {
        let of_ours =
            r#"{"f:metadata":{"f:annotations":{"f:nodeward.dev/requests":{}}},"f:spec":{"f:unschedulable":{}}}"#;
        let cordon = r#"{"f:spec":{"f:unschedulable":{}}}"#;
        let entries = vec![entry("nodeward", cordon), entry("nodeward-cli", cordon), entry("gitops", of_ours)];
        assert_eq!(of_entries(entries), []);
    }

    #[test]
    fn a_status_alone_is_no_change() {
        let status = r#"{"f:status":{"f:conditions":{"k:{\"type\":\"Ready\"}":{"f:lastHeartbeatTime":{}}}}}"#;
        assert_eq!(of_entries(vec![entry("kubelet", status), entry("odd", "[]"), entry("none", "")]), []);
    }
}
