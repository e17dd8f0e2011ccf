//! Who is calling? A bearer token, if there is one, decides; otherwise the client certificate of the connection.

use std::sync::Arc;

use http::HeaderMap;
use tokio::time::Instant;

use super::certificate;
use super::oidc::Oidc;
use super::spiffe::SpiffeRules;
use super::token::{Bearer, Tokens};
use crate::caller::Caller;
use crate::error::Error;

/// Finds out who is calling.
#[derive(Clone)]
pub enum Authenticator {
    /// Nobody is asked: all callers act with the server's rights. Only for development, on loopback.
    Nobody,
    /// By what callers show.
    Credentials(Arc<Credentials>),
}

/// The kinds of credentials that callers may show.
pub struct Credentials {
    /// Users of SPIFFE ids in client certificates.
    pub spiffe: SpiffeRules,
    /// Tokens that Kubernetes knows.
    pub tokens: Tokens,
    /// Tokens of an issuer for callers whom Kubernetes does not know, if there is one.
    pub oidc: Option<Oidc>,
}

impl Authenticator {
    /// Who is calling, with these headers on a connection with this verified client certificate (in DER).
    pub async fn caller(
        &self,
        headers: &HeaderMap,
        certificate: Option<&[u8]>,
        deadline: Instant,
    ) -> Result<Caller, Error> {
        let Self::Credentials(known) = self else { return Ok(Caller::Server) };
        if let Some(bearer) = Bearer::of(headers)? {
            return known.bearer(&bearer, deadline).await;
        }
        let Some(der) = certificate else { return Err(unauthenticated(NOTHING)) };
        let principal =
            certificate::principal(der, &known.spiffe).map_err(|error| unauthenticated(error.to_string()))?;
        Ok(Caller::User(principal.into()))
    }
}

impl Credentials {
    /// Whose token this is. A token that says that it is of the issuer is not shown to Kubernetes, also if it is bad.
    async fn bearer(&self, bearer: &Bearer, deadline: Instant) -> Result<Caller, Error> {
        match self.oidc.as_ref().filter(|oidc| oidc.claims_to_issue(bearer)) {
            Some(oidc) => oidc.caller(bearer, deadline).await,
            None => self.tokens.caller(bearer, deadline).await,
        }
    }
}

const NOTHING: &str = "there is neither a client certificate nor a bearer token";

pub(super) fn unauthenticated(detail: impl Into<String>) -> Error {
    Error::Unauthenticated { detail: detail.into() }
}
