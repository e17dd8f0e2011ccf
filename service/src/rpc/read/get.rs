//! GetNode.

use bytes::Bytes;
use nodeward_api::v1;
use tonic::{Request, Response};

use super::consistency::{Consistency, reached, read_mask};
use crate::cluster::store::NodeView;
use crate::error::Error;
use crate::node::mask::ReadMask;
use crate::node::{NodeName, Violations};
use crate::rpc::context::NodeRpc;
use crate::rpc::encoded::Encoded;
use crate::rpc::request::{deadline, session};
use crate::rpc::rights::GET_NODE;

/// A node.
pub(in crate::rpc) async fn get(
    rpc: &NodeRpc,
    request: Request<v1::GetNodeRequest>,
) -> Result<Response<Encoded>, Error> {
    let deadline = deadline(request.metadata());
    let session = session(&request)?;
    let request = request.into_inner();
    let mut violations = Violations::default();
    let name = violations.take(NodeName::from_resource_name(&request.name, "name"));
    let consistency = violations.take(Consistency::parse(request.consistency, &request.min_etag));
    let mask = violations.take(read_mask(request.read_mask.as_ref(), consistency));
    let (Some(name), Some(mask), Some(consistency)) = (name, mask, consistency) else { return Err(violations.into()) };
    session.require(GET_NODE.on(name.as_str()), deadline).await?;

    match consistency {
        Consistency::Consistent => {
            let node = rpc.cluster.get(name.as_str(), deadline).await?;
            Ok(Response::new(shown(&NodeView::new(node), &mask).into()))
        }
        Consistency::Cached { least } => {
            let store = rpc.cluster.store();
            let age = reached(store, least, deadline).await?;
            let view = store.get(name.as_str());
            let view = view.ok_or_else(|| Error::NotFound { node: name.as_str().to_owned() })?;
            let mut response = Response::new(shown(&view, &mask).into());
            age.note(&mut response);
            Ok(response)
        }
    }
}

/// The encoded node, through the mask.
fn shown(view: &NodeView, mask: &ReadMask) -> Bytes {
    if mask.is_everything() { view.encoded().clone() } else { mask.project(view.encoded()).into() }
}
