//! Bearer tokens that Kubernetes knows: it is asked whose they are (TokenReview), and its answer kept for a few seconds.
//!
//! A token must be meant for nodeward, by its audience: one that its bearer sent to somebody else is of no use here.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::UserInfo;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::answers::Answers;
use super::authenticate::unauthenticated;
use crate::caller::{Caller, Credential, Principal};
use crate::cluster::Reviews;
use crate::error::Error;

/// The longest token: it must fit in the header list, and no authenticator makes one of this size.
const LONGEST: usize = 12 * 1024;

/// A bearer token. It is shown nowhere.
#[derive(Clone)]
pub struct Bearer(Arc<str>);

impl Bearer {
    /// The token in these headers, if there is one.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(unauthenticated("there is more than one authorization header"));
        }
        let malformed = || unauthenticated("the authorization header must be `Bearer` and a token");
        let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > LONGEST {
            return Err(malformed());
        }
        Ok(Some(Self(token.into())))
    }

    /// What a JWT says of itself, whoever made it.
    pub(super) fn unverified_claims(&self) -> Option<Claims> {
        let payload = self.0.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(..)")
    }
}

/// Claims of a JWT.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) exp: Option<f64>,
}

/// Finds out whose tokens are.
#[derive(Clone)]
pub struct Tokens {
    reviews: Reviews,
    audiences: Vec<String>,
    /// By the hash of the token, which is not kept itself.
    answers: Answers<[u8; 32], Option<Arc<Principal>>>,
}

impl Tokens {
    /// Tokens for these audiences.
    pub fn new(reviews: Reviews, audiences: Vec<String>) -> Self {
        Self { reviews, audiences, answers: Answers::new("asking whose token it is") }
    }

    /// Whose token this is.
    pub(super) async fn caller(&self, bearer: &Bearer, deadline: Instant) -> Result<Caller, Error> {
        let hash: [u8; 32] = Sha256::digest(bearer.text()).into();
        let ask = async |until| {
            let user = self.reviews.token(bearer.text(), &self.audiences, until).await?;
            Ok(user.and_then(|user| principal(user, bearer)).map(Arc::new))
        };
        match self.answers.get(hash, deadline, ask).await? {
            Some(principal) if !principal.has_expired(Timestamp::now()) => {
                refuse_whom_nobody_can_act_for(&principal)?;
                Ok(Caller::User(principal))
            }
            _ => Err(unauthenticated("the token is not valid, or not for this service")),
        }
    }
}

/// Kubernetes lets nobody change a node in the name of these by constrained impersonation. They are told so before they have
/// read anything, rather than at their first change.
fn refuse_whom_nobody_can_act_for(user: &Principal) -> Result<(), Error> {
    const MASTERS: &str = "system:masters";
    let who = if user.groups.iter().any(|group| group == MASTERS) {
        "members of system:masters"
    } else if user.username.starts_with("system:node:") {
        "nodes"
    } else {
        return Ok(());
    };
    Err(unauthenticated(format!("{who} can't act through nodeward: use a token of somebody else")))
}

fn principal(user: UserInfo, bearer: &Bearer) -> Option<Principal> {
    // Kubernetes has verified the token, so what it says of its end is true.
    let exp = bearer.unverified_claims().and_then(|claims| claims.exp);
    let expires = exp.and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
    Some(Principal {
        username: user.username.filter(|name| !name.is_empty())?,
        // Kubernetes adds this one to whomever it lets in.
        groups: user.groups.unwrap_or_default().into_iter().filter(|group| group != "system:authenticated").collect(),
        credential: Credential::KubernetesToken,
        expires,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;
    use crate::cluster::{Cluster, Connection};

    fn bearer(values: &[&'static str]) -> Result<Option<Bearer>, Error> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        Bearer::of(&headers)
    }

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        assert_eq!(bearer(&["bearer abc"]).unwrap().unwrap().text(), "abc");
        assert!(bearer(&[]).unwrap().is_none());
    }

    #[test]
    fn other_authorizations_are_refused_rather_than_passed_over() {
        for values in [&["Basic abc"][..], &["Bearer"], &["Bearer "], &["Bearer a", "Bearer b"]] {
            assert!(matches!(bearer(values), Err(Error::Unauthenticated { .. })), "{values:?}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        assert_eq!(format!("{:?}", bearer(&["Bearer secret"]).unwrap().unwrap()), "Bearer(..)");
    }

    /// What is answered to a token that Kubernetes says is of this user.
    async fn of(username: &str, groups: &[&str]) -> Result<Caller, Error> {
        let user = serde_json::json!({ "username": username, "groups": groups });
        let status = serde_json::json!({ "authenticated": true, "audiences": ["nodeward"], "user": user });
        let review = serde_json::json!({ "metadata": {}, "spec": {}, "status": status });
        let cluster = Cluster::new(Connection::answering(move |_, _| std::future::ready(review.clone())));
        let tokens = Tokens::new(cluster.reviews().clone(), vec!["nodeward".to_owned()]);
        tokens.caller(&Bearer("token".into()), Instant::now() + Duration::from_secs(10)).await
    }

    #[tokio::test]
    async fn a_token_is_the_users_that_kubernetes_says() {
        let Caller::User(user) = of("alice", &["a", "system:authenticated"]).await.unwrap() else { panic!() };
        assert_eq!((user.username.as_str(), user.groups.as_slice()), ("alice", ["a".to_owned()].as_slice()));
    }

    #[tokio::test]
    async fn whom_nobody_can_act_for_is_told_so_at_the_door() {
        for (username, groups) in [
            ("alice", &["a", "system:masters"][..]),
            ("system:node:worker-1", &["system:nodes"]),
            ("system:node:", &[]),
        ] {
            let refused = of(username, groups).await;
            let Err(Error::Unauthenticated { detail }) = refused else { panic!("{username}: {refused:?}") };
            assert!(detail.contains("can't act through nodeward"), "{detail}");
        }
        assert!(of("alice", &["system:nodes"]).await.is_ok());
    }

    #[test]
    fn the_end_of_a_jwt_is_known() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"exp": 1790000000.5, "iss": "x"}"#);
        let bearer = Bearer(format!("h.{payload}.s").into());
        assert_eq!(bearer.unverified_claims().unwrap().exp, Some(1_790_000_000.5));
        assert!(Bearer("opaque".into()).unverified_claims().is_none());
    }
}
