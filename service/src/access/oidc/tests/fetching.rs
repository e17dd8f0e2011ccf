//! Issuers that are down, slow, or not what they should be.

use std::io::Write;

use http::StatusCode;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio_rustls::TlsAcceptor;

use super::issuer::Page;
use super::nobody::Nobody;
use super::*;

const INTERVAL: Duration = Duration::from_secs(10);

#[tokio::test]
async fn while_the_issuer_is_down_nobody_is_told_that_their_token_is_bad() {
    let nobody = Nobody::listens();
    let url = nobody.url();
    let oidc = oidc(&url);
    let token = TestToken::new(&url, "one").signed(&SigningKey::p256());
    // The first is the one that asks, the second comes when that has just failed.
    for _ in 0..2 {
        assert!(unreachable(&oidc, &token).await.contains(&url));
    }
}

#[tokio::test]
async fn an_issuer_that_comes_back_is_asked_again() {
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    issuer.answer_keys(Page::Status(StatusCode::SERVICE_UNAVAILABLE));
    let oidc = oidc(&issuer.url);
    let token = TestToken::new(&issuer.url, "one").signed(&key);
    unreachable(&oidc, &token).await;

    issuer.publish(&[("one", &key)]);
    unreachable(&oidc, &token).await;
    later(INTERVAL).await;
    assert_eq!(username(&oidc, &token).await, "oidc:alice");
    assert_eq!(issuer.times_asked(), 2);
}

#[tokio::test]
async fn known_keys_are_kept_while_the_issuer_is_down() {
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    let oidc = oidc(&issuer.url);
    username(&oidc, &TestToken::new(&issuer.url, "one").signed(&key)).await;

    issuer.answer_discovery(Page::Status(StatusCode::BAD_GATEWAY));
    later(Duration::from_secs(3600)).await;
    let token = TestToken::new(&issuer.url, "one").claim("sub", "bob").signed(&key);
    assert_eq!(username(&oidc, &token).await, "oidc:bob");
    // Whether this key is a new one can't be told now.
    unreachable(&oidc, &TestToken::new(&issuer.url, "two").signed(&key)).await;
}

#[tokio::test]
async fn an_issuer_by_another_name_is_not_trusted() {
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    for name in [format!("{}/", issuer.url), "https://other.example.com".to_owned()] {
        issuer.describe(json!({"issuer": name, "jwks_uri": format!("{}/keys", issuer.url)}));
        unreachable(&oidc(&issuer.url), &TestToken::new(&issuer.url, "one").signed(&key)).await;
    }
    assert_eq!(issuer.times_asked(), 0);
}

#[tokio::test]
async fn keys_are_not_fetched_from_unprotected_places() {
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    issuer.describe(json!({"issuer": issuer.url, "jwks_uri": "http://keys.example.com/keys"}));
    let fetch = Fetch::new(issuer.url.parse().unwrap(), None).unwrap();
    let error = fetch.keys().await.unwrap_err().to_string();
    assert!(error.contains("its jwks_uri must be an https URL"), "{error}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    issuer.answer("/elsewhere", Page::Json(json!({"keys": [key.jwk("one")]})));
    issuer.answer_keys(Page::RedirectTo(format!("{}/elsewhere", issuer.url)));
    unreachable(&oidc(&issuer.url), &TestToken::new(&issuer.url, "one").signed(&key)).await;
    assert_eq!((issuer.times_asked(), issuer.times_asked_for("/elsewhere")), (1, 0));
}

#[tokio::test]
async fn what_comes_with_an_error_is_not_taken_for_keys() {
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    issuer.answer_keys(Page::Failing(json!({"keys": [key.jwk("one")]})));
    unreachable(&oidc(&issuer.url), &TestToken::new(&issuer.url, "one").signed(&key)).await;
}

#[tokio::test]
async fn answers_that_are_too_long_or_not_understood_are_refused() {
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    let long = json!({"keys": [key.jwk("one")], "padding": "x".repeat(512 * 1024)});
    for page in [Page::Json(long), Page::Text("<html>".into()), Page::Json(json!([])), Page::Json(json!({"keys": 7}))] {
        issuer.answer_keys(page);
        unreachable(&oidc(&issuer.url), &TestToken::new(&issuer.url, "one").signed(&key)).await;
    }
    issuer.answer_keys(Page::Json(json!({"keys": [key.jwk("one")], "padding": "x".repeat(500 * 1024)})));
    username(&oidc(&issuer.url), &TestToken::new(&issuer.url, "one").signed(&key)).await;
}

#[tokio::test]
async fn a_silent_issuer_holds_up_its_callers_until_their_deadline_and_no_others() {
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    let oidc = oidc(&issuer.url);
    username(&oidc, &TestToken::new(&issuer.url, "one").signed(&key)).await;

    issuer.answer_discovery(Page::Silence);
    later(INTERVAL).await;
    let unknown = bearer(&TestToken::new(&issuer.url, "two").signed(&key)).unwrap();
    let answer = oidc.caller(&unknown, Instant::now() + Duration::from_millis(100)).await;
    assert!(matches!(answer, Err(Error::DeadlineExceeded { .. })), "{answer:?}");
    let known = TestToken::new(&issuer.url, "one").claim("sub", "bob").signed(&key);
    assert_eq!(username(&oidc, &known).await, "oidc:bob");
}

#[tokio::test]
async fn a_silent_issuer_is_given_up() {
    let issuer = TestIssuer::start(&[]).await;
    issuer.answer_discovery(Page::Silence);
    let fetch = Fetch::new(issuer.url.parse().unwrap(), None).unwrap();
    let keys = tokio::spawn(async move { fetch.keys().await });
    while issuer.times_asked_for("/.well-known/openid-configuration") == 0 {
        tokio::task::yield_now().await;
    }
    later(Duration::from_secs(10)).await;
    let keys = tokio::time::timeout(Duration::from_secs(5), keys).await.expect("it is still waited for");
    let error = keys.unwrap().unwrap_err().to_string();
    assert!(error.contains("no answer within 10 s"), "{error}");
}

#[tokio::test]
async fn the_certificate_of_an_issuer_is_verified_with_the_cas_that_are_configured() {
    let (ca, other) = (ca(), ca());
    let key = SigningKey::p256();
    let issuer = TestIssuer::start_tls(&[("one", &key)], acceptor(&ca)).await;
    let token = TestToken::new(&issuer.url, "one").signed(&key);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(other.pem().as_bytes()).unwrap();
    let options =
        OidcOptions { oidc_ca_file: Some(file.path().to_owned()), ..options(&issuer.url, &[SigningAlg::Es256]) };
    let oidc = Oidc::new(&options).unwrap().unwrap();
    unreachable(&oidc, &token).await;

    // The file is read again.
    file.write_all(ca.pem().as_bytes()).unwrap();
    later(INTERVAL).await;
    assert_eq!(username(&oidc, &token).await, "oidc:alice");
}

#[tokio::test]
async fn a_file_without_cas_is_found_at_the_start() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"nothing\n").unwrap();
    for path in [file.path(), "/nowhere/ca.pem".as_ref()] {
        let options = OidcOptions {
            oidc_ca_file: Some(path.to_owned()),
            ..options("https://login.example.com", &[SigningAlg::Rs256])
        };
        let error = format!("{:#}", Oidc::new(&options).map(|_| ()).unwrap_err());
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}

fn ca() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn acceptor(ca: &CertifiedIssuer<'static, KeyPair>) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, ca).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    Arc::new(config).into()
}
