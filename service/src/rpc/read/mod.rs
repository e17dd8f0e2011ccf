//! Reads of nodes as they are now: from the cache, or from Kubernetes itself if the caller asks for it.
//!
//! The cache holds each node encoded. All that is answered here is made of these bytes (`rpc::encoded`): a node is decoded
//! for nobody.

mod consistency;
mod get;
mod list;
mod page;
mod stream;

#[cfg(test)]
mod properties;

use nodeward_api::v1;
use prost::Message;

use crate::cluster::store::NodeView;
use crate::error::Error;
use crate::node::mask::ReadMask;

pub(super) use get::get;
pub(super) use list::list;
pub(super) use stream::stream;

/// What a node looks like through the mask.
pub(super) fn show(view: &NodeView, mask: &ReadMask) -> Result<v1::Node, Error> {
    let decoded = if mask.is_everything() {
        v1::Node::decode(view.encoded().clone())
    } else {
        v1::Node::decode(mask.project(view.encoded()).as_slice())
    };
    decoded.map_err(|error| Error::Internal { detail: format!("a node in the cache: {error}") })
}
