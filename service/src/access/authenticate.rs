//! Who is calling? A bearer token, if there is one, decides; otherwise the client certificate of the connection.

use http::HeaderMap;
use tokio::time::Instant;

use super::certificate;
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
    Credentials {
        /// Users of SPIFFE ids.
        spiffe: SpiffeRules,
        /// Tokens that Kubernetes knows.
        tokens: Tokens,
    },
}

impl Authenticator {
    /// Who is calling, with these headers on a connection with this verified client certificate (in DER).
    pub async fn caller(
        &self,
        headers: &HeaderMap,
        certificate: Option<&[u8]>,
        deadline: Instant,
    ) -> Result<Caller, Error> {
        let Self::Credentials { spiffe, tokens } = self else { return Ok(Caller::Server) };
        if let Some(bearer) = Bearer::of(headers)? {
            return tokens.caller(&bearer, deadline).await;
        }
        let Some(der) = certificate else { return Err(unauthenticated(NOTHING)) };
        let principal = certificate::principal(der, spiffe).map_err(|error| unauthenticated(error.to_string()))?;
        Ok(Caller::User(principal.into()))
    }
}

const NOTHING: &str = "there is neither a client certificate nor a bearer token";

pub(super) fn unauthenticated(detail: impl Into<String>) -> Error {
    Error::Unauthenticated { detail: detail.into() }
}
