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
    pub fn new(object: Node) -> Self {
        let encoded: Bytes = convert::to_contract(&object).encode_to_vec().into();
        let version = version_of(&object);
        // Measured: in the object texts take twice their length, with what is around them.
        let bytes = OBJECT_BYTES + 3 * encoded.len();
        Self { object, encoded, version, bytes }
    }

    /// The Kubernetes object. The watch brings it without `managedFields`: nothing here reads them, and they take more than
    /// all the rest of it.
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
