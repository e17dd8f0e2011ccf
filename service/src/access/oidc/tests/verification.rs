//! Which tokens are good.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::issuer::Page;
use super::*;

/// An issuer with a key on P-256 by the id `one`.
struct World {
    issuer: TestIssuer,
    key: SigningKey,
    oidc: Oidc,
}

impl World {
    async fn new() -> Self {
        let key = SigningKey::p256();
        let issuer = TestIssuer::start(&[("one", &key)]).await;
        let oidc = oidc(&issuer.url);
        Self { issuer, key, oidc }
    }

    fn token(&self) -> TestToken {
        TestToken::new(&self.issuer.url, "one")
    }

    /// Why this token, signed as it should be, is refused.
    async fn refusal(&self, token: TestToken) -> String {
        refusal(&self.oidc, &token.signed(&self.key)).await
    }
}

#[tokio::test]
async fn a_good_token_shows_who_its_bearer_is() {
    let world = World::new().await;
    let token = world.token().claim("exp", 4_000_000_000_i64);
    let principal = principal(&world.oidc, &token.signed(&world.key)).await.unwrap();
    assert_eq!(principal.username, "oidc:alice");
    assert_eq!(principal.credential, crate::caller::Credential::OidcToken);
    assert_eq!(principal.expires, Some(Timestamp::from_second(4_000_000_000).unwrap()));
}

#[tokio::test]
async fn tokens_of_every_allowed_algorithm_are_verified() {
    let (rsa, p256, p384, ed25519) = (SigningKey::rsa(), SigningKey::p256(), SigningKey::p384(), SigningKey::ed25519());
    let issuer = TestIssuer::start(&[("rsa", &rsa), ("p256", &p256), ("p384", &p384), ("ed", &ed25519)]).await;
    let oidc = Oidc::new(&options(&issuer.url, clap::ValueEnum::value_variants())).unwrap().unwrap();
    for (id, key, algorithms) in [
        ("rsa", &rsa, &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..]),
        ("p256", &p256, &["ES256"]),
        ("p384", &p384, &["ES384"]),
        ("ed", &ed25519, &["EdDSA"]),
    ] {
        for name in algorithms {
            let token = TestToken::new(&issuer.url, id).header("alg", *name);
            assert_eq!(username(&oidc, &token.signed(key)).await, "oidc:alice", "{name}");
            // The same signature under another claim.
            let (signed, other) = (token.signed(key), token.claim("sub", "mallory").signed(key));
            let (message, _) = other.rsplit_once('.').unwrap();
            let forged = format!("{message}.{}", signed.rsplit_once('.').unwrap().1);
            assert!(refusal(&oidc, &forged).await.contains("not signed by its issuer"), "{name}");
        }
    }
    assert_eq!(issuer.times_asked(), 1);
}

#[tokio::test]
async fn a_key_whose_numbers_have_leading_zeros_is_understood() {
    let key = SigningKey::rsa();
    let issuer = TestIssuer::start(&[]).await;
    let mut jwk = key.jwk("one");
    for name in ["n", "e"] {
        let number = URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        jwk[name] = URL_SAFE_NO_PAD.encode([&[0], &number[..]].concat()).into();
    }
    issuer.answer_keys(Page::Json(json!({ "keys": [jwk] })));
    let oidc = Oidc::new(&options(&issuer.url, &[SigningAlg::Rs256])).unwrap().unwrap();
    let token = TestToken::new(&issuer.url, "one").header("alg", "RS256").signed(&key);
    assert_eq!(username(&oidc, &token).await, "oidc:alice");
}

