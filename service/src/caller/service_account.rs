//! Service accounts, which Kubernetes knows by the names of their users.

use crate::node::syntax::is_subdomain;

/// A service account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceAccount<'a> {
    namespace: &'a str,
}

impl<'a> ServiceAccount<'a> {
    /// The service account whose user has this name, as Kubernetes reads it (SplitUsername in apiserver's
    /// authentication/serviceaccount). Who has almost such a name is no service account.
    pub fn of_user(username: &'a str) -> Option<Self> {
        let (namespace, name) = username.strip_prefix("system:serviceaccount:")?.split_once(':')?;
        let is_label = is_subdomain(namespace) && namespace.len() <= 63 && !namespace.contains('.');
        (is_label && is_subdomain(name)).then_some(Self { namespace })
    }

    /// The groups that all service accounts of its namespace are in.
    pub fn groups(self) -> Vec<String> {
        vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{}", self.namespace)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_account_is_in_the_groups_of_its_namespace() {
        let account = ServiceAccount::of_user("system:serviceaccount:fleet:back.end-1").unwrap();
        assert_eq!(account.groups(), ["system:serviceaccounts", "system:serviceaccounts:fleet"]);
    }

    #[test]
    fn what_is_almost_the_name_of_a_service_account_is_none() {
        for name in [
            "system:serviceaccount:fleet",
            "system:serviceaccount:fleet:",
            "system:serviceaccount::backend",
            "system:serviceaccount:fleet:a:b",
            "system:serviceaccount:fl.eet:backend",
            "system:serviceaccount:fleet:Backend",
            "system:serviceaccount:fleet:back_end",
            " system:serviceaccount:fleet:backend",
            "serviceaccount:fleet:backend",
        ] {
            assert_eq!(ServiceAccount::of_user(name), None, "{name}");
        }
        assert_eq!(ServiceAccount::of_user(&format!("system:serviceaccount:{}:a", "n".repeat(64))), None);
    }
}
