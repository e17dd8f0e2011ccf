//! Tokens are shown nowhere.

use std::io::{self, Write};
use std::sync::Mutex;

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// What may not be seen. It is in the claims and in the header, which are encoded in the token.
const CANARY: &str = "canary-in-the-token";

/// All that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn neither_errors_nor_logs_show_anything_of_a_token() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let key = SigningKey::p256();
    let issuer = TestIssuer::start(&[("one", &key)]).await;
    let tokens = bad_tokens(&issuer.url, &key);
    // An event that a test on another thread has come by first is off until this is said: the second time all are on.
    for _ in 0..2 {
        tracing::callsite::rebuild_interest_cache();
        let oidc = Oidc::new(&options(&issuer.url)).unwrap().unwrap();
        for token in &tokens {
            let error = principal(&oidc, token).await.unwrap_err();
            let shown = format!("{error} {error:?} {:?}", tonic::Status::from(error.clone()));
            assert_hidden(&shown, token);
        }
    }
    assert_hidden(&format!("{:?}", bearer(&tokens[0]).unwrap()), &tokens[0]);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the issuer has told its keys"), "{log}");
    tokens.iter().for_each(|token| assert_hidden(&log, token));
}

fn options(issuer: &str) -> OidcOptions {
    OidcOptions {
        oidc_groups_claim: Some("groups".to_owned()),
        oidc_required_claim: vec!["required=yes".parse().unwrap()],
        ..super::options(issuer, &[SigningAlg::Es256])
    }
}

/// Tokens that are refused, each at another place.
fn bad_tokens(issuer: &str, key: &SigningKey) -> Vec<String> {
    let token = TestToken::new(issuer, "one").claim("required", "yes").claim("sub", CANARY);
    let bad = [
        token.clone().claim("exp", CANARY),
        token.clone().claim("nbf", CANARY),
        token.clone().claim("aud", CANARY),
        token.clone().claim("iss", CANARY),
        token.clone().claim("groups", json!({CANARY: true})),
        token.clone().claim("required", CANARY),
        token.clone().claim("sub", format!("{CANARY}\n")),
        token.clone().header("kid", CANARY),
        token.clone().header("kid", json!({CANARY: 1})),
        token.clone().header("typ", CANARY),
        token.clone().header("crit", json!([CANARY])),
    ];
    let mut tokens: Vec<String> = bad.iter().map(|token| token.signed(key)).collect();
    tokens.push(token.signed(&SigningKey::p256()));
    tokens.push(token.header("alg", CANARY).with_signature(|_| CANARY.into()));
    tokens.push(format!("{CANARY}.{CANARY}.{CANARY}"));
    tokens.push(CANARY.to_owned());
    tokens
}

fn assert_hidden(shown: &str, token: &str) {
    assert!(!shown.contains(CANARY), "{shown}");
    for part in token.split('.').filter(|part| !part.is_empty()) {
        assert!(!shown.contains(part), "{shown}");
    }
}
