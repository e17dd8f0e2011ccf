//! Callers whom an OpenID Connect issuer vouches for, and not Kubernetes.

use nodeward_api::v1::CordonNodeRequest;
use nodeward_sandbox::{CertificateFiles, Subject};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Code;

use crate::support::apiserver_log::{assert_made_in_the_name_of, change};
use crate::support::issuer::{AUDIENCE, Issuer, Key, unsigned};
use crate::support::process::ServerProcess;
use crate::support::requests::OF_A_VIEWER;
use crate::support::somebody::Somebody;
use crate::support::{assert_error, eventually, unique, world};

/// What the server puts before the names of the issuer's users.
const PREFIX: &str = "oidc:";

/// A server that trusts an issuer, and has the rights of deploy/rbac and no others.
struct Trusting {
    server: ServerProcess,
    issuer: Issuer,
    key: Key,
    _records: TempDir,
}

impl Trusting {
    async fn start() -> Self {
        let sandbox = &world().await.sandbox;
        let key = Key::new("first");
        let issuer = Issuer::start(&key).await;
        let records = tempfile::tempdir().unwrap();
        let CertificateFiles { certificate, key: private } = sandbox.server_certificate();
        let paths = [certificate, private, records.path().join("log"), issuer.ca()];
        let [certificate, private, log, ca] = paths.map(|path| path.display().to_string());
        let flags = [
            ["--tls-cert", &certificate],
            ["--tls-key", &private],
            ["--audit-dir", &log],
            ["--oidc-issuer-url", &issuer.url],
            ["--oidc-ca-file", &ca],
            ["--oidc-audience", AUDIENCE],
            ["--oidc-username-prefix", PREFIX],
            ["--oidc-signing-algs", "ES256"],
        ];
        let server = ServerProcess::start_exactly(&sandbox.server_kubeconfig(), flags.as_flattened()).await;
        Self { server, issuer, key, _records: records }
    }

    async fn with(&self, token: &str) -> Somebody {
        let ca = world().await.sandbox.server_ca();
        let nobody = Somebody::connect(self.server.address, &ca, None).await;
        nobody.saying("authorization", &format!("Bearer {token}"))
    }

    /// Somebody with a good token, but for these claims.
    async fn claiming(&self, user: &str, claims: Value) -> Somebody {
        let mut all = self.issuer.claims(user);
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        self.with(&self.key.sign(&all)).await
    }
}

/// A user of the issuer who has this role.
async fn user(role: &str) -> String {
    let name = unique("person");
    world().await.sandbox.bind(&Subject::user(format!("{PREFIX}{name}")), role).await.unwrap();
    name
}

#[tokio::test]
async fn a_user_of_the_issuer_acts_in_their_own_name_with_the_rights_that_kubernetes_gives_it() {
    let trusting = Trusting::start().await;
    let node = world().await.node("oidc").await;
    let cordon = || CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    let (operator, viewer) = (user("nodeward-operator").await, user("nodeward-viewer").await);
    let somebody = trusting.claiming(&operator, json!({})).await;
    eventually("the server knows the node", async || somebody.ask("GetNode", &node).await.ok()).await;

    somebody.client().cordon_node(cordon()).await.unwrap();
    let event = change("patch", &node, 200).await;
    assert_made_in_the_name_of(&event, &format!("{PREFIX}{operator}"), &["system:authenticated"]);

    let somebody = trusting.claiming(&viewer, json!({})).await;
    assert_eq!(somebody.may(&node).await, OF_A_VIEWER);
    let stranger = trusting.claiming("a-stranger", json!({})).await;
    assert_error(stranger.client().cordon_node(cordon()).await, Code::PermissionDenied, "ACCESS_DENIED");
}

#[tokio::test]
async fn a_token_that_the_issuer_has_not_made_for_nodeward_and_for_now_is_refused() {
    let trusting = Trusting::start().await;
    let user = user("nodeward-viewer").await;
    let claims = trusting.issuer.claims(&user);
    let now = claims["iat"].as_u64().unwrap();
    trusting.claiming(&user, json!({})).await.ask("ListNodes", "worker-1").await.expect("a good token");

    trusting.claiming(&user, json!({ "iat": now - 900, "exp": now - 600 })).await.is_unknown().await;
    trusting.claiming(&user, json!({ "aud": "something-else" })).await.is_unknown().await;
    let none = format!("{}.", unsigned(&json!({ "typ": "JWT", "alg": "none" }), &claims));
    trusting.with(&none).await.is_unknown().await;
    let forged = Key::new("first").sign(&claims);
    trusting.with(&forged).await.is_unknown().await;
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_taken_up_and_its_old_one_is_no_good_any_more() {
    let mut trusting = Trusting::start().await;
    let user = user("nodeward-viewer").await;
    let before = trusting.claiming(&user, json!({})).await;
    before.ask("ListNodes", "worker-1").await.unwrap();

    trusting.key = Key::new("second");
    trusting.issuer.publish(&trusting.key);
    let after = trusting.claiming(&user, json!({})).await;
    eventually("the new key is known", async || after.ask("ListNodes", "worker-1").await.ok()).await;
    before.is_unknown().await;
}
