//! Who is asked about a token: its issuer or Kubernetes.

use super::*;
use crate::access::{Authenticator, Certificates, Credentials, SpiffeRules, Tokens};
use crate::cluster::{Cluster, Connection};

/// Accepts tokens of this issuer. Kubernetes, which is asked about all others, does not answer.
fn authenticator(oidc: Option<Oidc>) -> Authenticator {
    let cluster = Cluster::new(Connection::nowhere());
    let tokens = Tokens::new(cluster.reviews().clone(), vec!["nodeward".to_owned()]);
    Authenticator::Credentials(Arc::new(Credentials {
        certificates: Certificates::new(SpiffeRules::default()),
        tokens,
        oidc,
    }))
}

async fn ask(authenticator: &Authenticator, token: &str) -> Result<Caller, Error> {
    let bearer = bearer(token).unwrap();
    authenticator.caller(Some(&bearer), None, None, Instant::now() + Duration::from_secs(60)).await
}

fn is_of_kubernetes(answer: &Result<Caller, Error>) -> bool {
    matches!(answer, Err(Error::Unreachable { detail }) if detail.contains("there is no cluster"))
}

#[tokio::test]
async fn a_token_of_the_issuer_is_not_shown_to_kubernetes() {
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    let authenticator = authenticator(Some(oidc(&issuer.url)));
    let token = TestToken::new(&issuer.url, "one");
    assert_eq!(ask(&authenticator, &token.signed(&key)).await.unwrap().username(), "oidc:alice");

    let answer = ask(&authenticator, &token.signed(&SigningKey::p256())).await;
    assert!(matches!(answer, Err(Error::Unauthenticated { .. })), "{answer:?}");
}

#[tokio::test]
async fn kubernetes_is_asked_about_all_other_tokens() {
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    let authenticator = authenticator(Some(oidc(&issuer.url)));
    let other = TestToken::new("https://kubernetes.default.svc", "one").signed(&key);
    for token in [other.as_str(), "opaque", "a.b.c"] {
        assert!(is_of_kubernetes(&ask(&authenticator, token).await), "{token}");
    }
    assert_eq!(issuer.times_asked(), 0);
}

#[tokio::test]
async fn kubernetes_is_asked_about_all_tokens_if_there_is_no_issuer() {
    let token = TestToken::new("https://login.example.com", "one").signed(&SigningKey::p256());
    assert!(is_of_kubernetes(&ask(&authenticator(None), &token).await));
}