#[tokio::test]
async fn only_rs256_is_allowed_unless_others_are() {
    let (rsa, p256) = (SigningKey::rsa(), SigningKey::p256());
    let issuer = TestIssuer::start(&[("rsa", &rsa), ("p256", &p256)]).await;
    let defaults = OidcOptions::default().oidc_signing_algs;
    let oidc = Oidc::new(&options(&issuer.url, &defaults)).unwrap().unwrap();
    let rs256 = TestToken::new(&issuer.url, "rsa").header("alg", "RS256").signed(&rsa);
    assert_eq!(username(&oidc, &rs256).await, "oidc:alice");
    let ps256 = TestToken::new(&issuer.url, "rsa").header("alg", "PS256").signed(&rsa);
    let es256 = TestToken::new(&issuer.url, "p256").signed(&p256);
    for token in [ps256, es256] {
        assert!(refusal(&oidc, &token).await.contains("algorithm that is not allowed"));
    }
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let world = World::new().await;
    assert!(world.refusal(world.token().time("exp", -1)).await.contains("expired"));
    assert!(world.refusal(world.token().time("exp", -3600)).await.contains("expired"));
    assert!(world.refusal(world.token().claim("exp", Value::Null)).await.contains("`exp`"));
}

#[tokio::test]
async fn a_token_that_is_not_valid_yet_is_refused() {
    let world = World::new().await;
    assert!(world.refusal(world.token().time("nbf", 60)).await.contains("not valid yet"));
    assert!(world.refusal(world.token().time("iat", 60)).await.contains("not valid yet"));
    assert!(principal(&world.oidc, &world.token().time("nbf", 10).signed(&world.key)).await.is_ok());
}

#[tokio::test]
async fn a_token_for_somebody_else_is_refused() {
    let world = World::new().await;
    for audience in [json!("kubernetes"), json!(["a", "b"]), json!([]), json!(7), Value::Null] {
        let refusal = world.refusal(world.token().claim("aud", audience.clone())).await;
        assert!(refusal.contains("not for this service") || refusal.contains("`aud`"), "{audience}: {refusal}");
    }
    let token = world.token().claim("aud", json!(["kubernetes", "nodeward"])).signed(&world.key);
    assert!(principal(&world.oidc, &token).await.is_ok());
}

#[tokio::test]
async fn a_token_of_another_issuer_is_refused() {
    let world = World::new().await;
    let slash = format!("{}/", world.issuer.url);
    for issuer in [json!("https://other.example.com"), json!(slash), json!(["https://other.example.com"])] {
        let refusal = world.refusal(world.token().claim("iss", issuer.clone())).await;
        assert!(refusal.contains("another issuer"), "{issuer}: {refusal}");
    }
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let world = World::new().await;
    for name in ["none", "None", "NONE", ""] {
        let token = world.token().header("alg", name).with_signature(|_| Vec::new());
        refusal(&world.oidc, &token).await;
    }
    let token = world.token().with_signature(|_| Vec::new());
    assert!(refusal(&world.oidc, &token).await.contains("not signed by its issuer"));
    assert!(refusal(&world.oidc, "no.jwt").await.contains("can't be read"));
}

#[tokio::test]
async fn a_public_key_is_not_taken_for_a_shared_secret() {
    let key = SigningKey::rsa();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    let oidc = Oidc::new(&options(&issuer.url, &[SigningAlg::Rs256])).unwrap().unwrap();
    let modulus = URL_SAFE_NO_PAD.decode(key.jwk("one")["n"].as_str().unwrap()).unwrap();
    for secret in [modulus, key.jwk("one").to_string().into_bytes()] {
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
        let token = TestToken::new(&issuer.url, "one").header("alg", "HS256");
        let token = token.with_signature(|message| ring::hmac::sign(&secret, message).as_ref().to_vec());
        assert!(refusal(&oidc, &token).await.contains("algorithm that is not allowed"));
    }
    assert_eq!(issuer.times_asked(), 0, "the issuer was asked for the key of a token that no key could make good");
}

#[tokio::test]
async fn a_key_that_a_token_brings_along_is_not_used() {
    let world = World::new().await;
    let theirs = SigningKey::p256();
    let token = world.token().header("jwk", theirs.jwk("one")).header("jku", "https://mallory.example.com/keys");
    assert!(refusal(&world.oidc, &token.signed(&theirs)).await.contains("not signed by its issuer"));
}

