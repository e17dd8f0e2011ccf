//! Bearer tokens of an OpenID Connect issuer, for callers whom Kubernetes itself does not know.
//!
//! They are verified here, with the keys that the issuer publishes, and never shown to Kubernetes. If the issuer can't be
//! asked for its keys, it is not known whose a token is: that is said, and nobody is told that their token is bad.

mod claims;
mod crypto;
mod fetch;
mod issuer_url;
mod jwks;
mod keeper;
mod options;
mod verify;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use jsonwebtoken::dangerous::insecure_decode_claims;
use moka::future::Cache;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::authenticate::unauthenticated;
use super::token::Bearer;
use crate::caller::{Caller, Principal};
use crate::error::Error;

use claims::Mapping;
use fetch::Fetch;
use keeper::Keeper;
use verify::Verifier;

pub use issuer_url::IssuerUrl;
pub use options::{OidcOptions, RequiredClaim, SigningAlg};

/// How long a token that was verified is taken as verified.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// The most tokens that are taken as verified.
const MOST_VERIFIED: u64 = 10_000;

/// Finds out whose tokens of an issuer are.
#[derive(Clone)]
pub struct Oidc(Arc<Issuer>);

struct Issuer {
    url: IssuerUrl,
    keys: Keeper,
    verifier: Verifier,
    mapping: Mapping,
    /// By the hashes of their tokens.
    verified: Cache<[u8; 32], Arc<Principal>>,
}

/// Who made a token, by its own word.
#[derive(Deserialize)]
struct Issued {
    iss: String,
}

impl Oidc {
    /// The issuer that is configured, if one is. It is not asked anything yet, and may be down. Fails if there are no CAs
    /// to verify its certificate with.
    pub fn new(options: &OidcOptions) -> anyhow::Result<Option<Self>> {
        let Some(url) = options.oidc_issuer_url.clone() else { return Ok(None) };
        crypto::install();
        let fetch = Fetch::new(url.clone(), options.oidc_ca_file.clone())?;
        let source = move || {
            let fetch = fetch.clone();
            async move { fetch.keys().await }.boxed()
        };
        let algorithms = options.oidc_signing_algs.iter().copied().map(Algorithm::from).collect();
        Ok(Some(Self(Arc::new(Issuer {
            keys: Keeper::new(url.as_str(), Box::new(source)),
            verifier: Verifier::new(url.as_str(), &options.oidc_audience, algorithms),
            mapping: Mapping::new(options, url.as_str()),
            verified: Cache::builder().max_capacity(MOST_VERIFIED).time_to_live(GOOD_FOR).build(),
            url,
        }))))
    }

    /// Whether a token says that it is of this issuer. If so, nobody else is asked about it.
    pub(super) fn claims_to_issue(&self, bearer: &Bearer) -> bool {
        insecure_decode_claims(bearer.text()).is_ok_and(|issued: Issued| issued.iss == self.0.url.as_str())
    }

    /// Whose token of this issuer this is.
    pub(super) async fn caller(&self, bearer: &Bearer, deadline: Instant) -> Result<Caller, Error> {
        let hash: [u8; 32] = Sha256::digest(bearer.text()).into();
        let known = self.0.verified.get(&hash).await;
        if let Some(principal) = known.filter(|principal| !principal.has_expired(Timestamp::now())) {
            return Ok(Caller::User(principal));
        }
        let principal = Arc::new(self.0.principal(bearer.text(), deadline).await?);
        self.0.verified.insert(hash, principal.clone()).await;
        Ok(Caller::User(principal))
    }
}

impl Issuer {
    async fn principal(&self, token: &str, deadline: Instant) -> Result<Principal, Error> {
        let header = self.verifier.header(token).map_err(unauthenticated)?;
        let (id, algorithm) = (header.kid.as_deref(), header.alg);
        let keys = self.keys.keys(|keys| keys.find(id, algorithm).is_some(), deadline).await?;
        let key = keys.find(id, algorithm).ok_or_else(|| unauthenticated(UNKNOWN_KEY))?;
        let claims = self.verifier.claims(token, key, algorithm).map_err(unauthenticated)?;
        self.mapping.principal(&claims, Timestamp::now()).map_err(unauthenticated)
    }
}

const UNKNOWN_KEY: &str = "the token is signed with a key that its issuer does not publish for this";
