//! WatchNodes beside tonic's services.
//!
//! The call is read, and refused if it must be, as tonic does it; only the body of the answer is another: [`WatchBody`]. So
//! it is never compressed: for that each message would have to be compressed for each stream, which takes far longer than to
//! send it. Who compresses the request themselves wants to have it nevertheless, and gets the plain way; most clients only say
//! that they could.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::{BoxFuture, Either};
use futures::stream::{self, Empty};
use http::{HeaderMap, Request, Response};
use nodeward_api::codec::ContractCodec;
use nodeward_api::v1;
use parking_lot::Mutex;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::StdError;
use tonic::server::{Grpc, ServerStreamingService};
use tonic::{Response as Answer, Status};
use tower::{Layer, Service};

use super::body::WatchBody;
use super::open;
use crate::access::Vigil;
use crate::rpc::context::NodeRpc;
use crate::rpc::rights::WATCH_NODES;
use crate::transport::LARGEST_WITH_NODE;

const PATH: &str = "/nodeward.v1.NodeService/WatchNodes";

/// Serves WatchNodes; all other calls go on to the services within.
#[derive(Clone)]
pub struct WatchLayer {
    rpc: NodeRpc,
    accepted: &'static [CompressionEncoding],
}

impl WatchLayer {
    /// A layer that takes requests in these encodings.
    pub fn new(rpc: NodeRpc, accepted: &'static [CompressionEncoding]) -> Self {
        Self { rpc, accepted }
    }
}

impl<S> Layer<S> for WatchLayer {
    type Service = WatchService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WatchService { inner, layer: self.clone() }
    }
}

/// A service with [`WatchLayer`].
#[derive(Clone)]
pub struct WatchService<S> {
    inner: S,
    layer: WatchLayer,
}

impl<S, B> Service<Request<B>> for WatchService<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    B: http_body::Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.uri().path() != PATH || wants_compression(request.headers()) {
            return Either::Left(self.inner.call(request));
        }
        let layer = self.layer.clone();
        Either::Right(Box::pin(async move { Ok(layer.serve(request).await) }))
    }
}

fn wants_compression(headers: &HeaderMap) -> bool {
    headers.get("grpc-encoding").is_some_and(|encoding| encoding != "identity")
}

impl WatchLayer {
    async fn serve<B>(self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
    {
        let codec = ContractCodec::<v1::WatchNodesResponse, v1::WatchNodesRequest>::default();
        let grpc = Grpc::new(codec).apply_max_message_size_config(Some(LARGEST_WITH_NODE), None);
        let mut grpc = self.accepted.iter().fold(grpc, |grpc, encoding| grpc.accept_compressed(*encoding));
        let opening = Opening { rpc: self.rpc, body: Arc::default() };
        let body = opening.body.clone();
        let answer = grpc.server_streaming(opening, request).await;
        match body.lock().take() {
            Some(body) => answer.map(|_| Body::new(body)),
            None => answer,
        }
    }
}

/// What tonic calls with the request. It answers with no messages, and leaves the body that is to be sent.
struct Opening {
    rpc: NodeRpc,
    body: Arc<Mutex<Option<WatchBody>>>,
}

impl ServerStreamingService<v1::WatchNodesRequest> for Opening {
    type Response = v1::WatchNodesResponse;
    type ResponseStream = Empty<Result<v1::WatchNodesResponse, Status>>;
    type Future = BoxFuture<'static, Result<Answer<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<v1::WatchNodesRequest>) -> Self::Future {
        let (rpc, body) = (self.rpc.of_connection(request.extensions()), self.body.clone());
        Box::pin(async move {
            let (watch, session) = open(&rpc, &request).await?;
            let vigil = Vigil::new(session, Some(WATCH_NODES.on_all()));
            *body.lock() = Some(WatchBody::new(watch, vigil));
            Ok(Answer::new(stream::empty()))
        })
    }
}
