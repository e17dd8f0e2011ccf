//! What a sandbox puts into its directory, by name. What has no name here is not the sandbox's, and is left alone.

use std::path::{Path, PathBuf};

/// Held while the sandbox runs; see `directory`.
pub(crate) const LOCK: &str = "sandbox.lock";

/// How to reach the sandbox that runs.
pub(crate) const STATE: &str = "sandbox.json";

/// Says that the data is to outlive the sandbox.
pub(crate) const KEEP: &str = "keep";

/// etcd's data, which is all that the cluster remembers.
pub(crate) const ETCD: &str = "etcd";

/// The logs, one for each process.
pub(crate) const LOGS: &str = "logs";

const AUDIT_POLICY: &str = "audit-policy.yaml";
const CLIENT_CONFIG: &str = "nodeward.yaml";
const HOME: &str = "home";
const KUBECONFIG: &str = "kubeconfig";
const KWOK: &str = "kwok.yaml";
const NODEWARD: &str = "nodeward";
const PKI: &str = "pki";
const SEEDED: &str = "seeded";

/// All that a sandbox leaves, but for the lock.
pub(crate) const ENTRIES: [&str; 12] =
    [STATE, KEEP, ETCD, LOGS, AUDIT_POLICY, CLIENT_CONFIG, HOME, KUBECONFIG, KWOK, NODEWARD, PKI, SEEDED];

/// Where the files of one sandbox are.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    dir: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf() }
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.dir.join(PKI)
    }

    pub(crate) fn etcd_data(&self) -> PathBuf {
        self.dir.join(ETCD)
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.dir.join(LOGS)
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// The apiserver's audit log.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.log("kube-apiserver-audit")
    }

    /// What the apiserver writes there.
    pub(crate) fn audit_policy(&self) -> PathBuf {
        self.dir.join(AUDIT_POLICY)
    }

    /// Where the nodeward server keeps what is its own.
    pub(crate) fn nodeward(&self) -> PathBuf {
        self.dir.join(NODEWARD)
    }

    /// Where the components are at home, and work.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.join(HOME)
    }

    /// Says that the demo's workloads have run.
    pub(crate) fn seeded(&self) -> PathBuf {
        self.dir.join(SEEDED)
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.join(KUBECONFIG)
    }

    /// The kubeconfig of a component.
    pub(crate) fn kubeconfig_of(&self, client: &str) -> PathBuf {
        self.pki().join(format!("{client}.kubeconfig"))
    }

    /// The kubeconfig of the nodeward server.
    pub(crate) fn server_kubeconfig(&self) -> PathBuf {
        self.kubeconfig_of("nodeward-server")
    }

    /// The configuration of nodeward's clients.
    pub(crate) fn client_config(&self) -> PathBuf {
        self.dir.join(CLIENT_CONFIG)
    }

    pub(crate) fn kwok_config(&self) -> PathBuf {
        self.dir.join(KWOK)
    }
}
