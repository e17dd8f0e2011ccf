//! GetNode and ListNodes: from the cache, or from Kubernetes itself if the caller asks for it.

use std::sync::Arc;
use std::time::Duration;

use nodeward_api::v1;
use prost::Message;
use prost_types::FieldMask;
use tonic::{Request, Response};

use super::context::NodeRpc;
use super::request::{deadline, page_size, session};
use super::rights::{GET_NODE, LIST_NODES};
use crate::cluster::store::NodeView;
use crate::error::Error;
use crate::node::mask::ReadMask;
use crate::node::query::{Order, Selection, parse_cached_read_mask, parse_read_mask};
use crate::node::token::{PageToken, QueryHash};
use crate::node::{NodeName, Violation, Violations, set_etag};

/// Says how long ago the cache last heard from Kubernetes.
const CACHE_AGE: &str = "x-cache-age-ms";

/// A page ends once it has reached this size: most gRPC clients refuse messages of more than 4 MiB, and a single node can
/// take 1.5 MiB.
const PAGE_BYTES: usize = 2 << 20;

pub(super) async fn get(rpc: &NodeRpc, request: Request<v1::GetNodeRequest>) -> Result<Response<v1::Node>, Error> {
    let deadline = deadline(request.metadata());
    let session = session(&request)?;
    let request = request.into_inner();
    let mut violations = Violations::default();
    let name = violations.take(NodeName::from_resource_name(&request.name, "name"));
    let consistency = violations.take(Consistency::parse(request.consistency));
    let mask = violations.take(read_mask(request.read_mask.as_ref(), consistency));
    let (Some(name), Some(mask), Some(consistency)) = (name, mask, consistency) else { return Err(violations.into()) };
    session.require(GET_NODE.on(name.as_str()), deadline).await?;

    match consistency {
        Consistency::Consistent => {
            let node = rpc.cluster.get(name.as_str(), deadline).await?;
            Ok(Response::new(show(&NodeView::new(node), &mask)?))
        }
        Consistency::Cached => {
            let age = cache_age(rpc)?;
            let view = rpc.cluster.store().get(name.as_str());
            let view = view.ok_or_else(|| Error::NotFound { node: name.as_str().to_owned() })?;
            let mut response = Response::new(show(&view, &mask)?);
            response.metadata_mut().insert(CACHE_AGE, (age.as_millis() as u64).into());
            Ok(response)
        }
    }
}

pub(super) async fn list(
    rpc: &NodeRpc,
    request: Request<v1::ListNodesRequest>,
) -> Result<Response<v1::ListNodesResponse>, Error> {
    let deadline = deadline(request.metadata());
    let session = session(&request)?;
    let list = List::parse(&request.into_inner())?;
    session.require(LIST_NODES.on_all(), deadline).await?;
    let (views, cache_age) = match list.consistency {
        Consistency::Cached => {
            let age = cache_age(rpc)?;
            (rpc.cluster.store().snapshot().nodes, Some(age))
        }
        Consistency::Consistent => {
            let nodes = rpc.cluster.list(deadline).await?;
            (nodes.into_iter().map(NodeView::new).map(Arc::new).collect(), None)
        }
    };
    let mut page = list.page(views)?;
    page.cache_age = cache_age.and_then(|age| age.try_into().ok());
    let mut response = Response::new(page);
    if let Some(age) = cache_age {
        response.metadata_mut().insert(CACHE_AGE, (age.as_millis() as u64).into());
    }
    Ok(response)
}

/// What a node looks like through the mask.
pub(super) fn show(view: &NodeView, mask: &ReadMask) -> Result<v1::Node, Error> {
    let decoded = if mask.is_everything() {
        v1::Node::decode(view.encoded().clone())
    } else {
        v1::Node::decode(mask.project(view.encoded()).as_slice())
    };
    decoded.map_err(|error| Error::Internal { detail: format!("a node in the cache: {error}") })
}

fn cache_age(rpc: &NodeRpc) -> Result<Duration, Error> {
    let store = rpc.cluster.store();
    if store.is_ready() { Ok(store.age()) } else { Err(Error::NotReady) }
}

/// Where a read is answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consistency {
    Cached,
    Consistent,
}

impl Consistency {
    fn parse(number: i32) -> Result<Self, Violation> {
        match v1::Consistency::try_from(number) {
            Ok(v1::Consistency::Unspecified | v1::Consistency::Cached) => Ok(Self::Cached),
            Ok(v1::Consistency::Consistent) => Ok(Self::Consistent),
            Err(_) => {
                Err(Violation::new("consistency", "must be CONSISTENCY_CACHED (1) or CONSISTENCY_CONSISTENT (2)"))
            }
        }
    }
}

/// The cache does not have all that Kubernetes has.
fn read_mask(mask: Option<&FieldMask>, consistency: Option<Consistency>) -> Result<ReadMask, Violations> {
    match consistency {
        Some(Consistency::Cached) => parse_cached_read_mask(mask),
        _ => parse_read_mask(mask),
    }
}

