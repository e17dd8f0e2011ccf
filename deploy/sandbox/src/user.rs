//! The users that are made for a sandbox, each with other rights on its nodes. Their roles are those of deploy/rbac/examples.

use std::fmt;

/// A user of the sandbox's nodeward server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum User {
    /// May do everything to nodes, and empty them.
    Admin,
    /// May look at nodes, cordon and uncordon them, and evict pods.
    Operator,
    /// May look at nodes.
    Viewer,
    /// May read the audit records, and nothing else.
    Auditor,
}

impl User {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Operator, Self::Viewer, Self::Auditor];

    /// The user's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
        }
    }

    /// The user's only group, which has the rights.
    pub fn group(self) -> &'static str {
        match self {
            Self::Admin => "nodeward:admins",
            Self::Operator => "nodeward:operators",
            Self::Viewer => "nodeward:viewers",
            Self::Auditor => "nodeward:auditors",
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
