//! The span of each call to Kubernetes, what is measured of it, and what Kubernetes is told of the trace and the audit
//! record it belongs to: a tower layer of the Kubernetes client.
//!
//! A call gets a span if it is part of a sampled trace. The reads that the server makes for itself, such as the watches
//! that feed its caches, are part of none. The span ends with the head of the answer, so a watch's is that of its opening.
//! Every call is measured, up to the same moment.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, Uri};
use kube::client::Body;
use opentelemetry::Context as TraceContext;
use opentelemetry::metrics::Meter;
use opentelemetry::trace::TraceContextExt as _;
use tower::buffer::Buffer;
use tower::{BoxError, Layer, Service};
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

use super::kube_call::KubeCall;
use super::kube_metrics::KubeMetrics;
use super::{metrics, names, propagation};

/// As many calls as the Kubernetes client itself lets wait.
const BUFFER: usize = 1024;

tokio::task_local! {
    static AUDIT_ID: Uuid;
}

/// Runs `future` so that Kubernetes files all its calls under the audit id `id`. Tasks that it spawns are not included.
pub async fn with_audit_id<F: Future>(id: Uuid, future: F) -> F::Output {
    AUDIT_ID.scope(id, future).await
}

/// Makes the spans of calls to Kubernetes and measures them; for `kube::client::ClientBuilder::with_layer`, within a tokio
/// runtime.
#[derive(Debug, Clone)]
pub struct KubeTraceLayer {
    observer: Observer,
}

/// What is known of calls beforehand, and where they are measured.
#[derive(Debug, Clone)]
struct Observer {
    server: Arc<(String, u16)>,
    metrics: KubeMetrics,
}

impl KubeTraceLayer {
    /// A layer for calls to the cluster at `url`: `kube::Config::cluster_url`.
    pub fn new(url: &Uri) -> Self {
        let usual = if url.scheme_str() == Some("http") { 80 } else { 443 };
        let port = url.port_u16().unwrap_or(usual);
        let server = Arc::new((url.host().unwrap_or_default().to_owned(), port));
        Self { observer: Observer { server, metrics: KubeMetrics::new(&metrics::meter()) } }
    }

    /// Measures with instruments of this meter, not with those of the process.
    pub fn measured_by(mut self, meter: &Meter) -> Self {
        self.observer.metrics = KubeMetrics::new(meter);
        self
    }
}

impl<S> Layer<S> for KubeTraceLayer
where
    S: Service<Request<Body>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError> + Send + Sync + 'static,
{
    type Service = KubeTrace<Buffer<Request<Body>, S::Future>>;

    fn layer(&self, inner: S) -> Self::Service {
        // The client calls its services in a task of its own, where neither the span nor the audit id of the caller are
        // known, but lets the caller wait for the future. So that the future can do all the work, it takes a service of
        // its own with it, which a buffer makes possible.
        KubeTrace { inner: Buffer::new(inner, BUFFER), observer: self.observer.clone() }
    }
}

/// A Kubernetes client with [`KubeTraceLayer`].
#[derive(Debug, Clone)]
pub struct KubeTrace<S> {
    inner: S,
    observer: Observer,
}

impl<S, T: 'static> Service<Request<Body>> for KubeTrace<S>
where
    S: Service<Request<Body>, Response = Response<T>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<T>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let next = self.inner.clone();
        // The one that is ready, not its clone.
        let ready = std::mem::replace(&mut self.inner, next);
        Box::pin(traced(ready, request, self.observer.clone()))
    }
}

async fn traced<S, T>(mut service: S, mut request: Request<Body>, observer: Observer) -> Result<Response<T>, BoxError>
where
    S: Service<Request<Body>, Response = Response<T>, Error = BoxError>,
{
    name_audit(&mut request);
    let caller = TraceContext::current();
    let sampled = caller.span().span_context().is_sampled();
    let call = KubeCall::begin(&request, &observer.server, &observer.metrics, sampled);
    propagation::inject(&call.span().map_or(caller, Span::context), request.headers_mut());
    // Without one of its own, a call stays in the span of its caller.
    let span = call.span().cloned().unwrap_or_else(Span::none);
    let answer = span.in_scope(|| service.call(request)).instrument(span).await;
    match &answer {
        Ok(response) => call.answered(response.status()),
        Err(error) => call.failed(error.as_ref()),
    }
    answer
}

fn name_audit(request: &mut Request<Body>) {
    let id = AUDIT_ID.try_with(|id| HeaderValue::try_from(id.to_string()));
    if let Ok(Ok(id)) = id {
        request.headers_mut().insert(names::AUDIT_ID_HEADER, id);
    }
}
