//! The span of each call that the server answers, and what is measured of it: a tower layer around all its gRPC services.
//!
//! It promises that
//! - the span is a child of the one that the caller names in `traceparent`, and is sampled as [`MutationSampler`] says,
//! - it has the RPC semantic conventions' name and attributes, and no other request header ever becomes one,
//! - its status is an error only if the server is at fault,
//! - the answer names the trace in the header `x-trace-id`, sampled or not, unless telemetry isn't started,
//! - the span of a call that streams ends when the stream is open, since it could stay so for hours,
//! - each call is measured by its method and status, once, however it ends; methods that don't exist are one.
//!
//! The work of a handler is in the span. A stream that it returns is not, but its log lines name the trace. A task that it
//! spawns is only if it is instrumented, see [`MutationSpan`](super::MutationSpan).
//!
//! [`MutationSampler`]: super::MutationSampler

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::metrics::Meter;
use pin_project_lite::pin_project;
use tonic::transport::server::TcpConnectInfo;
use tower::{Layer, Service};
use tracing::Instrument as _;
use tracing::instrument::Instrumented;

use super::rpc_call::{Call, Peer, Pending};
use super::rpc_metrics::RpcMetrics;
use super::{methods, metrics, names};

/// Makes the spans of calls and measures them; for `tonic::transport::Server::layer`, as the outermost layer.
#[derive(Debug, Clone)]
pub struct RpcTraceLayer {
    server: Option<Arc<(String, u16)>>,
    metrics: Arc<RpcMetrics>,
}

impl RpcTraceLayer {
    /// A layer whose spans don't say under which name clients know the server.
    pub fn new() -> Self {
        methods::prepare();
        Self { server: None, metrics: Arc::new(RpcMetrics::new(&metrics::meter())) }
    }

    /// Measures with instruments of this meter, not with those of the process.
    pub fn measured_by(mut self, meter: &Meter) -> Self {
        self.metrics = Arc::new(RpcMetrics::new(meter));
        self
    }

    /// Sets the name and the port under which clients know the server, if that is known.
    pub fn advertised(mut self, server: Option<(String, u16)>) -> Self {
        self.server = server.map(Arc::new);
        self
    }
}

impl Default for RpcTraceLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for RpcTraceLayer {
    type Service = RpcTrace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RpcTrace { inner, server: self.server.clone(), metrics: Arc::clone(&self.metrics) }
    }
}

/// A service with [`RpcTraceLayer`].
#[derive(Debug, Clone)]
pub struct RpcTrace<S> {
    inner: S,
    server: Option<Arc<(String, u16)>>,
    metrics: Arc<RpcMetrics>,
}

impl<S, B, T> Service<Request<B>> for RpcTrace<S>
where
    S: Service<Request<B>, Response = Response<T>>,
{
    type Response = Response<TracedBody<T>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let ends = Peer { server: self.server.as_deref(), client: client(&request) };
        let call = Call::begin(request.uri().path(), request.headers(), &ends, &self.metrics);
        let span = call.span().clone();
        let inner = span.in_scope(|| self.inner.call(request)).instrument(span);
        ResponseFuture { inner, call: Some(call) }
    }
}

/// The other end of the connection, as tonic's listener or an own one says.
fn client<B>(request: &Request<B>) -> Option<SocketAddr> {
    let extensions = request.extensions();
    let tonic = extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    tonic.or_else(|| extensions.get::<SocketAddr>().copied())
}

pin_project! {
    /// The answer of [`RpcTrace`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: Instrumented<F>,
        call: Option<Call>,
    }
}

impl<F, T, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<T>, E>>,
{
    type Output = Result<Response<TracedBody<T>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = match ready!(this.inner.poll(cx)) {
            Ok(response) => response,
            Err(error) => {
                this.call.take().into_iter().for_each(Call::broken);
                return Poll::Ready(Err(error));
            }
        };
        let pending = this.call.take().and_then(|call| {
            name_trace(&call, response.headers_mut());
            call.answered(response.headers())
        });
        Poll::Ready(Ok(response.map(|inner| TracedBody { inner, pending })))
    }
}

fn name_trace(call: &Call, headers: &mut HeaderMap) {
    let id = call.trace_id().and_then(|id| HeaderValue::try_from(id.to_string()).ok());
    if let Some(id) = id {
        headers.insert(names::TRACE_ID_HEADER, id);
    }
}

pin_project! {
    /// The body of an answer of [`RpcTrace`]: the status is in its trailers.
    #[derive(Debug)]
    pub struct TracedBody<T> {
        #[pin]
        inner: T,
        pending: Option<Pending>,
    }
}

impl<T: Body> Body for TracedBody<T> {
    type Data = T::Data;
    type Error = T::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = {
            let _trace = this.pending.as_ref().and_then(Pending::enter);
            ready!(this.inner.poll_frame(cx))
        };
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.pending.take().into_iter().for_each(|pending| pending.finished(trailers));
                }
            }
            // Without a status, and so broken for the caller.
            Some(Err(_)) | None => this.pending.take().into_iter().for_each(Pending::broken),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
