//! Secrets stay where they are: what callers show and what the server itself has is in no log, no trace, no record and no
//! metric, however much is logged.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nodeward_api::v1::{CordonNodeRequest, GetNodeRequest, WatchNodesRequest};
use nodeward_sandbox::{CertificateFiles, User};
use tonic::Code;

use crate::support::http::get;
use crate::support::issuer::{AUDIENCE, Issuer, Key};
use crate::support::process::ServerProcess;
use crate::support::somebody::Somebody;
use crate::support::tokens::{token, token_for};
use crate::support::{Collector, assert_error, eventually, world};

const DEADLINE: Duration = Duration::from_secs(30);

/// What some clients and proxies send, by mistake or not: each with a secret of its own.
const HEADERS: [&str; 10] = [
    "cookie",
    "proxy-authorization",
    "x-remote-user",
    "x-remote-extra-secret",
    "impersonate-user",
    "x-forwarded-client-cert",
    "x-api-key",
    "x-annotation-secret",
    "baggage",
    "tracestate",
];

/// The secrets, by what they are.
#[derive(Default)]
struct Canaries(Vec<(String, String)>);

impl Canaries {
    fn add(&mut self, what: &str, secret: &str) {
        assert!(secret.len() > 15, "{what} is too short to be found by");
        self.0.push((what.to_owned(), secret.to_owned()));
    }

    /// All of a token that others don't have, and the part of it that nobody else can make.
    fn add_token(&mut self, what: &str, token: &str) {
        self.add(what, token);
        self.add(&format!("the signature of {what}"), token.rsplit('.').next().unwrap());
    }

    fn add_key(&mut self, what: &str, file: &Path) {
        let pem = fs::read_to_string(file).unwrap();
        pem.lines().filter(|line| line.len() > 40).for_each(|line| self.add(what, line));
    }

    /// The credentials of the server itself.
    fn add_kubeconfig(&mut self, file: &Path) {
        let text = fs::read_to_string(file).unwrap();
        let before = self.0.len();
        for line in text.lines().map(str::trim) {
            for field in ["token: ", "client-key-data: "] {
                if let Some(secret) = line.strip_prefix(field) {
                    self.add(field, secret.trim_matches('"'));
                }
            }
            if let Some(key) = line.strip_prefix("client-key: ") {
                self.add_key("the key of the kubeconfig", &file.parent().unwrap().join(key.trim_matches('"')));
            }
        }
        assert!(self.0.len() > before, "the kubeconfig has no secret that is known here");
    }

    #[track_caller]
    fn assert_none_in(&self, place: &str, text: &str) {
        assert!(text.len() > 100, "there is nothing in {place} to search: {text}");
        for (what, secret) in &self.0 {
            if let Some(at) = text.find(secret.as_str()) {
                let start = (0..=at.saturating_sub(300)).rfind(|at| text.is_char_boundary(*at)).unwrap_or_default();
                panic!("{what} is in {place}: {}", &text[start..at + secret.len()]);
            }
        }
    }
}

/// The same caller, who sends all the headers.
fn saying_too_much(mut somebody: Somebody, who: &str, canaries: &mut Canaries) -> Somebody {
    for header in HEADERS {
        let secret = format!("canary{who}{}secret", header.replace('-', ""));
        canaries.add(header, &secret);
        let value = if ["baggage", "tracestate"].contains(&header) { format!("a={secret}") } else { secret };
        somebody = somebody.saying(header, &value);
    }
    somebody
}

