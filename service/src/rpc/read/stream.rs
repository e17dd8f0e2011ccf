//! StreamNodes: all nodes of one moment, message by message.
//!
//! The moment is a listing, which all streams of that moment share. A client that reads slowly holds what is left of it; one
//! that does not read at all would hold it for ever, since nothing asks for the next message then. So there is an end to
//! that ([`PATIENCE`]), and thereby a bound on what all of them hold together: what has changed in that time.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, Stream};
use nodeward_api::v1;
use parking_lot::Mutex;
use prost::Message;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::consistency::{CacheAge, Consistency, read_mask};
use super::list::all_nodes;
use super::page::{Entries, Matching};
use crate::cluster::store::NodeView;
use crate::cluster::store::cursor::Interest;
use crate::cluster::store::segments::Listing;
use crate::error::Error;
use crate::node::Violations;
use crate::node::mask::ReadMask;
use crate::node::query::Selection;
use crate::node::token::ResumeToken;
use crate::rpc::context::NodeRpc;
use crate::rpc::encoded::{Encoded, Messages};
use crate::rpc::request::{deadline, session};
use crate::rpc::rights::STREAM_NODES;

/// How long the nodes of a moment are kept for a stream.
const PATIENCE: Duration = Duration::from_secs(60);

/// A message ends once it has reached this size.
const MESSAGE_BYTES: usize = 64 << 10;

/// Streams nodes.
pub(in crate::rpc) async fn stream(
    rpc: &NodeRpc,
    request: Request<v1::StreamNodesRequest>,
) -> Result<Response<Messages>, Error> {
    let deadline = deadline(request.metadata());
    let session = session(&request)?;
    let query = Query::parse(request.get_ref())?;
    session.require(STREAM_NODES.on_all(), deadline).await?;
    let (listing, age) = all_nodes(rpc, query.consistency, deadline).await?;
    let instance = age.map(|_| rpc.cluster.store().instance());
    let messages = query.messages(&listing, instance, age.and_then(CacheAge::message));
    let mut response = Response::new(Messages::Many(within(PATIENCE, messages).boxed()));
    if let Some(age) = age {
        age.note(&mut response);
    }
    Ok(response)
}

/// A request, understood.
struct Query {
    selection: Selection,
    mask: ReadMask,
    consistency: Consistency,
}

impl Query {
    fn parse(request: &v1::StreamNodesRequest) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        let selection = violations.take(Selection::parse(&request.filter, &request.label_selector));
        let consistency = violations.take(Consistency::parse(request.consistency, &request.min_etag));
        let mask = violations.take(read_mask(request.read_mask.as_ref(), consistency));
        match (selection, mask, consistency) {
            (Some(selection), Some(mask), Some(consistency)) => Ok(Self { selection, mask, consistency }),
            _ => Err(violations),
        }
    }

    /// The nodes of the listing and the summary. The listing is one of the store with this instance, if of any.
    fn messages(
        self,
        listing: &Listing,
        instance: Option<u64>,
        cache_age: Option<prost_types::Duration>,
    ) -> Box<dyn Iterator<Item = Encoded> + Send> {
        let matching = Matching::new(listing, &self.selection);
        let summary = v1::StreamNodesSummary {
            total_size: matching.count() as i32,
            etag: matching.etag(),
            resume_token: instance.map(|instance| self.resume_token(listing, instance)).unwrap_or_default(),
            cache_age,
        };
        let summary = v1::StreamNodesResponse { nodes: Vec::new(), summary: Some(summary) };
        let last = std::iter::once_with(move || Encoded::from(bytes::Bytes::from(summary.encode_to_vec())));
        match matching {
            Matching::All(listing) if self.mask.is_everything() => {
                let segments = listing.segments().to_vec().into_iter();
                Box::new(segments.map(|segment| Encoded::from(segment.entries().clone())).chain(last))
            }
            matching => {
                let mut rest = matching.nodes().into_iter().cloned().collect::<Vec<_>>().into_iter();
                let mask = self.mask;
                Box::new(std::iter::from_fn(move || copied(&mut rest, &mask)).chain(last))
            }
        }
    }

    /// The token of a watch that has told these nodes.
    fn resume_token(&self, listing: &Listing, instance: u64) -> String {
        let query = Interest::new(self.selection.clone(), self.mask.clone()).query();
        ResumeToken::new(instance, listing.position().0, listing.version(), query).encode()
    }
}

/// A message of the next nodes, if there are any.
fn copied(rest: &mut impl Iterator<Item = Arc<NodeView>>, mask: &ReadMask) -> Option<Encoded> {
    let mut entries = Entries::default();
    while entries.len() < MESSAGE_BYTES {
        let Some(view) = rest.next() else { break };
        entries.put(&view, mask);
    }
    (entries.len() > 0).then(|| Encoded::of(entries.pieces()))
}

/// The messages as a stream. What is left of them after this time is dropped, whether or not anybody reads.
fn within<I>(time: Duration, messages: I) -> impl Stream<Item = Result<Encoded, Status>> + Send + 'static
where
    I: Iterator<Item = Encoded> + Send + 'static,
{
    let left = Arc::new(Mutex::new(Some(messages)));
    let is_over = CancellationToken::new();
    let drop_late = {
        let (left, is_over) = (left.clone(), is_over.clone());
        async move {
            if is_over.run_until_cancelled(sleep(time)).await.is_some() {
                *left.lock() = None;
            }
        }
    };
    tokio::spawn(drop_late);
    let is_over = is_over.drop_guard();
    let mut late = Some(Error::DeadlineExceeded { stage: "sending nodes to a client that does not take them" });
    stream::iter(std::iter::from_fn(move || {
        let _told_at_the_end = &is_over;
        match left.lock().as_mut() {
            Some(messages) => messages.next().map(Ok),
            None => late.take().map(|late| Err(late.into())),
        }
    }))
}

/// All the messages that answer a request from this listing.
#[cfg(test)]
pub(super) fn all_of(request: &v1::StreamNodesRequest, listing: &Listing) -> Vec<v1::StreamNodesResponse> {
    let messages = Query::parse(request).unwrap().messages(listing, None, None);
    messages.map(|message| message.decode().unwrap()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> impl Iterator<Item = Encoded> + Send + 'static {
        (0..3).map(|_| Encoded::default())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_for_a_client_that_does_not_read_is_dropped_without_being_asked_for() {
        let held = Arc::new(());
        let messages = messages().zip(std::iter::repeat(held.clone())).map(|(message, _held)| message);
        let mut stream = within(Duration::from_secs(60), messages);
        stream.next().await.unwrap().unwrap();
        sleep(Duration::from_secs(59)).await;
        stream.next().await.unwrap().unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(stream.next().await.unwrap().unwrap_err().code(), tonic::Code::DeadlineExceeded);
        assert!(stream.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_read_to_its_end_leaves_nothing_behind() {
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let stream = within(Duration::from_secs(60), messages());
        assert_eq!(tasks(), 1);
        assert_eq!(stream.count().await, 3);
        tokio::task::yield_now().await;
        assert_eq!(tasks(), 0);
    }
}
