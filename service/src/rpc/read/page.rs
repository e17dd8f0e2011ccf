//! A page of a list: which nodes it holds, and their bytes.
//!
//! A page of all nodes is made of the segments that all such pages share. Where there is a filter, a mask or the other
//! order, the entries are copied together here.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use nodeward_api::v1;
use prost::Message;

use super::consistency::{Consistency, read_mask};
use crate::cluster::store::NodeView;
use crate::cluster::store::segments::{Listing, put_entry};
use crate::error::Error;
use crate::node::mask::ReadMask;
use crate::node::query::{Order, Selection};
use crate::node::token::{PageToken, QueryHash};
use crate::node::{Violations, set_etag};
use crate::rpc::encoded::Encoded;
use crate::rpc::request::page_size;

/// A page ends once it has reached this size: most gRPC clients refuse messages of more than 4 MiB, and a single node can
/// take 1.5 MiB.
pub(super) const PAGE_BYTES: usize = 2 << 20;

/// A request of ListNodes, understood.
#[derive(Debug)]
pub(super) struct List {
    selection: Selection,
    order: Order,
    mask: ReadMask,
    pub consistency: Consistency,
    page_size: usize,
    query: QueryHash,
    /// The name of the last node of the page before.
    after: Option<String>,
}

impl List {
    pub fn parse(request: &v1::ListNodesRequest) -> Result<Self, Error> {
        let mut violations = Violations::default();
        let selection = violations.take(Selection::parse(&request.filter, &request.label_selector));
        let order = violations.take(Order::parse(&request.order_by));
        let consistency = violations.take(Consistency::parse(request.consistency, &request.min_etag));
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

    /// The page of these nodes.
    pub fn page(&self, nodes: &Listing, cache_age: Option<prost_types::Duration>) -> Encoded {
        let matching = Matching::new(nodes, &self.selection);
        let (total_size, etag) = (matching.count() as i32, matching.etag());
        let (entries, next) = match (matching, self.order) {
            (Matching::All(nodes), Order::Ascending) if self.mask.is_everything() => {
                let part = nodes.part_after(self.after.as_deref().unwrap_or_default(), self.page_size, PAGE_BYTES);
                (part.entries, part.last.filter(|_| !part.is_last).map(NodeView::name))
            }
            (matching, _) => self.copied(matching.nodes()),
        };
        let next_page_token = next.map(|name| PageToken::new(name, self.query).encode()).unwrap_or_default();
        let rest = v1::ListNodesResponse { nodes: Vec::new(), next_page_token, total_size, etag, cache_age };
        // The order of fields makes no difference.
        Encoded::of(std::iter::once(rest.encode_to_vec().into()).chain(entries).collect())
    }

    /// The entries of the nodes on the page, and the name of the last one if others follow.
    fn copied<'a>(&self, mut nodes: Vec<&'a Arc<NodeView>>) -> (Vec<Bytes>, Option<&'a str>) {
        if self.order == Order::Descending {
            nodes.reverse();
        }
        let first = self.after.as_deref().map_or(0, |after| {
            nodes.partition_point(|view| match self.order {
                Order::Ascending => view.name() <= after,
                Order::Descending => view.name() >= after,
            })
        });
        let mut entries = Entries::default();
        let mut rest = nodes[first..].iter();
        for view in rest.by_ref().take(self.page_size) {
            entries.put(view, &self.mask);
            if entries.len() >= PAGE_BYTES {
                break;
            }
        }
        let last = (nodes.len() - rest.len()).checked_sub(1).filter(|_| rest.len() > 0);
        (entries.pieces(), last.map(|last| nodes[last].name()))
    }
}

/// The nodes that are listed, on all pages.
pub(super) enum Matching<'a> {
    /// All there are.
    All(&'a Listing),
    /// Some of them.
    Some(Vec<&'a Arc<NodeView>>),
}

impl<'a> Matching<'a> {
    pub fn new(nodes: &'a Listing, selection: &Selection) -> Self {
        if selection.is_everything() {
            return Self::All(nodes);
        }
        Self::Some(nodes.nodes().filter(|view| selection.matches(view.object())).collect())
    }

    pub fn count(&self) -> usize {
        match self {
            Self::All(nodes) => nodes.count(),
            Self::Some(nodes) => nodes.len(),
        }
    }

    pub fn etag(&self) -> String {
        match self {
            Self::All(nodes) => nodes.etag().to_owned(),
            Self::Some(nodes) => set_etag(nodes.iter().map(|view| view.object())),
        }
    }

    pub fn nodes(self) -> Vec<&'a Arc<NodeView>> {
        match self {
            Self::All(nodes) => nodes.nodes().collect(),
            Self::Some(nodes) => nodes,
        }
    }
}

/// Entries of a list, as a mask shows them.
#[derive(Default)]
pub(super) struct Entries {
    done: Vec<Bytes>,
    done_bytes: usize,
    open: BytesMut,
}

impl Entries {
    /// A piece is closed once it has reached this length.
    const PIECE: usize = 64 << 10;

    pub fn put(&mut self, view: &NodeView, mask: &ReadMask) {
        if mask.is_everything() {
            put_entry(view.encoded(), &mut self.open);
        } else {
            put_entry(&mask.project(view.encoded()), &mut self.open);
        }
        if self.open.len() >= Self::PIECE {
            self.close();
        }
    }

    pub fn len(&self) -> usize {
        self.done_bytes + self.open.len()
    }

    pub fn pieces(mut self) -> Vec<Bytes> {
        self.close();
        self.done
    }

    fn close(&mut self) {
        self.done_bytes += self.open.len();
        self.done.extend((!self.open.is_empty()).then(|| self.open.split().freeze()));
    }
}