#[tokio::test]
async fn no_secret_is_in_a_log_a_trace_a_record_or_a_metric() {
    let sandbox = &world().await.sandbox;
    let node = world().await.node("secrets").await;
    let (collector, dir) = (Collector::start().await, tempfile::tempdir().unwrap());
    let (log, kubeconfig) = (dir.path().join("log"), sandbox.server_kubeconfig());
    let CertificateFiles { certificate, key } = sandbox.server_certificate();
    let issuers_key = Key::new("key");
    let issuer = Issuer::start(&issuers_key).await;
    let paths = [certificate, key, sandbox.client_ca(), issuer.ca()];
    let [certificate, key, client_ca, issuer_ca] = paths.map(|path| path.display().to_string());
    let flags = [
        ["--tls-cert", &certificate],
        ["--tls-key", &key],
        ["--tls-client-ca", &client_ca],
        ["--oidc-issuer-url", &issuer.url],
        ["--oidc-ca-file", &issuer_ca],
        ["--oidc-audience", AUDIENCE],
        ["--oidc-signing-algs", "ES256"],
        ["--audit-dir", log.to_str().unwrap()],
        ["--otlp-endpoint", collector.endpoint()],
        ["--read-sampling", "1"],
        ["--log", "trace"],
        ["--log-format", "json"],
    ];
    let flags = [flags.as_flattened(), &["--audit-otlp"]].concat();
    let mut server = ServerProcess::start_listening(&kubeconfig, &flags).await;

    let mut canaries = Canaries::default();
    canaries.add_key("the server's key", Path::new(&key));
    canaries.add_key("the audit log's key", &dir.path().join("audit-key.pem"));
    canaries.add_kubeconfig(&kubeconfig);
    let admins = sandbox.user_certificate(User::Admin);
    canaries.add_key("the admin's key", &admins.key);
    let unknown = "canary-token-that-nobody-knows-0123456789";
    canaries.add_token("an unknown token", unknown);
    let (account, other) = (token("secrets").await, token_for("secrets", &["somebody-else"]).await);
    canaries.add_token("a token without rights", &account);
    canaries.add_token("a token for others", &other);
    let of_issuer = issuers_key.sign(&issuer.claims("secrets"));
    let forged = Key::new("key").sign(&issuer.claims("secrets"));
    canaries.add_token("a token of the issuer", &of_issuer);
    canaries.add_token("a forged token of the issuer", &forged);

    let ca = sandbox.server_ca();
    let admin = Somebody::connect(server.address, &ca, Some(&admins)).await;
    let admin = saying_too_much(admin, "admin", &mut canaries);
    let cordon = |node: &str| CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    eventually("the server is ready", async || {
        let request = GetNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
        admin.client().get_node(request).await.ok()
    })
    .await;
    let answer = admin.client().cordon_node(cordon(&node)).await.unwrap();
    assert_error(admin.client().cordon_node(cordon("nowhere")).await, Code::NotFound, "NODE_NOT_FOUND");
    let bad = CordonNodeRequest { etag: "bad".into(), ..cordon(&node) };
    assert_error(admin.client().cordon_node(bad).await, Code::InvalidArgument, "INVALID_FIELD");
    let watch = admin.client().watch_nodes(WatchNodesRequest::default()).await.unwrap();
    drop(watch);
    for (token, code) in [
        (account.as_str(), Code::PermissionDenied),
        (&other, Code::Unauthenticated),
        (unknown, Code::Unauthenticated),
        (&of_issuer, Code::PermissionDenied),
        (&forged, Code::Unauthenticated),
    ] {
        let nobody = Somebody::connect(server.address, &ca, None).await;
        let who = format!("token{}", canaries.0.len());
        let somebody = saying_too_much(nobody, &who, &mut canaries).saying("authorization", &format!("Bearer {token}"));
        for _ in 0..2 {
            let refused = somebody.client().cordon_node(cordon(&node)).await.unwrap_err();
            assert_eq!(refused.code(), code, "{refused}");
        }
    }

    let id = answer.metadata().get("x-audit-id").unwrap().to_str().unwrap();
    let trace = answer.metadata().get("x-trace-id").unwrap().to_str().unwrap();
    collector.wait_for(trace, "nodeward.v1.NodeService/CordonNode", DEADLINE).await;
    collector.wait_for_log(|copy| copy.attribute("nodeward.audit.id").as_deref() == Some(id), DEADLINE).await;
    let (status, metrics) = get(server.admin().await, "/metrics").await;
    assert_eq!(status, 200);
    let refusals = r#"nodeward_authentication_failures_total{nodeward_credential="token""#;
    assert!(metrics.contains(refusals), "{metrics}");
    let mut logged = server.said.join("\n");
    server.terminate().await;
    let (code, rest) = server.ended().await;
    logged.push_str(&rest);
    assert_eq!(code, Some(0));
    assert!(logged.contains("\"TRACE\""), "much is logged");

    canaries.assert_none_in("the log", &logged);
    canaries.assert_none_in("the traces", &format!("{:?}", collector.spans()));
    canaries.assert_none_in("the copies", &format!("{:?}", collector.logs()));
    canaries.assert_none_in("the exported metrics", &format!("{:?}", collector.metrics()));
    canaries.assert_none_in("/metrics", &metrics);
    for file in fs::read_dir(&log).unwrap().map(|file| file.unwrap().path()) {
        let text = fs::read_to_string(&file).unwrap();
        if !text.is_empty() {
            canaries.assert_none_in(&file.display().to_string(), &text);
        }
    }
}
