//! ListNodes.

use std::sync::Arc;

use nodeward_api::v1;
use tokio::time::Instant;
use tonic::{Request, Response};

use super::consistency::{CacheAge, Consistency, reached};
use super::page::List;
use crate::cluster::store::NodeView;
use crate::cluster::store::segments::Listing;
use crate::error::Error;
use crate::rpc::context::NodeRpc;
use crate::rpc::encoded::Encoded;
use crate::rpc::request::{deadline, session};
use crate::rpc::rights::LIST_NODES;

/// A page of nodes.
pub(in crate::rpc) async fn list(
    rpc: &NodeRpc,
    request: Request<v1::ListNodesRequest>,
) -> Result<Response<Encoded>, Error> {
    let deadline = deadline(request.metadata());
    let session = session(&request)?;
    let list = List::parse(request.get_ref())?;
    session.require(LIST_NODES.on_all(), deadline).await?;
    let (listing, age) = all_nodes(rpc, list.consistency, deadline).await?;
    let mut response = Response::new(list.page(&listing, age.and_then(CacheAge::message)));
    if let Some(age) = age {
        age.note(&mut response);
    }
    Ok(response)
}

/// All nodes, and how old they are if they are from the cache.
pub(super) async fn all_nodes(
    rpc: &NodeRpc,
    consistency: Consistency,
    deadline: Instant,
) -> Result<(Arc<Listing>, Option<CacheAge>), Error> {
    match consistency {
        Consistency::Cached { least } => {
            let store = rpc.cluster.store();
            let age = reached(store, least, deadline).await?;
            Ok((store.listing(), Some(age)))
        }
        Consistency::Consistent => {
            let nodes = rpc.cluster.list(deadline).await?;
            let nodes = nodes.into_iter().map(NodeView::new).map(Arc::new).collect();
            Ok((Listing::of(nodes).into(), None))
        }
    }
}
