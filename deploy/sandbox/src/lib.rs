//! A real Kubernetes control plane on a laptop or in a test: etcd, kube-apiserver, kube-controller-manager,
//! kube-scheduler and kwok with fake nodes, without a cluster and without containers.
//!
//! ```no_run
//! # async fn example() -> Result<(), nodeward_sandbox::SandboxError> {
//! use nodeward_sandbox::{Component, Sandbox, SandboxOptions};
//!
//! let sandbox = Sandbox::start(SandboxOptions { nodes: 3, ..SandboxOptions::default() }).await?;
//! let client = sandbox.client().await?;
//! sandbox.kill(Component::ApiServer).await?;
//! sandbox.restart(Component::ApiServer).await?;
//! sandbox.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! The control plane is built from ordinary Go modules at the first start, which needs Go and a module proxy, and then
//! kept in the user's cache directory. Nothing else is needed: certificates, ports and data are the sandbox's own, so
//! any number of sandboxes may run at once. No process outlives the one that started it.

mod access;
mod build;
mod cache;
mod client_contexts;
mod commands;
mod companion;
mod component;
mod control_plane;
mod directory;
mod error;
mod kubeconfig;
mod kwok;
mod layout;
mod log_end;
mod pki;
mod ports;
mod process;
mod progress;
mod running;
mod sandbox;
mod seed;
mod user;

pub use access::{SERVER_ACCOUNT, SERVER_NAMESPACE, Subject};
pub use build::KUBERNETES_VERSION;
pub use client_contexts::ClientContexts;
pub use companion::Companion;
pub use component::Component;
pub use error::SandboxError;
pub use kwok::{MANAGED_LABEL, MANAGED_VALUE};
pub use pki::{CertificateFiles, ClientCertificate, Signer};
pub use progress::{Progress, Step, say};
pub use running::{State, announce, find};
pub use sandbox::{Sandbox, SandboxOptions};
pub use seed::workloads::NAMESPACE as DEMO_NAMESPACE;
pub use user::User;
