//! The limits as a tower layer around gRPC services: what is refused is answered with a complete status and reaches none
//! of them, and what is let in holds its places until its answer has ended or is no longer wanted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;
use tower::{Layer, Service};

use super::limits::Limits;
use super::permit::{Admission, CallPermit};
use super::time::Time;
use super::{LimitOptions, permit};
use crate::caller::Caller;
use crate::error::Error;
use crate::standing::Standing;
use crate::telemetry::{self, methods};

/// Limits calls. Its clones count together.
#[derive(Clone)]
pub struct LimitLayer {
    pub(super) limits: Arc<Limits>,
}

impl LimitLayer {
    /// These limits. Refusals and open streams are counted by the meter that the process has by now.
    pub fn new(options: &LimitOptions) -> Self {
        methods::prepare();
        Self::from(Limits::new(options, &Time::monotonic(), &telemetry::meter()))
    }
}

impl From<Limits> for LimitLayer {
    fn from(limits: Limits) -> Self {
        Self { limits: Arc::new(limits) }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Limit { inner, limits: self.limits.clone() }
    }
}

/// A service with [`LimitLayer`].
#[derive(Clone)]
pub struct Limit<S> {
    inner: S,
    limits: Arc<Limits>,
}

impl<S, B, T> Service<Request<B>> for Limit<S>
where
    S: Service<Request<B>, Response = Response<T>>,
{
    type Response = Response<LimitedBody<T>>;
    type Error = S::Error;
    type Future = LimitFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let caller = request.extensions().get::<Caller>();
        let standing = request.extensions().get::<Standing>();
        let state = match self.limits.admit(request.uri().path(), caller, standing) {
            Ok(admission) => {
                if let Some(permit) = admission.permit.clone().filter(|_| admission.outlives_caller) {
                    request.extensions_mut().insert(permit);
                }
                State::Admitted { inner: self.inner.call(request), admission }
            }
            Err(error) => State::Refused { error },
        };
        LimitFuture { state }
    }
}

pin_project! {
    /// The answer of [`Limit`].
    #[derive(Debug)]
    pub struct LimitFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProjection]
    enum State<F> {
        Admitted { #[pin] inner: F, admission: permit::Admission },
        Refused { error: Error },
    }
}

impl<F, T, E> Future for LimitFuture<F>
where
    F: Future<Output = Result<Response<T>, E>>,
{
    type Output = Result<Response<LimitedBody<T>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Admitted { inner, admission } => {
                let answered = ready!(inner.poll(cx));
                let Admission { permit, .. } = std::mem::take(admission);
                Poll::Ready(answered.map(|response| response.map(|inner| LimitedBody { inner: Some(inner), permit })))
            }
            StateProjection::Refused { error } => Poll::Ready(Ok(Status::from(error.clone()).into_http())),
        }
    }
}

pin_project! {
    /// The body of an answer of [`Limit`]. That of a refusal is empty.
    #[derive(Debug)]
    pub struct LimitedBody<T> {
        #[pin]
        inner: Option<T>,
        permit: Option<CallPermit>,
    }
}

impl<T> Default for LimitedBody<T> {
    fn default() -> Self {
        Self { inner: None, permit: None }
    }
}

impl<T: Body> Body for LimitedBody<T> {
    type Data = T::Data;
    type Error = T::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else { return Poll::Ready(None) };
        let frame = ready!(inner.poll_frame(cx));
        if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            *this.permit = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
