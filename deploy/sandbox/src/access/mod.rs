//! Who may do what in the sandbox's cluster: the nodeward server's service account, with the rights of deploy/rbac and no
//! others, its users with those of deploy/rbac/examples, and whatever a test adds.
//!
//! The apiserver learns of new rights a moment after it has stored them: all that is done here waits for that moment.

mod guard;
mod manifest;
mod review;
mod subject;
mod token;

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, RoleRef};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

use crate::error::SandboxError;

pub use subject::Subject;
pub(crate) use token::of_service_account;

/// The namespace of the nodeward server.
pub const SERVER_NAMESPACE: &str = "nodeward-system";

/// The service account of the nodeward server.
pub const SERVER_ACCOUNT: &str = "nodeward-server";

/// How long the token of the server is good for. A pod's would be made anew every hour, and nobody does that here.
const SERVER_TOKEN: Duration = Duration::from_secs(365 * 24 * 3600);

/// Gives the server and the users their rights, and returns a token of the server's. If they are to be guarded, operations are
/// written by nobody else from then on.
///
/// Of the two kinds there are, it is one that is asked for, as a pod's is: it ends with its service account and has an audience,
/// and none lies about in a Secret.
pub(crate) async fn establish(client: &Client, guard_operations: bool, logs: &Path) -> Result<String, SandboxError> {
    manifest::apply(client, logs).await?;
    if guard_operations {
        guard::put_up(client, logs).await?;
    } else {
        guard::take_down(client).await?;
    }
    token::of_service_account(client, SERVER_NAMESPACE, SERVER_ACCOUNT, &[], SERVER_TOKEN).await
}

/// Gives somebody the rights of a cluster role that exists, and returns the binding's name.
pub(crate) async fn bind(client: &Client, subject: &Subject, role: &str, logs: &Path) -> Result<String, SandboxError> {
    let wrap = |e| SandboxError::kube(format!("bind the cluster role {role}"), e);
    let rules = Api::<ClusterRole>::all(client.clone()).get(role).await.map_err(wrap)?.rules.unwrap_or_default();
    let binding = ClusterRoleBinding {
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "ClusterRole".to_owned(),
            name: role.to_owned(),
        },
        subjects: Some(vec![subject.in_rbac()]),
        ..serde_json::from_value(json!({ "metadata": { "generateName": "nodeward-sandbox-" } })).unwrap_or_default()
    };
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    let made = bindings.create(&PostParams::default(), &binding).await.map_err(wrap)?;
    if let Some(rule) = rules.first() {
        review::wait_granted(client, subject, None, rule, logs).await?;
    }
    Ok(made.metadata.name.unwrap_or_default())
}
