//! Keys that come and go.

use futures::future::join_all;

use super::*;

const INTERVAL: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_new_key_is_known_after_one_more_fetch() {
    let (old, new) = (SigningKey::p256(), SigningKey::p256());
    let issuer = TestIssuer::start(&[("old", &old)]).await;
    let oidc = oidc(&issuer.url);
    assert_eq!(username(&oidc, &TestToken::new(&issuer.url, "old").signed(&old)).await, "oidc:alice");
    assert_eq!(issuer.times_asked(), 1);

    issuer.publish(&[("old", &old), ("new", &new)]);
    later(INTERVAL).await;
    assert_eq!(username(&oidc, &TestToken::new(&issuer.url, "new").signed(&new)).await, "oidc:alice");
    let token = TestToken::new(&issuer.url, "old").claim("sub", "bob").signed(&old);
    assert_eq!(username(&oidc, &token).await, "oidc:bob");
    assert_eq!(issuer.times_asked(), 2);
}

#[tokio::test]
async fn a_removed_key_is_refused_once_the_keys_were_fetched_again() {
    let (old, new) = (SigningKey::p256(), SigningKey::p256());
    let issuer = TestIssuer::start(&[("old", &old)]).await;
    let oidc = oidc(&issuer.url);
    let token = |name: &str| TestToken::new(&issuer.url, "old").claim("sub", name).signed(&old);
    username(&oidc, &token("alice")).await;

    issuer.publish(&[("new", &new)]);
    later(INTERVAL).await;
    username(&oidc, &TestToken::new(&issuer.url, "new").signed(&new)).await;
    assert!(refusal(&oidc, &token("bob")).await.contains("does not publish"));
}

#[tokio::test]
async fn a_removed_key_is_refused_in_time_though_no_new_one_comes() {
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    let oidc = oidc(&issuer.url);
    let token = |name: &str| TestToken::new(&issuer.url, "one").claim("sub", name).signed(&key);
    username(&oidc, &token("alice")).await;

    issuer.publish(&[]);
    later(Duration::from_secs(600)).await;
    assert!(refusal(&oidc, &token("bob")).await.contains("does not publish"));
}

#[tokio::test]
async fn made_up_keys_do_not_make_the_server_ask_more_often() {
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    let oidc = oidc(&issuer.url);
    for round in 1..=3 {
        let tokens: Vec<String> = (0..200)
            .map(|number| TestToken::new(&issuer.url, &format!("made up {round} {number}")).signed(&key))
            .collect();
        let refusals = join_all(tokens.iter().map(|token| refusal(&oidc, token))).await;
        assert!(refusals.iter().all(|refusal| refusal.contains("does not publish")));
        assert_eq!(issuer.times_asked(), round);
        later(INTERVAL).await;
    }
}

#[tokio::test]
async fn a_key_of_the_wrong_type_under_a_known_id_is_refused() {
    let (p256, p384) = (SigningKey::p256(), SigningKey::p384());
    let issuer = TestIssuer::start(&[("one", &p256)]).await;
    let oidc = Oidc::new(&options(&issuer.url, &[SigningAlg::Es256, SigningAlg::Es384])).unwrap().unwrap();
    let token = TestToken::new(&issuer.url, "one").header("alg", "ES384").signed(&p384);
    assert!(refusal(&oidc, &token).await.contains("does not publish"));
}

#[tokio::test]
async fn a_token_without_a_key_id_is_verified_with_the_only_key_there_is() {
    let (one, two) = (SigningKey::p256(), SigningKey::p256());
    let issuer = TestIssuer::start(&[("one", &one)]).await;
    let oidc = oidc(&issuer.url);
    let token = |name: &str| {
        let token = TestToken::new(&issuer.url, "one").header("kid", serde_json::Value::Null);
        token.claim("sub", name).signed(&one)
    };
    assert_eq!(username(&oidc, &token("alice")).await, "oidc:alice");

    issuer.publish(&[("one", &one), ("two", &two)]);
    later(Duration::from_secs(600)).await;
    assert!(refusal(&oidc, &token("bob")).await.contains("does not publish"));
}
