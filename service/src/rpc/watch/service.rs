//! WatchNodes beside tonic's services.
//!
//! The call is read, and refused if it must be, as tonic does it; only the body of the answer is another: [`WatchBody`]. So
//! it is never compressed: for that each message would have to be compressed for each stream, which takes far longer than to
//! send it. Who compresses the request themselves wants to have it nevertheless, and gets the plain way; most clients only say
//! that they could.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, Empty};
use http::{HeaderMap, Request, Response};
use nodeward_api::codec::ContractCodec;
use nodeward_api::v1;
use parking_lot::Mutex;
use tonic::body::Body;
use tonic::server::{Grpc, ServerStreamingService};
use tonic::{Response as Answer, Status};

use super::body::WatchBody;
use super::open;
use crate::access::Vigil;
use crate::rpc::context::NodeRpc;
use crate::rpc::encoded::ENCODINGS;
use crate::rpc::rights::WATCH_NODES;
use crate::transport::LARGEST_WITH_NODE;

/// Whether the answer is to be compressed, as the request is.
pub(in crate::rpc) fn wants_compression(headers: &HeaderMap) -> bool {
    headers.get("grpc-encoding").is_some_and(|encoding| encoding != "identity")
}

/// Answers a request whose answer need not be compressed.
pub(in crate::rpc) async fn serve(rpc: Arc<NodeRpc>, request: Request<Body>) -> Response<Body> {
    let codec = ContractCodec::<v1::WatchNodesResponse, v1::WatchNodesRequest>::default();
    let grpc = Grpc::new(codec).apply_max_message_size_config(Some(LARGEST_WITH_NODE), None);
    let mut grpc = ENCODINGS.into_iter().fold(grpc, |grpc, one| grpc.accept_compressed(one));
    let opening = Opening { rpc, body: Arc::default() };
    let body = opening.body.clone();
    let answer = grpc.server_streaming(opening, request).await;
    match body.lock().take() {
        Some(body) => answer.map(|_| Body::new(body)),
        None => answer,
    }
}

/// What tonic calls with the request. It answers with no messages, and leaves the body that is to be sent.
struct Opening {
    rpc: Arc<NodeRpc>,
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
