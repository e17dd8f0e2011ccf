//! What the server itself must be allowed in Kubernetes, and whether it is.
//!
//! It is asked at the start, so that a missing rule is named then and not by the first caller who needs it. deploy/rbac
//! grants exactly these rules.

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::ResourceAttributes;
use tokio::time::Instant;

use crate::cluster::{Reviews, WritesAs};
use crate::error::Error;

/// The deadline of each question.
const PATIENCE: Duration = Duration::from_secs(10);

/// One right of the server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnRight {
    verb: &'static str,
    group: &'static str,
    /// The resource, with its subresource.
    resource: &'static str,
    /// The namespace. Empty for all.
    namespace: String,
}

const READS: [&str; 3] = ["get", "list", "watch"];
const NODE_WRITES: [&str; 3] = ["create", "patch", "delete"];
const LEDGER: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];
/// Of the lease of whoever carries operations out, and of one for each node that has had one. Kubernetes deletes these with their
/// nodes; some clusters let only those say so who may delete them.
const LEASES: [&str; 4] = ["get", "create", "update", "delete"];
const OPERATIONS: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];

/// What is read of the whole cluster: nodes, and what a drain is planned from and watched by.
const READ: [(&str, &str); 7] = [
    ("", "nodes"),
    ("", "pods"),
    ("", "namespaces"),
    ("", "persistentvolumeclaims"),
    ("apps", "daemonsets"),
    ("policy", "poddisruptionbudgets"),
    ("storage.k8s.io", "volumeattachments"),
];

/// The verbs of constrained impersonation for each verb of a write: of users, and of service accounts.
const IMPERSONATE_ON: [[&str; 2]; 3] = [
    ["impersonate-on:user-info:create", "impersonate-on:serviceaccount:create"],
    ["impersonate-on:user-info:patch", "impersonate-on:serviceaccount:patch"],
    ["impersonate-on:user-info:delete", "impersonate-on:serviceaccount:delete"],
];

/// The rights that a server needs which keeps its own objects in this namespace.
pub fn needed(namespace: &str, writes_as: WritesAs) -> Vec<OwnRight> {
    let right = |verb, group, resource| OwnRight { verb, group, resource, namespace: String::new() };
    let at_home = |verb, group, resource| OwnRight { namespace: namespace.to_owned(), ..right(verb, group, resource) };
    let mut rights: Vec<OwnRight> = Vec::new();
    for (group, resource) in READ {
        rights.extend(READS.map(|verb| right(verb, group, resource)));
    }
    rights.push(right("create", "authentication.k8s.io", "tokenreviews"));
    rights.push(right("create", "authorization.k8s.io", "subjectaccessreviews"));
    rights.extend(LEDGER.map(|verb| at_home(verb, "", "configmaps")));
    rights.extend(LEASES.map(|verb| at_home(verb, "coordination.k8s.io", "leases")));
    rights.extend(OPERATIONS.map(|verb| right(verb, "nodeward.dev", "nodeoperations")));
    rights.extend(["update", "patch"].map(|verb| right(verb, "nodeward.dev", "nodeoperations/status")));
    rights.extend(["create", "patch"].map(|verb| right(verb, "events.k8s.io", "events")));
    match writes_as {
        WritesAs::Server => {
            rights.extend(NODE_WRITES.map(|verb| right(verb, "", "nodes")));
            rights.push(right("patch", "", "nodes/status"));
            rights.push(right("create", "", "pods/eviction"));
            rights.push(right("delete", "", "pods"));
        }
        WritesAs::Caller => {
            let group = "authentication.k8s.io";
            rights.push(right("impersonate:user-info", group, "users"));
            rights.push(right("impersonate:user-info", group, "groups"));
            rights.push(right("impersonate:serviceaccount", group, "serviceaccounts"));
            rights.extend(IMPERSONATE_ON.as_flattened().iter().map(|verb| right(verb, "", "nodes")));
            let [create, patch, delete] = IMPERSONATE_ON;
            rights.extend(patch.map(|verb| right(verb, "", "nodes/status")));
            rights.extend(create.map(|verb| right(verb, "", "pods/eviction")));
            rights.extend(delete.map(|verb| right(verb, "", "pods")));
        }
    }
    rights
}

/// Those of the rights that the server has not.
pub async fn missing(reviews: &Reviews, rights: Vec<OwnRight>) -> Result<Vec<OwnRight>, Error> {
    let ask = async |right: OwnRight| {
        let allowed = reviews.allows_server(right.attributes(), Instant::now() + PATIENCE).await?;
        Ok::<_, Error>((!allowed).then_some(right))
    };
    let answers = futures::future::try_join_all(rights.into_iter().map(ask)).await?;
    Ok(answers.into_iter().flatten().collect())
}

impl OwnRight {
    fn attributes(&self) -> ResourceAttributes {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((self.resource, ""));
        ResourceAttributes {
            verb: given(self.verb),
            group: given(self.group),
            resource: given(resource),
            subresource: given(subresource),
            namespace: given(&self.namespace),
            ..ResourceAttributes::default()
        }
    }
}

impl fmt::Display for OwnRight {
    /// As a rule of RBAC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, group, resource, namespace } = self;
        write!(f, "{{apiGroups: [{group:?}], resources: [{resource:?}], verbs: [{verb:?}]}}")?;
        if namespace.is_empty() {
            f.write_str(" in a ClusterRole")
        } else {
            write!(f, " in a Role of namespace {namespace}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_named_as_a_rule() {
        let rights = needed("nodeward-system", WritesAs::Caller);
        let shown: Vec<String> = rights.iter().map(OwnRight::to_string).collect();
        assert!(shown.contains(
            &r#"{apiGroups: [""], resources: ["nodes/status"], verbs: ["impersonate-on:user-info:patch"]} in a ClusterRole"#
                .to_owned()
        ));
        assert!(shown.contains(
            &r#"{apiGroups: [""], resources: ["configmaps"], verbs: ["watch"]} in a Role of namespace nodeward-system"#
                .to_owned()
        ));
    }

    #[test]
    fn a_server_that_writes_as_its_callers_needs_no_right_to_change_a_node_or_to_remove_a_pod() {
        let is_theirs = |right: &OwnRight| ["nodes", "pods"].iter().any(|kind| right.resource.starts_with(kind));
        let changes = |right: &&OwnRight| is_theirs(right) && NODE_WRITES.contains(&right.verb);
        assert_eq!(needed("x", WritesAs::Caller).iter().filter(changes).count(), 0);
        assert_eq!(needed("x", WritesAs::Server).iter().filter(changes).count(), 6);
    }
}
