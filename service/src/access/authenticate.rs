//! Who is calling? A bearer token, if there is one, decides; otherwise the client certificate of the connection.

use std::sync::Arc;

use jiff::Timestamp;
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
    /// Who is calling with this token, on a connection with this verified client certificate (in DER).
    pub(super) async fn caller(
        &self,
        bearer: Option<&Bearer>,
        certificate: Option<&[u8]>,
        deadline: Instant,
    ) -> Result<Caller, Error> {
        let Self::Credentials(known) = self else { return Ok(Caller::Server) };
        match (bearer, certificate) {
            (Some(bearer), _) => self.bearer(bearer, deadline).await,
            (None, Some(der)) => {
                let principal = certificate::principal(der, &known.spiffe);
                let principal = principal.map_err(|error| unauthenticated(error.to_string()))?;
                if principal.has_expired(Timestamp::now()) {
                    return Err(unauthenticated("the client certificate has expired"));
                }
                Ok(Caller::User(principal.into()))
            }
            (None, None) => Err(unauthenticated(NOTHING)),
        }
    }

    /// Whose token this is.
    pub(super) async fn bearer(&self, bearer: &Bearer, deadline: Instant) -> Result<Caller, Error> {
        match self {
            Self::Nobody => Ok(Caller::Server),
            Self::Credentials(known) => known.bearer(bearer, deadline).await,
        }
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
