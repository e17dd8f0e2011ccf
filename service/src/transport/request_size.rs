//! How large a request may be.
//!
//! gRPC's own limit is on a message as it is after decompression, and one for all RPCs of a service. This one is on what
//! the client sends, and goes by the RPC: most requests are small.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;

use crate::error::Error;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Requests that don't carry a node.
pub(crate) const LARGEST: usize = 64 << 10;

/// Requests that carry one: etcd's own limit of what it stores.
pub(crate) const LARGEST_WITH_NODE: usize = 1536 << 10;

/// The RPCs whose requests carry a node, or a patch of one.
const WITH_NODE: [&str; 4] = [
    "/nodeward.v1.NodeService/CreateNode",
    "/nodeward.v1.NodeService/UpdateNode",
    "/nodeward.v1.NodeService/UpdateNodeStatus",
    "/nodeward.v1.NodeService/PatchNode",
];

/// Services to which clients send streams of requests: only each message is limited.
const STREAMING: [&str; 2] = ["/grpc.reflection.v1.", "/grpc.reflection.v1alpha."];

/// The size of the largest request that is taken at this path.
fn largest(path: &str) -> usize {
    match path {
        _ if WITH_NODE.contains(&path) => LARGEST_WITH_NODE,
        _ if STREAMING.iter().any(|service| path.starts_with(service)) => usize::MAX,
        _ => LARGEST,
    }
}

pin_project! {
    /// A request's body, which fails when it is larger than its RPC takes.
    pub(super) struct LimitedBody<B> {
        #[pin]
        inner: B,
        limit: usize,
        left: usize,
    }
}

impl<B> LimitedBody<B> {
    pub fn new(path: &str, inner: B) -> Self {
        let limit = largest(path);
        Self { inner, limit, left: limit }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>>> Body for LimitedBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let frame = match ready!(this.inner.poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            other => return Poll::Ready(other.map(|frame| frame.map_err(Into::into))),
        };
        let length = frame.data_ref().map_or(0, Bytes::len);
        Poll::Ready(Some(match this.left.checked_sub(length) {
            Some(left) => {
                *this.left = left;
                Ok(frame)
            }
            // As a status it reaches the client as it is.
            None => Err(Status::from(Error::MessageTooLarge { limit: *this.limit }).into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};
    use nodeward_api::FILE_DESCRIPTOR_SET;
    use prost_reflect::{DescriptorPool, Kind, MethodDescriptor};

    use super::*;

    fn carries_node(method: &MethodDescriptor) -> bool {
        let is_node = |kind: Kind| kind.as_message().is_some_and(|message| message.full_name() == "nodeward.v1.Node");
        method.input().fields().any(|field| field.name() == "patch" || is_node(field.kind()))
    }

    #[test]
    fn requests_with_a_node_may_be_as_large_as_nodes_and_no_others() {
        let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
        let methods: Vec<_> = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
        assert!(methods.iter().filter(|method| carries_node(method)).count() >= 4);
        for method in methods {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            assert_eq!(largest(&path), if carries_node(&method) { LARGEST_WITH_NODE } else { LARGEST }, "{path}");
        }
    }

    async fn taken(path: &str, size: usize) -> Result<usize, Status> {
        let body = LimitedBody::new(path, Full::new(Bytes::from(vec![0; size])));
        let taken = body.collect().await.map_err(Status::from_error)?;
        Ok(taken.to_bytes().len())
    }

    #[tokio::test]
    async fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
        assert_eq!(taken("/nodeward.v1.NodeService/GetNode", LARGEST).await.unwrap(), LARGEST);
        let status = taken("/nodeward.v1.NodeService/GetNode", LARGEST + 1).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert_eq!(taken(WITH_NODE[0], LARGEST + 1).await.unwrap(), LARGEST + 1);
    }
}
