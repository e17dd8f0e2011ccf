//! What a caller is, and what a right is. No I/O: `access` finds out who is calling and what they may do.

mod permission;
mod service_account;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

pub use permission::Permission;
pub use service_account::ServiceAccount;

/// Whoever an RPC is carried out for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody who has shown who they are. Kubernetes decides what they may do.
    User(Arc<Principal>),
    /// The server itself: nobody is asked who they are, and all callers act with its rights. Only for development.
    Server,
}

/// A user as Kubernetes knows one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The user name, for example `alice` or `system:serviceaccount:fleet:backend`.
    pub username: String,
    /// The groups, without those that Kubernetes adds itself.
    pub groups: Vec<String>,
    /// What Kubernetes knows of them besides.
    pub details: Details,
    /// How they have shown who they are.
    pub credential: Credential,
    /// When the credential ends, if it does.
    pub expires: Option<Timestamp>,
}

/// What Kubernetes tells of the owner of a token beside name and groups, for authorizers that decide by it. Certificates and
/// the tokens of other issuers say nothing of the kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Details {
    /// Tells the user from others that had the same name. Empty if that is not known.
    pub uid: String,
    /// For example the pod that a token is bound to, and the token's id.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// How a user has shown who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A client certificate.
    Certificate,
    /// A token that Kubernetes knows.
    KubernetesToken,
    /// A token of an OpenID Connect issuer.
    OidcToken,
}

impl Caller {
    /// The name for records and traces. Empty for the server itself.
    pub fn username(&self) -> &str {
        match self {
            Self::User(principal) => &principal.username,
            Self::Server => "",
        }
    }
}

impl Credential {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Certificate, Self::KubernetesToken, Self::OidcToken].into_iter().find(|known| known.as_str() == name)
    }

    /// The name for records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::KubernetesToken => "kubernetes_token",
            Self::OidcToken => "oidc_token",
        }
    }
}

impl Principal {
    /// Whether the credential has ended by now.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether this is a service account, whose groups Kubernetes derives from its name.
    pub fn is_service_account(&self) -> bool {
        ServiceAccount::of_user(&self.username).is_some()
    }
}
