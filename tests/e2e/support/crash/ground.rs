//! A control plane where servers may be harmed, since none but those of one test carries operations out there.

use std::path::Path;

use nodeward_sandbox::{SERVER_ACCOUNT, SERVER_NAMESPACE, Sandbox, SandboxOptions, Subject};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use super::super::unique;

/// What the apiserver writes down of the servers: also the bodies of removals, which name the pods' uids.
const AUDIT_POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Request
  users: ["system:serviceaccount:nodeward-system:nodeward-server"]
  verbs: [create, delete, deletecollection]
  resources: [{group: "", resources: [pods, pods/eviction]}]
- level: Metadata
  users: ["system:serviceaccount:nodeward-system:nodeward-server"]
  verbs: [update, patch]
  resources: [{group: "", resources: [nodes]}, {group: nodeward.dev, resources: [nodeoperations, nodeoperations/status]}]
"#;

/// How often something is done: in the short form, and in the long one (`cargo soak`), which finds what is rare.
pub fn times(short: usize, long: usize) -> usize {
    if std::env::var_os("NODEWARD_SOAK").is_some() { long } else { short }
}

/// What random moments are made from: told, so that they can be had again.
pub fn seed() -> u64 {
    let seed = std::env::var("NODEWARD_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(rand::random);
    eprintln!("NODEWARD_SEED={seed}");
    seed
}

/// One that many drains are tried on, by one test at a time. Whoever breaks it mends it.
pub async fn shared_ground() -> MutexGuard<'static, Ground> {
    static GROUND: OnceCell<Mutex<Ground>> = OnceCell::const_new();
    GROUND.get_or_init(async || Mutex::new(Ground::start(2).await)).await.lock().await
}

/// A control plane with nodes to which pods can move.
pub struct Ground {
    pub sandbox: Sandbox,
}

impl Ground {
    /// One with so many nodes to which pods can move.
    pub async fn start(spares: usize) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        // It must outlive the sandbox, whose apiserver may start again. It is always the same.
        let policy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash-audit-policy.yaml");
        let unfinished = policy.with_extension(format!("{}-{}", unique("unfinished"), std::process::id()));
        std::fs::write(&unfinished, AUDIT_POLICY).unwrap();
        std::fs::rename(&unfinished, &policy).unwrap();
        // The account must be whole: it is not rotated.
        let args = [format!("--audit-policy-file={}", policy.display()), "--audit-log-maxsize=1000".to_owned()];
        let options = SandboxOptions {
            nodes: spares,
            seed_workloads: false,
            api_server_args: args.to_vec(),
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        Self { sandbox }
    }

    /// Gives the servers the rights of an operator: whoever asks one that knows no users has the server's.
    pub async fn let_anybody_drain(&self) {
        let server = Subject::service_account(SERVER_NAMESPACE, SERVER_ACCOUNT);
        self.sandbox.bind(&server, "nodeward-operator").await.unwrap();
    }

    /// A client with all rights.
    pub async fn client(&self) -> kube::Client {
        self.sandbox.client().await.unwrap()
    }
}