#[tokio::test]
async fn a_token_of_another_kind_is_refused() {
    let world = World::new().await;
    for typ in ["logout+jwt", "secevent+jwt", "application/logout+jwt", ""] {
        assert!(world.refusal(world.token().header("typ", typ)).await.contains("of a type"), "{typ}");
    }
    for typ in [json!("at+jwt"), json!("application/at+JWT"), json!("jwt"), Value::Null] {
        let token = world.token().header("typ", typ.clone()).signed(&world.key);
        assert!(principal(&world.oidc, &token).await.is_ok(), "{typ}");
    }
}

#[tokio::test]
async fn a_token_that_must_be_understood_in_another_way_is_refused() {
    let world = World::new().await;
    let token = world.token().header("crit", json!(["b64"])).header("b64", false);
    assert!(world.refusal(token).await.contains("not supported"));
}

#[tokio::test]
async fn a_token_of_more_than_12_kib_is_refused() {
    let world = World::new().await;
    let token = |length: usize| world.token().claim("padding", "x".repeat(length)).signed(&world.key);
    assert!(principal(&world.oidc, &token(8000)).await.is_ok());
    assert!(matches!(bearer(&token(10_000)), Err(Error::Unauthenticated { .. })));
}

#[tokio::test]
async fn users_of_kubernetes_own_are_refused_and_groups_left_out() {
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    let options = OidcOptions {
        oidc_username_prefix: Some("-".to_owned()),
        oidc_groups_claim: Some("groups".to_owned()),
        ..options(&issuer.url, &[SigningAlg::Es256])
    };
    let oidc = Oidc::new(&options).unwrap().unwrap();
    let token = TestToken::new(&issuer.url, "one").claim("groups", json!(["system:masters", "fleet"]));
    assert_eq!(principal(&oidc, &token.signed(&key)).await.unwrap().groups, ["fleet"]);
    for name in ["system:admin", "system:serviceaccount:kube-system:default", " system:admin"] {
        assert!(refusal(&oidc, &token.clone().claim("sub", name).signed(&key)).await.contains("reserved"));
    }
}

#[tokio::test]
async fn an_email_that_is_not_verified_is_refused() {
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    let options = OidcOptions {
        oidc_username_claim: "email".to_owned(),
        oidc_username_prefix: None,
        ..options(&issuer.url, &[SigningAlg::Es256])
    };
    let oidc = Oidc::new(&options).unwrap().unwrap();
    let token = TestToken::new(&issuer.url, "one").claim("email", "alice@example.com");
    assert!(refusal(&oidc, &token.clone().claim("email_verified", false).signed(&key)).await.contains("not verified"));
    assert!(refusal(&oidc, &token.signed(&key)).await.contains("not verified"));
    assert_eq!(username(&oidc, &token.claim("email_verified", true).signed(&key)).await, "alice@example.com");
}

#[tokio::test]
async fn a_token_that_was_verified_is_remembered_only_until_it_ends() {
    let world = World::new().await;
    let token = world.token().signed(&world.key);
    let known = principal(&world.oidc, &token).await.unwrap();
    assert!(Arc::ptr_eq(&known, &principal(&world.oidc, &token).await.unwrap()));
    assert_eq!(world.oidc.0.verified.policy().time_to_live(), Some(Duration::from_secs(10)));

    let expired = world.token().time("exp", -1).signed(&world.key);
    let hash: [u8; 32] = Sha256::digest(&expired).into();
    let ended = Principal { expires: Some(Timestamp::now()), ..(*known).clone() };
    world.oidc.0.verified.insert(hash, Arc::new(ended)).await;
    assert!(refusal(&world.oidc, &expired).await.contains("expired"));
}

#[tokio::test]
async fn what_is_refused_is_not_remembered() {
    let world = World::new().await;
    refusal(&world.oidc, &world.token().time("exp", -1).signed(&world.key)).await;
    world.oidc.0.verified.run_pending_tasks().await;
    assert_eq!(world.oidc.0.verified.entry_count(), 0);
}