/// A request of ListNodes, understood.
#[derive(Debug)]
struct List {
    selection: Selection,
    order: Order,
    mask: ReadMask,
    consistency: Consistency,
    page_size: usize,
    query: QueryHash,
    after: Option<String>,
}

impl List {
    fn parse(request: &v1::ListNodesRequest) -> Result<Self, Error> {
        let mut violations = Violations::default();
        let selection = violations.take(Selection::parse(&request.filter, &request.label_selector));
        let order = violations.take(Order::parse(&request.order_by));
        let consistency = violations.take(Consistency::parse(request.consistency));
        let mask = violations.take(read_mask(request.read_mask.as_ref(), consistency));
        let page_size = violations.take(page_size(request.page_size));
        let (Some(selection), Some(order), Some(mask), Some(consistency), Some(page_size)) =
            (selection, order, mask, consistency, page_size)
        else {
            return Err(violations.into());
        };
        let query = selection.hash(order.as_str());
        let after = match request.page_token.as_str() {
            "" => None,
            text => Some(PageToken::decode(text, query).ok_or(Error::InvalidPageToken)?.after),
        };
        Ok(Self { selection, order, mask, consistency, page_size, query, after })
    }

    /// The page of these nodes, which are in the order of their names.
    fn page(&self, mut views: Vec<Arc<NodeView>>) -> Result<v1::ListNodesResponse, Error> {
        views.retain(|view| self.selection.matches(view.object()));
        let total_size = views.len() as i32;
        let etag = set_etag(views.iter().map(|view| view.object()));
        if self.order == Order::Descending {
            views.reverse();
        }
        let mut rest = views.iter().filter(|view| self.is_after(view.name())).peekable();

        let mut nodes = Vec::new();
        let mut bytes = 0;
        let mut last = None;
        while let Some(view) = rest.next_if(|_| nodes.len() < self.page_size && bytes < PAGE_BYTES) {
            let node = show(view, &self.mask)?;
            bytes += node.encoded_len();
            nodes.push(node);
            last = Some(view.name());
        }
        let is_last_page = rest.peek().is_none();
        let next = last.filter(|_| !is_last_page).map(|name| PageToken::new(name, self.query).encode());
        Ok(v1::ListNodesResponse {
            nodes,
            next_page_token: next.unwrap_or_default(),
            total_size,
            etag,
            cache_age: None,
        })
    }

    fn is_after(&self, name: &str) -> bool {
        match (&self.after, self.order) {
            (None, _) => true,
            (Some(after), Order::Ascending) => name > after.as_str(),
            (Some(after), Order::Descending) => name < after.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Node;

    fn views(names: &[&str]) -> Vec<Arc<NodeView>> {
        let view = |name: &&str| {
            let mut node = Node::default();
            node.metadata.name = Some((*name).to_owned());
            Arc::new(NodeView::new(node))
        };
        names.iter().map(view).collect()
    }

    fn pages(order_by: &str, page_size: i32) -> Vec<Vec<String>> {
        let mut request = v1::ListNodesRequest { order_by: order_by.into(), page_size, ..Default::default() };
        let mut pages = Vec::new();
        loop {
            let page = List::parse(&request).unwrap().page(views(&["a", "b", "c", "d", "e"])).unwrap();
            pages.push(page.nodes.into_iter().map(|node| node.name).collect());
            if page.next_page_token.is_empty() {
                return pages;
            }
            request.page_token = page.next_page_token;
        }
    }

    #[test]
    fn pages_cover_all_nodes_once() {
        assert_eq!(pages("", 2), [vec!["nodes/a", "nodes/b"], vec!["nodes/c", "nodes/d"], vec!["nodes/e"]]);
        assert_eq!(pages("name desc", 3), [vec!["nodes/e", "nodes/d", "nodes/c"], vec!["nodes/b", "nodes/a"]]);
        assert_eq!(pages("", 5).len(), 1, "a full last page has no token");
    }

    #[test]
    fn a_token_of_another_order_is_refused() {
        let page = List::parse(&v1::ListNodesRequest { page_size: 1, ..Default::default() }).unwrap();
        let page_token = page.page(views(&["a", "b"])).unwrap().next_page_token;
        let request = v1::ListNodesRequest { page_token, order_by: "name desc".into(), ..Default::default() };
        assert!(matches!(List::parse(&request), Err(Error::InvalidPageToken)));
    }

    #[test]
    fn a_page_stays_under_the_limit_of_most_clients() {
        let mut large = Node::default();
        large.metadata.annotations = Some([("note".to_owned(), "x".repeat(200_000))].into());
        let views = (0..100).map(|number| {
            large.metadata.name = Some(format!("node-{number:03}"));
            Arc::new(NodeView::new(large.clone()))
        });
        let page = List::parse(&v1::ListNodesRequest::default()).unwrap().page(views.collect()).unwrap();
        assert!(page.encoded_len() < 4 << 20);
        assert!(!page.next_page_token.is_empty());
        assert_eq!(page.total_size, 100);
    }
}
