//! One version of a node, as the store keeps it.

use bytes::Bytes;
use k8s_openapi::api::core::v1::Node;
use prost::Message;

use crate::node::convert;

/// What an object takes beside its texts, about: itself, and its maps and lists.
const OBJECT_BYTES: usize = 4800;

/// One version of a node: the Kubernetes object for filters and changes, and the contract's message, encoded once for
/// all who read it.
#[derive(Debug)]
pub struct NodeView {
    object: Node,
    encoded: Bytes,
    version: u64,
    bytes: usize,
}

impl NodeView {
    /// The view of this object.
    pub fn new(mut object: Node) -> Self {
        let message = convert::to_contract(&object);
        let managed_fields = message.metadata.iter().flat_map(|metadata| &metadata.managed_fields);
        let managed_bytes: usize = managed_fields.map(Message::encoded_len).sum();
        let encoded: Bytes = message.encode_to_vec().into();
        object.metadata.managed_fields = None;
        let version = version_of(&object);
        // Measured: in the object texts take twice their length, with what is around them.
        let bytes = OBJECT_BYTES + 2 * (encoded.len() - managed_bytes) + encoded.len();
        Self { object, encoded, version, bytes }
    }

    /// The Kubernetes object without `managedFields`. They stand in the message alone, as text: as the tree that they are
    /// in the object they take more than all the rest of it, and nothing here reads them.
    pub fn object(&self) -> &Node {
        &self.object
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The encoded `nodeward.v1.Node`.
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    /// The resource version. They are ordered integers (KEP-5504); 0 if there is none.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The uid, which tells a node from another that had its name.
    pub fn uid(&self) -> Option<&str> {
        self.object.metadata.uid.as_deref()
    }

    /// The name of the Node in Kubernetes.
    pub fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }
}

fn version_of(object: &Node) -> u64 {
    object.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use nodeward_api::v1;
    use serde_json::json;

    use super::*;

    fn node(managed_fields: serde_json::Value) -> NodeView {
        NodeView::new(serde_json::from_value(json!({ "metadata": { "managedFields": managed_fields } })).unwrap())
    }

    #[test]
    fn managed_fields_are_shown_but_not_kept_as_a_tree() {
        let view = node(json!([{ "manager": "kubelet", "fieldsV1": { "f:metadata": { "f:labels": {} } } }]));
        assert_eq!(view.object().metadata.managed_fields, None);
        let shown = v1::Node::decode(view.encoded().clone()).unwrap().metadata.unwrap().managed_fields;
        assert_eq!(shown[0].fields_v1_json.as_deref(), Some(r#"{"f:metadata":{"f:labels":{}}}"#));
    }

    #[test]
    fn managed_fields_take_as_much_as_their_text() {
        let (without, with) = (node(json!([])), node(json!([{ "manager": "a".repeat(1000) }])));
        let more = with.bytes() - without.bytes();
        assert!((1000..1100).contains(&more), "{more}");
    }
}
