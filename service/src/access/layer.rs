//! The door: a tower layer around all services but the health checks.
//!
//! It promises that a request that gets through has a [`Session`] and its [`Caller`](crate::caller::Caller) among its
//! extensions, and no header that claims to know
//! better who is calling. The credential itself goes no further. The connection's [`Standing`] is then that of somebody known.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Extensions, HeaderMap, Request, Response};
use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::Status;
use tower::{Layer, Service};

use super::metrics::Metrics;
use super::token::Bearer;
use super::{Access, Session};
use crate::error::Error;
use crate::standing::Standing;
use crate::{grpc_timeout, telemetry};

/// Services that anybody may call: probes have no credentials.
const OPEN: &str = "/grpc.health.v1.Health/";

/// The longest that it may take to find out who is calling.
const PATIENCE: Duration = Duration::from_secs(10);

/// How the layer learns which certificate a connection has shown: the verified leaf, in DER.
pub type CertificateOf = fn(&Extensions) -> Option<&[u8]>;

/// Lets nobody through who has not shown who they are.
#[derive(Clone)]
pub struct AccessLayer {
    access: Arc<Access>,
    certificate: CertificateOf,
    metrics: Metrics,
}

impl AccessLayer {
    /// A layer that finds certificates in this way.
    pub fn new(access: Access, certificate: CertificateOf) -> Self {
        Self { access: Arc::new(access), certificate, metrics: Metrics::new() }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = AccessService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AccessService { inner, layer: self.clone() }
    }
}

/// A service with [`AccessLayer`].
#[derive(Clone)]
pub struct AccessService<S> {
    inner: S,
    layer: AccessLayer,
}

impl<S, B, T> Service<Request<B>> for AccessService<S>
where
    S: Service<Request<B>, Response = Response<T>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    T: Default,
{
    type Response = Response<T>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let next = self.inner.clone();
        // The one that is ready, not its clone.
        let mut inner = std::mem::replace(&mut self.inner, next);
        let layer = self.layer.clone();
        Box::pin(async move {
            drop_claims(request.headers_mut());
            if !request.uri().path().starts_with(OPEN) {
                // Apart from the body, which need not be shared.
                let (mut parts, body) = request.into_parts();
                let session = layer.session(&parts).await;
                let has_token = parts.headers.remove(AUTHORIZATION).is_some();
                match session {
                    Ok(session) => {
                        request = Request::from_parts(parts, body);
                        telemetry::caller(session.caller().username());
                        request.extensions_mut().insert(session.caller().clone());
                        request.extensions_mut().insert(session);
                    }
                    Err(error) => {
                        layer.metrics.refused(has_token, (layer.certificate)(&parts.extensions).is_some(), &error);
                        return Ok(Status::from(error).into_http());
                    }
                }
            }
            inner.call(request).await
        })
    }
}

impl AccessLayer {
    async fn session(&self, request: &Parts) -> Result<Session, Error> {
        let patience = grpc_timeout::of(&request.headers).map_or(PATIENCE, |timeout| timeout.min(PATIENCE));
        let deadline = Instant::now() + patience;
        let bearer = Bearer::of(&request.headers)?;
        let certificate = (self.certificate)(&request.extensions);
        let standing = request.extensions.get::<Standing>();
        let caller = self.access.authenticator.caller(bearer.as_ref(), certificate, standing, deadline).await;
        let caller = caller.map_err(for_strangers)?;
        if let Some(standing) = standing {
            standing.vouch();
        }
        Ok(Session::new(caller, bearer, self.access.clone()))
    }
}

/// An error as those may know it who are not known. What Kubernetes or an issuer says of its own troubles, addresses among it, is
/// for those who run the server: it is logged, in the trace that the answer names (at the level `debug`, if there is more than one in a second).
fn for_strangers(error: Error) -> Error {
    let hidden = || "see the server's log, by the trace of this call".to_owned();
    let shown = match &error {
        Error::Unreachable { .. } => Error::Unreachable { detail: hidden() },
        Error::IssuerUnreachable { .. } => Error::IssuerUnreachable { detail: hidden() },
        Error::Internal { .. } => Error::Internal { detail: hidden() },
        _ => return error,
    };
    if is_worth_a_line() {
        tracing::warn!(%error, "could not find out who is calling");
    } else {
        tracing::debug!(%error, "could not find out who is calling");
    }
    shown
}

/// Whether a second has passed since the last line: strangers could fill the log while Kubernetes does not answer.
fn is_worth_a_line() -> bool {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let (mut last, now) = (LAST.lock(), Instant::now());
    let is_due = last.is_none_or(|last| now - last >= Duration::from_secs(1));
    if is_due {
        *last = Some(now);
    }
    is_due
}

/// Drops what proxies and apiservers use among themselves to say who is calling. From outside it is but a claim.
fn drop_claims(headers: &mut HeaderMap) {
    let is_claim = |name: &str| {
        name.starts_with("impersonate-") || name.starts_with("x-remote-") || name == "x-forwarded-client-cert"
    };
    let claims: Vec<_> = headers.keys().filter(|name| is_claim(name.as_str())).cloned().collect();
    for claim in claims {
        headers.remove(claim);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn who_is_not_known_learns_nothing_of_the_troubles_of_others() {
        let detail = || "connect to 10.0.0.1:6443: certificate of corp-ca".to_owned();
        for error in [
            Error::Unreachable { detail: detail() },
            Error::IssuerUnreachable { detail: detail() },
            Error::Internal { detail: detail() },
        ] {
            let shown = for_strangers(error.clone());
            assert_eq!(shown.reason(), error.reason());
            assert!(!shown.to_string().contains("10.0.0.1") && shown.to_string().contains("log"), "{shown}");
        }
        let refused = for_strangers(Error::Unauthenticated { detail: "why".to_owned() });
        assert!(matches!(refused, Error::Unauthenticated { detail } if detail == "why"));
    }

    #[test]
    fn claims_of_who_is_calling_are_dropped_and_nothing_else() {
        let mut headers = HeaderMap::new();
        for name in [
            "impersonate-user",
            "impersonate-extra-scopes",
            "x-remote-user",
            "x-remote-group",
            "x-forwarded-client-cert",
            "x-request-id",
        ] {
            headers.append(name, HeaderValue::from_static("a"));
            headers.append(name, HeaderValue::from_static("b"));
        }
        drop_claims(&mut headers);
        let left: Vec<&str> = headers.keys().map(|name| name.as_str()).collect();
        assert_eq!(left, ["x-request-id"]);
    }
}
