//! Who can be given rights.

use k8s_openapi::api::rbac::v1 as rbac;

/// Somebody whom a role can be bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A user, by name.
    User(String),
    /// All users of a group.
    Group(String),
    /// A service account.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl Subject {
    /// This user.
    pub fn user(name: impl Into<String>) -> Self {
        Self::User(name.into())
    }

    /// This group.
    pub fn group(name: impl Into<String>) -> Self {
        Self::Group(name.into())
    }

    /// This service account.
    pub fn service_account(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self::ServiceAccount { namespace: namespace.into(), name: name.into() }
    }

    /// The name under which the apiserver knows the user, if it is one.
    pub fn username(&self) -> Option<String> {
        match self {
            Self::User(name) => Some(name.clone()),
            Self::Group(_) => None,
            Self::ServiceAccount { namespace, name } => Some(format!("system:serviceaccount:{namespace}:{name}")),
        }
    }

    pub(super) fn in_rbac(&self) -> rbac::Subject {
        let (kind, name, namespace) = match self {
            Self::User(name) => ("User", name, None),
            Self::Group(name) => ("Group", name, None),
            Self::ServiceAccount { namespace, name } => ("ServiceAccount", name, Some(namespace.clone())),
        };
        let api_group = namespace.is_none().then(|| "rbac.authorization.k8s.io".to_owned());
        rbac::Subject { kind: kind.to_owned(), name: name.clone(), namespace, api_group }
    }

    pub(super) fn of_rbac(subject: rbac::Subject) -> Self {
        let rbac::Subject { kind, name, namespace, .. } = subject;
        match kind.as_str() {
            "Group" => Self::Group(name),
            "ServiceAccount" => Self::ServiceAccount { namespace: namespace.unwrap_or_default(), name },
            _ => Self::User(name),
        }
    }
}
