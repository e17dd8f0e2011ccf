//! A tower layer around the services, within access: each call that changes something gets an [`AuditCall`] among its
//! extensions, and its id in the answer; what never came to be carried out is recorded when it is answered.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use tonic::Status;
use tonic_types::StatusExt as _;
use tower::{Layer, Service};

use super::{AuditCall, Auditor, Outcome};
use crate::caller::Caller;
use crate::telemetry::{self, methods};
use crate::transport::Peer;

/// The response metadata that names the audit records of a change.
const AUDIT_ID: &str = "x-audit-id";

/// See the module.
#[derive(Clone)]
pub struct AuditLayer(Auditor);

impl AuditLayer {
    /// A layer whose records go to this auditor.
    pub fn new(auditor: Auditor) -> Self {
        Self(auditor)
    }
}

impl<S> Layer<S> for AuditLayer {
    type Service = Audited<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Audited { inner, auditor: self.0.clone() }
    }
}

/// A service with [`AuditLayer`].
#[derive(Clone)]
pub struct Audited<S> {
    inner: S,
    auditor: Auditor,
}

impl<S, B, T> Service<Request<B>> for Audited<S>
where
    S: Service<Request<B>, Response = Response<T>, Future: Send + 'static>,
    T: Send + 'static,
{
    type Response = Response<T>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let path = request.uri().path().trim_start_matches('/');
        let mutates = methods::lookup(path).is_some_and(|(_, method)| method.mutates());
        let caller = request.extensions().get::<Caller>();
        let call = caller.filter(|_| mutates).map(|caller| {
            let source = request.extensions().get::<Peer>().map(Peer::address);
            let trace_id = telemetry::trace().map(|(trace, _)| trace.to_string()).unwrap_or_default();
            AuditCall::new(self.auditor.clone(), path, caller, source, request.headers(), trace_id)
        });
        let Some(call) = call else { return Box::pin(self.inner.call(request)) };
        request.extensions_mut().insert(call.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            let refusal = Status::from_header_map(response.headers()).map(|status| outcome(&status));
            if let Some(refusal) = refusal {
                call.refused(refusal).await;
            }
            if let Ok(id) = HeaderValue::try_from(call.id().to_string()) {
                response.headers_mut().insert(AUDIT_ID, id);
            }
            Ok(response)
        })
    }
}

/// How a call ended, by its status.
pub(super) fn outcome(status: &Status) -> Outcome {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    Outcome { code: telemetry::code_name(status.code()).to_owned(), reason, ..Outcome::default() }
}
