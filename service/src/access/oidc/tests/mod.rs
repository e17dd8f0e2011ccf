//! Tokens of an issuer in this process, from the header of a call to its caller.

mod dispatch;
mod fetching;
mod issuer;
mod keeper;
mod keys;
#[path = "../../../../../tests/support/nobody.rs"]
mod nobody;
mod rotation;
mod secrecy;
mod token;
mod verification;

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use self::issuer::TestIssuer;
use self::keys::SigningKey;
use self::token::TestToken;
use super::*;

/// Accepts tokens of this issuer for the audience `nodeward`, signed as the algorithms say.
fn options(issuer: &str, algorithms: &[SigningAlg]) -> OidcOptions {
    OidcOptions {
        oidc_issuer_url: Some(issuer.parse().unwrap()),
        oidc_audience: vec!["nodeward".to_owned()],
        oidc_username_prefix: Some("oidc:".to_owned()),
        oidc_signing_algs: algorithms.to_vec(),
        ..OidcOptions::default()
    }
}

fn oidc(issuer: &str) -> Oidc {
    Oidc::new(&options(issuer, &[SigningAlg::Es256])).unwrap().unwrap()
}

fn bearer(token: &str) -> Result<Bearer, Error> {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    Bearer::of(&HeaderMap::from_iter([(AUTHORIZATION, value)])).map(Option::unwrap)
}

async fn principal(oidc: &Oidc, token: &str) -> Result<Arc<Principal>, Error> {
    let deadline = Instant::now() + Duration::from_secs(60);
    match oidc.caller(&bearer(token)?, deadline).await? {
        Caller::User(principal) => Ok(principal),
        Caller::Server => panic!("nobody becomes the server"),
    }
}

async fn username(oidc: &Oidc, token: &str) -> String {
    principal(oidc, token).await.unwrap().username.clone()
}

/// Why nobody is shown to be there by this token.
async fn refusal(oidc: &Oidc, token: &str) -> String {
    match principal(oidc, token).await {
        Err(Error::Unauthenticated { detail }) => detail,
        other => panic!("{other:?}"),
    }
}

/// What the caller is told while the issuer can't be asked.
async fn unreachable(oidc: &Oidc, token: &str) -> String {
    match principal(oidc, token).await {
        Err(Error::IssuerUnreachable { detail }) => detail,
        other => panic!("{other:?}"),
    }
}

/// Lets time go by, for all but the network.
async fn later(duration: Duration) {
    tokio::time::pause();
    tokio::time::advance(duration).await;
    tokio::time::resume();
}
