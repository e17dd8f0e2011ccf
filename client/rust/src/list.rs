//! Lists, page by page or in one stream.

use std::time::Duration;

use futures::stream::{self, Stream, StreamExt, TryStreamExt};

use tonic::{Response, Status};

use crate::api::{Consistency, ListNodesRequest, ListNodesResponse, Node, StreamNodesRequest};
use crate::client::{Client, mask};
use crate::error::Error;

/// Which nodes are listed, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListOptions {
    /// The filter, for example `readiness = LOST_CONTACT AND labels.team = "blue"`. All nodes if it is empty.
    pub filter: String,
    /// The label selector of Kubernetes, for example `team in (blue,green),!gpu`. A node must match both.
    pub label_selector: String,
    /// `name` (the default) or `name desc`.
    pub order_by: String,
    /// The most nodes of one page. The server chooses if it is 0.
    pub page_size: i32,
    /// The fields to return of each node. All of them if it is empty.
    pub read_mask: Vec<String>,
    /// Where the answer comes from.
    pub consistency: Consistency,
    /// The etag of a node, for example of one's own change, which the answer has seen. None is needed if it is empty.
    pub min_etag: String,
}

impl ListOptions {
    /// The nodes that match a filter.
    pub fn filter(filter: impl Into<String>) -> Self {
        Self { filter: filter.into(), ..Self::default() }
    }

    /// The nodes that match a label selector.
    pub fn label_selector(selector: impl Into<String>) -> Self {
        Self { label_selector: selector.into(), ..Self::default() }
    }
}

/// All the nodes that match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeList {
    /// The nodes, in order.
    pub nodes: Vec<Node>,
    /// Identifies the set of nodes that match, for [`Client::delete_nodes`].
    pub etag: String,
    /// How long ago the cache that answered last heard from Kubernetes. None if the answer is from Kubernetes itself.
    pub cache_age: Option<Duration>,
}

impl Client {
    /// Lists one page.
    ///
    /// # Errors
    /// The server's, or the last one of the attempts to reach it.
    pub async fn list_page(&self, options: ListOptions, page_token: &str) -> Result<ListNodesResponse, Error> {
        let ListOptions { filter, label_selector, order_by, page_size, read_mask, consistency, min_etag } = options;
        let request = ListNodesRequest {
            page_size,
            page_token: page_token.to_owned(),
            filter,
            label_selector,
            order_by,
            read_mask: mask(read_mask),
            consistency: consistency.into(),
            min_etag,
        };
        let response =
            self.call(request, |mut service, request| async move { service.list_nodes(request).await }).await?;
        Ok(response.into_inner())
    }

    /// Lists the nodes one by one, getting the next page when it is needed. It ends after an error.
    pub fn list_nodes(&self, options: ListOptions) -> impl Stream<Item = Result<Node, Error>> + Send + Unpin + use<> {
        self.pages(options).map_ok(|page| stream::iter(page.nodes.into_iter().map(Ok))).try_flatten().boxed()
    }

    /// Lists all nodes: as they were at one moment, unless another order than that of the names, or a size of pages, is
    /// asked for.
    ///
    /// # Errors
    /// The server's, or the last one of the attempts to reach it.
    pub async fn list_all(&self, options: ListOptions) -> Result<NodeList, Error> {
        if ["", "name"].contains(&options.order_by.trim()) && options.page_size == 0 {
            return self.list_at_once(options).await;
        }
        let mut pages = self.pages(options).boxed();
        let Some(ListNodesResponse { nodes, etag, cache_age, .. }) = pages.try_next().await? else {
            return Ok(NodeList::default());
        };
        // The etag is that of the first page: should the set change before the last one, a deletion by it is refused.
        let mut list = NodeList { nodes, etag, cache_age: cache_age.and_then(|age| age.try_into().ok()) };
        while let Some(page) = pages.try_next().await? {
            list.nodes.extend(page.nodes);
        }
        Ok(list)
    }

    /// A stream that breaks is begun anew: what has come of it is of a moment that is over.
    async fn list_at_once(&self, options: ListOptions) -> Result<NodeList, Error> {
        let ListOptions { filter, label_selector, read_mask, consistency, min_etag, .. } = options;
        let read_mask = mask(read_mask);
        let request =
            StreamNodesRequest { filter, label_selector, read_mask, consistency: consistency.into(), min_etag };
        let list = self.call(request, |mut service, request| async move {
            let mut messages = service.stream_nodes(request).await?.into_inner();
            let mut list = NodeList::default();
            while let Some(message) = messages.message().await? {
                list.nodes.extend(message.nodes);
                if let Some(summary) = message.summary {
                    list.etag = summary.etag;
                    list.cache_age = summary.cache_age.and_then(|age| age.try_into().ok());
                    return Ok(Response::new(list));
                }
            }
            Err(Status::unavailable("the stream of nodes ended before its summary"))
        });
        Ok(list.await?.into_inner())
    }

    fn pages(&self, options: ListOptions) -> impl Stream<Item = Result<ListNodesResponse, Error>> + Send + use<> {
        let client = self.clone();
        stream::try_unfold(Some(String::new()), move |token| {
            let (client, options) = (client.clone(), options.clone());
            async move {
                let Some(token) = token else { return Ok(None) };
                let page = client.list_page(options, &token).await?;
                let next = Some(page.next_page_token.clone()).filter(|next| !next.is_empty());
                Ok(Some((page, next)))
            }
        })
    }
}
