//! Streams of services that know nothing of connections: they end when theirs does.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::server::NamedService;
use tower::Service;

use crate::error::Error;

/// A service whose streams end with their connection, with the status that says that one should connect again.
#[derive(Clone, Debug)]
pub struct EndsWithConnection<S>(pub S);

impl<S: NamedService> NamedService for EndsWithConnection<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B, T> Service<Request<B>> for EndsWithConnection<S>
where
    S: Service<Request<B>, Response = Response<T>, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response<EndingBody<T>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let end = request.extensions().get::<CancellationToken>().cloned().unwrap_or_default();
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(answer.map(|inner| EndingBody { inner, end: end.cancelled_owned(), has_ended: false }))
        })
    }
}

pin_project! {
    /// An answer that ends with its connection, once there is nothing to be sent.
    pub struct EndingBody<T> {
        #[pin]
        inner: T,
        #[pin]
        end: WaitForCancellationFutureOwned,
        has_ended: bool,
    }
}

impl<T: Body<Data = Bytes>> Body for EndingBody<T> {
    type Data = Bytes;
    type Error = T::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, T::Error>>> {
        let this = self.project();
        if *this.has_ended {
            return Poll::Ready(None);
        }
        let frame = this.inner.poll_frame(cx);
        if frame.is_pending() && this.end.poll(cx).is_ready() {
            *this.has_ended = true;
            return Poll::Ready(Some(Ok(Frame::trailers(trailers()))));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // Fails only for a message that is no header, which this one is.
    let _ = Status::from(Error::ShuttingDown).add_header(&mut trailers);
    trailers
}
