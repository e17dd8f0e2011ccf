//! The calls of one connection: each is told who is calling and when its connection ends, and is counted until it is
//! answered.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use super::peer::Peer;
use super::request_size::LimitedBody;
use crate::error::Error;
use crate::grpc_timeout;
use crate::standing::Standing;

/// How long a call may take whose client doesn't say. Handlers answer before: this is for requests that never end.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long any call may take. Handlers give up before.
pub(super) const LONGEST: Duration = Duration::from_secs(610);

/// What answers the calls.
pub(super) type Services = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// The calls that are being worked on: from the request to the head of the answer. Whether the rest of an answer comes to
/// its client is up to the client.
#[derive(Debug, Default)]
pub(super) struct Running {
    count: AtomicUsize,
    ended: AtomicUsize,
}

impl Running {
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// How many have ended so far.
    pub fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    fn begin(self: &Arc<Self>) -> Call {
        self.count.fetch_add(1, Ordering::Relaxed);
        Call(self.clone())
    }
}

/// A call that is being worked on.
struct Call(Arc<Running>);

impl Drop for Call {
    fn drop(&mut self) {
        // In this order: who sees that it no longer runs sees that it has ended.
        self.0.ended.fetch_add(1, Ordering::Relaxed);
        self.0.count.fetch_sub(1, Ordering::Release);
    }
}

/// What the calls of a connection have in common. Each request has it among its extensions: [`Peer`], [`Standing`],
/// tonic's `TcpConnectInfo`, and a [`CancellationToken`] that ends with the connection, at which streams are to end.
pub(super) struct Calls {
    pub services: Services,
    pub peer: Peer,
    pub standing: Standing,
    pub tcp: TcpConnectInfo,
    pub end: CancellationToken,
    pub running: Arc<Running>,
}

impl hyper::service::Service<Request<Incoming>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let call = self.running.begin();
        let (mut head, body) = request.into_parts();
        head.extensions.insert(self.peer.clone());
        head.extensions.insert(self.standing.clone());
        head.extensions.insert(self.tcp.clone());
        head.extensions.insert(self.end.clone());
        let deadline = deadline(&head.headers);
        let body = Body::new(LimitedBody::new(head.uri.path(), body));
        let answer = self.services.clone().oneshot(Request::from_parts(head, body));
        Box::pin(async move {
            let _call = call;
            // Its caller has given up by itself, but may still listen.
            let too_late = || Status::from(Error::DeadlineExceeded { stage: "the call was in progress" }).into_http();
            timeout(deadline, answer).await.unwrap_or_else(|_| Ok(too_late()))
        })
    }
}

/// How long a call may take until it is answered.
fn deadline(headers: &HeaderMap) -> Duration {
    grpc_timeout::of(headers).unwrap_or(PATIENCE).min(LONGEST)
}
