//! The door: a tower layer around all services but the health checks.
//!
//! It promises that a request that gets through has a [`Session`] and its [`Caller`](crate::caller::Caller) among its
//! extensions, and no header that claims to know
//! better who is calling. The credential itself goes no further. The connection's [`Standing`] is then that of somebody known.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Extensions, HeaderMap, Request, Response};
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
    access: Access,
    certificate: CertificateOf,
    metrics: Metrics,
}

impl AccessLayer {
    /// A layer that finds certificates in this way.
    pub fn new(access: Access, certificate: CertificateOf) -> Self {
        Self { access, certificate, metrics: Metrics::new() }
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
        let caller = self.access.authenticator.caller(bearer.as_ref(), certificate, standing, deadline).await?;
        if let Some(standing) = standing {
            standing.vouch();
        }
        Ok(Session::new(caller, bearer, self.access.clone()))
    }
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
