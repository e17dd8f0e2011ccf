//! A tower layer around the services, within access: each call that changes something gets an [`AuditCall`] among its
//! extensions, and its id in the answer; what never came to be carried out is recorded when it is answered, or when its caller leaves.

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
        let unanswered = Unanswered(Some(call.clone()));
        Box::pin(async move {
            let mut response = answer.await?;
            unanswered.answered();
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

/// A call that is not answered. If this is dropped, it never will be.
struct Unanswered(Option<AuditCall>);

impl Unanswered {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call.left();
        }
    }
}

/// How a call ended, by its status.
pub(super) fn outcome(status: &Status) -> Outcome {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    Outcome { code: telemetry::code_name(status.code()).to_owned(), reason, ..Outcome::default() }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;

    use futures::FutureExt;
    use tower::service_fn;

    use super::*;
    use crate::audit::testing::{auditor, records};
    use crate::audit::{AuditOptions, Stage};

    /// Calls and leaves: the stages and codes that are on record then.
    async fn after_leaving(timeout: Option<&str>, is_taken_over: bool) -> Vec<(Stage, String)> {
        let (auditor, _dir) = auditor(AuditOptions::default()).await;
        let handler = move |request: Request<()>| {
            if is_taken_over {
                request.extensions().get::<AuditCall>().unwrap().is_taken_over();
            }
            pending::<Result<Response<()>, Infallible>>()
        };
        let mut request = Request::new(());
        *request.uri_mut() = "/nodeward.v1.NodeService/CordonNode".parse().unwrap();
        request.extensions_mut().insert(Caller::Server);
        if let Some(timeout) = timeout {
            request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
        }
        let mut answer = AuditLayer::new(auditor.clone()).layer(service_fn(handler)).call(request);
        assert!((&mut answer).now_or_never().is_none());
        drop(answer);
        auditor.close().await;
        records(&auditor)
    }

    #[tokio::test]
    async fn a_caller_who_leaves_before_the_change_is_begun_is_on_record() {
        let cancelled = [(Stage::ResponseComplete, "CANCELLED".to_owned())];
        assert_eq!(after_leaving(None, false).await, cancelled);
        assert_eq!(after_leaving(Some("1H"), false).await, cancelled);
        let late = [(Stage::ResponseComplete, "DEADLINE_EXCEEDED".to_owned())];
        assert_eq!(after_leaving(Some("0n"), false).await, late);
    }

    #[tokio::test]
    async fn of_a_change_that_is_begun_its_own_task_tells_the_outcome() {
        assert_eq!(after_leaving(None, true).await, []);
    }
}
