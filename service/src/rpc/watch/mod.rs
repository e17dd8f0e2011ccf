//! WatchNodes: a stream for each cursor.
//!
//! What a client is told is the cursor's business (`cluster::store::cursor`); here it becomes the answer to a call, with
//! bookmarks in between. A stream has no queue: it takes the next event when its client is ready for the next message.
//!
//! There are two ways. The fast one, [`body`], sends the bytes that all streams share which ask for the same; it is served by
//! [`service`], beside what tonic has generated. The plain one, [`plain`], makes messages, which tonic encodes and compresses.

mod allowed;
mod body;
mod plain;
mod query;
mod service;

use std::time::Duration;

use nodeward_api::v1;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use super::context::NodeRpc;
use super::request::{deadline, session};
use super::rights::WATCH_NODES;
use crate::access::Session;
use crate::cluster::store::Store;
use crate::cluster::store::cursor::Cursor;
use crate::error::Error;

pub(super) use plain::watch;
use query::Query;
pub(super) use query::bookmark_interval;
pub(super) use service::{serve, wants_compression};

/// An age beyond which no watch lives, whatever is configured: a clock does not reach as far as a duration.
const LONGEST_AGE: Duration = Duration::from_secs(365 * 24 * 3600);

/// A watch that may begin.
struct Watch {
    cursor: Cursor,
    bookmark_interval: Duration,
    /// Whether it is to begin with a bookmark: without a snapshot it may be long before its client has anything to resume
    /// from.
    is_to_greet: bool,
    ends_at: Instant,
    stop: CancellationToken,
}

impl Watch {
    /// Opens a watch that ends with `stop`.
    fn open(
        store: &Store,
        request: &v1::WatchNodesRequest,
        max_age: Duration,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let query = Query::parse(request)?;
        if stop.is_cancelled() {
            return Err(Error::ShuttingDown);
        }
        if !store.is_ready() {
            return Err(Error::NotReady);
        }
        Ok(Self {
            bookmark_interval: query.bookmark_interval,
            is_to_greet: request.skip_snapshot || !request.resume_token.is_empty(),
            cursor: query.cursor(store.clone(), request)?,
            ends_at: Instant::now() + jittered(max_age),
            stop,
        })
    }
}

/// Opens the watch of a caller who may have it, and says who that is.
async fn open(rpc: &NodeRpc, request: &Request<v1::WatchNodesRequest>) -> Result<(Watch, Session), Error> {
    let (session, deadline) = (session(request)?, deadline(request.metadata()));
    session.require(WATCH_NODES.on_all(), deadline).await?;
    let watch = Watch::open(rpc.cluster.store(), request.get_ref(), rpc.watches.max_age, rpc.stop.clone())?;
    Ok((watch, session))
}

/// A tenth more or less, so that the clients of a replica don't all come back at once.
pub(super) fn jittered(age: Duration) -> Duration {
    age.min(LONGEST_AGE).mul_f64(rand::random_range(0.9..1.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watch_may_be_meant_to_live_for_ever() {
        let (store, request) = (Store::holding(vec![], 10), v1::WatchNodesRequest::default());
        let forever = Watch::open(&store, &request, Duration::MAX, CancellationToken::new()).unwrap();
        assert!(forever.ends_at > Instant::now() + Duration::from_secs(24 * 3600));
    }
}
