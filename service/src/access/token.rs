//! Bearer tokens that Kubernetes knows: it is asked whose they are (TokenReview), and its answer kept for a few seconds.
//!
//! A token must be meant for nodeward, by its audience: one that its bearer sent to somebody else is of no use here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::UserInfo;
use moka::sync::Cache;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::answers::{Answers, MOST_ANSWERS};
use super::authenticate::unauthenticated;
use super::limit::Time;
use super::strangers::{Hash, Strangers};
use crate::caller::{Caller, Credential, Details, Principal};
use crate::cluster::Reviews;
use crate::error::Error;
use crate::standing::Standing;

/// The longest token: it must fit in the header list, and no authenticator makes one of this size.
const LONGEST: usize = 12 * 1024;

/// How long an answer is good for. Each apiserver keeps its own for ten seconds: over several of them a token that is revoked
/// may be good for so long, and for this time after.
const GOOD_FOR: Duration = Duration::from_secs(5);

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

    #[cfg(test)]
    pub(super) fn from_text(text: &str) -> Self {
        Self(text.into())
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
    good: Answers<Hash, Arc<Principal>>,
    /// Apart from those that are good, so that whoever makes up tokens drives none of these out.
    bad: Cache<Hash, ()>,
    strangers: Arc<Strangers>,
}

impl Tokens {
    /// Tokens for these audiences.
    pub fn new(reviews: Reviews, audiences: Vec<String>) -> Self {
        let bad = Cache::builder().max_capacity(MOST_ANSWERS).time_to_live(GOOD_FOR).build();
        let strangers = Arc::new(Strangers::new(Time::monotonic()));
        Self { reviews, audiences, good: Answers::new("asking whose token it is", GOOD_FOR), bad, strangers }
    }

    /// Whose token this is, which was shown on this connection; on none, if it is that of a stream that is open.
    pub(super) async fn caller(
        &self,
        bearer: &Bearer,
        standing: Option<&Standing>,
        deadline: Instant,
    ) -> Result<Caller, Error> {
        let hash: Hash = Sha256::digest(bearer.text()).into();
        if self.bad.contains_key(&hash) {
            return Err(not_valid());
        }
        let ask = |until| self.ask(hash, bearer, standing, until);
        let principal = self.good.get(hash, deadline, ask).await?;
        if principal.has_expired(Timestamp::now()) {
            return Err(not_valid());
        }
        Ok(Caller::User(principal))
    }

    async fn ask(
        &self,
        hash: Hash,
        bearer: &Bearer,
        standing: Option<&Standing>,
        until: Instant,
    ) -> Result<Arc<Principal>, Error> {
        let question = self.strangers.question(hash, standing, until).await?;
        match self.reviews.token(bearer.text(), &self.audiences, until).await {
            Ok(user) => match user.and_then(|user| principal(user, bearer)) {
                Some(principal) => {
                    question.was_good();
                    Ok(Arc::new(principal))
                }
                None => {
                    question.was_bad();
                    self.bad.insert(hash, ());
                    Err(not_valid())
                }
            },
            Err(error) => {
                question.was_not_answered();
                Err(error)
            }
        }
    }
}

fn not_valid() -> Error {
    unauthenticated("the token is not valid, or not for this service")
}

fn principal(user: UserInfo, bearer: &Bearer) -> Option<Principal> {
    // Kubernetes has verified the token, so what it says of its end is true.
    let exp = bearer.unverified_claims().and_then(|claims| claims.exp);
    let expires = exp.and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
    Some(Principal {
        username: user.username.filter(|name| !name.is_empty())?,
        // Kubernetes adds this one to whomever it lets in.
        groups: user.groups.unwrap_or_default().into_iter().filter(|group| group != "system:authenticated").collect(),
        details: Details { uid: user.uid.unwrap_or_default(), extra: user.extra.unwrap_or_default() },
        credential: Credential::KubernetesToken,
        expires,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

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
        let extra = serde_json::json!({ "authentication.kubernetes.io/pod-name": ["backend-1"] });
        let user = serde_json::json!({ "username": username, "groups": groups, "uid": "7", "extra": extra });
        let status = serde_json::json!({ "authenticated": true, "audiences": ["nodeward"], "user": user });
        let review = serde_json::json!({ "metadata": {}, "spec": {}, "status": status });
        let cluster = Cluster::new(Connection::answering(move |_, _| std::future::ready(review.clone())));
        let tokens = Tokens::new(cluster.reviews().clone(), vec!["nodeward".to_owned()]);
        tokens.caller(&Bearer("token".into()), None, Instant::now() + Duration::from_secs(10)).await
    }

    #[tokio::test]
    async fn a_token_is_the_users_that_kubernetes_says() {
        let Caller::User(user) = of("alice", &["a", "system:authenticated"]).await.unwrap() else { panic!() };
        assert_eq!((user.username.as_str(), user.groups.as_slice()), ("alice", ["a".to_owned()].as_slice()));
        assert_eq!(user.details.uid, "7");
        assert_eq!(user.details.extra["authentication.kubernetes.io/pod-name"], ["backend-1"]);
    }

    #[tokio::test]
    async fn made_up_tokens_are_asked_about_only_so_often_and_a_good_one_gets_in_meanwhile() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let cluster = Cluster::new(Connection::answering(move |_, review: serde_json::Value| {
            count.fetch_add(1, Ordering::Relaxed);
            let is_good = review["spec"]["token"] == "good";
            let user = serde_json::json!({ "username": "alice" });
            let status = serde_json::json!({ "authenticated": is_good, "audiences": ["nodeward"], "user": user });
            std::future::ready(serde_json::json!({ "metadata": {}, "spec": {}, "status": status }))
        }));
        let tokens = Tokens::new(cluster.reviews().clone(), vec!["nodeward".to_owned()]);
        let show = async |token: &str, standing: &Standing| {
            tokens.caller(&Bearer(token.into()), Some(standing), Instant::now() + Duration::from_secs(10)).await
        };
        let [attacker, neighbour] = [(); 2].map(|()| Standing::new([192, 0, 2, 1].into()));
        let mut refused = 0;
        for number in 0..1000 {
            let error = show(&format!("bad-{number}"), &attacker).await.unwrap_err();
            refused += usize::from(matches!(error, Error::AuthenticationOverloaded { .. }));
        }
        assert!(refused > 800, "{refused} were refused");
        assert_eq!(asked.load(Ordering::Relaxed), 1000 - refused);
        // The same that was no good a moment ago is not asked about again.
        assert!(matches!(show("bad-0", &attacker).await, Err(Error::Unauthenticated { .. })));
        assert_eq!(asked.load(Ordering::Relaxed), 1000 - refused);
        show("good", &neighbour).await.unwrap();
    }

    #[test]
    fn the_end_of_a_jwt_is_known() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"exp": 1790000000.5, "iss": "x"}"#);
        let bearer = Bearer(format!("h.{payload}.s").into());
        assert_eq!(bearer.unverified_claims().unwrap().exp, Some(1_790_000_000.5));
        assert!(Bearer("opaque".into()).unverified_claims().is_none());
    }
}
