//! What an RPC needs: a verb on a resource, as Kubernetes' RBAC names them.

use std::fmt;

/// A right in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permission {
    /// The verb, for example `patch`.
    pub verb: &'static str,
    /// The API group: empty for core.
    pub group: &'static str,
    /// The resource, for example `nodes`.
    pub resource: &'static str,
    /// The subresource, for example `status`. Empty for the object itself.
    pub subresource: &'static str,
    /// The object's name. Empty for all objects.
    pub name: String,
}

impl fmt::Display for Permission {
    /// As in a rule of RBAC: `patch nodes/status`. The object's name is left out: whoever is denied learns nothing of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if !self.subresource.is_empty() {
            write!(f, "/{}", self.subresource)?;
        }
        Ok(())
    }
}
