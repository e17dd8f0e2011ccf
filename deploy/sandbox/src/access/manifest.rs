//! The manifests of deploy/crd and deploy/rbac, and applying them.

use std::path::Path;
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject as InRbac};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::runtime::conditions;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};

use super::review::wait_granted;
use super::subject::Subject;
use crate::error::SandboxError;

/// How long the apiserver may take to serve what is defined.
const ESTABLISHED_WITHIN: Duration = Duration::from_secs(30);

/// What the others live in.
const NAMESPACE: &str = include_str!("../../../rbac/namespace.yaml");

/// What Kubernetes is to know of besides its own resources.
const DEFINITIONS: [&str; 1] = [include_str!("../../../crd/nodeoperations.yaml")];

const RIGHTS: [&str; 5] = [
    include_str!("../../../rbac/server.yaml"),
    include_str!("../../../rbac/examples/admin.yaml"),
    include_str!("../../../rbac/examples/operator.yaml"),
    include_str!("../../../rbac/examples/viewer.yaml"),
    include_str!("../../../rbac/examples/auditor.yaml"),
];

/// Applies all manifests, and waits until every binding in them is in effect.
pub(super) async fn apply(client: &Client, logs: &Path) -> Result<(), SandboxError> {
    for manifest in DEFINITIONS {
        apply_all(client, &parsed(manifest)?).await?;
    }
    apply_all(client, &parsed(NAMESPACE)?).await?;
    let mut objects = Vec::new();
    for manifest in RIGHTS {
        objects.extend(parsed(manifest)?);
    }
    apply_all(client, &objects).await?;
    wait_established(client).await?;
    let grants = objects.iter().flat_map(|binding| grants(binding, &objects));
    let waits = grants.map(|grant| async move {
        let Grant { subject, namespace, rule } = grant;
        wait_granted(client, &subject, namespace.as_deref(), &rule, logs).await
    });
    try_join_all(waits).await.map(drop)
}

/// Waits until the apiserver serves what is defined.
async fn wait_established(client: &Client) -> Result<(), SandboxError> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let wrap = |detail: String| SandboxError::Manifest { detail };
    for name in definitions_of(&DEFINITIONS)? {
        let established = await_condition(definitions.clone(), &name, conditions::is_crd_established());
        let established = tokio::time::timeout(ESTABLISHED_WITHIN, established).await;
        established
            .map_err(|_| wrap(format!("{name} is not served after {ESTABLISHED_WITHIN:?}")))?
            .map_err(|e| wrap(format!("can't watch {name}: {e}")))?;
    }
    Ok(())
}

fn definitions_of(manifests: &[&str]) -> Result<Vec<String>, SandboxError> {
    let mut names = Vec::new();
    for manifest in manifests {
        let objects = parsed(manifest)?.into_iter().filter(|object| kind(object) == "CustomResourceDefinition");
        names.extend(objects.filter_map(|object| object.metadata.name));
    }
    Ok(names)
}

pub(super) async fn apply_all(client: &Client, objects: &[DynamicObject]) -> Result<(), SandboxError> {
    try_join_all(objects.iter().map(|object| apply_one(client, object))).await.map(drop)
}

async fn apply_one(client: &Client, object: &DynamicObject) -> Result<(), SandboxError> {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let unknown = || SandboxError::Manifest { detail: format!("{name} is of a kind that is not expected there") };
    let resource = resource(kind(object)).ok_or_else(unknown)?;
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let params = PatchParams::apply("nodeward-sandbox").force();
    let applied = api.patch(name, &params, &Patch::Apply(object)).await;
    applied.map(drop).map_err(|e| SandboxError::kube(format!("apply {} {name}", resource.kind), e))
}

pub(super) fn parsed(manifest: &str) -> Result<Vec<DynamicObject>, SandboxError> {
    serde_saphyr::from_multiple(manifest).map_err(|e| SandboxError::Manifest { detail: e.to_string() })
}

fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map(|types| types.kind.as_str()).unwrap_or_default()
}

fn resource(kind: &str) -> Option<ApiResource> {
    Some(match kind {
        "CustomResourceDefinition" => ApiResource::erase::<CustomResourceDefinition>(&()),
        "ValidatingAdmissionPolicy" => ApiResource::erase::<ValidatingAdmissionPolicy>(&()),
        "ValidatingAdmissionPolicyBinding" => ApiResource::erase::<ValidatingAdmissionPolicyBinding>(&()),
        "Namespace" => ApiResource::erase::<Namespace>(&()),
        "ServiceAccount" => ApiResource::erase::<ServiceAccount>(&()),
        "ClusterRole" => ApiResource::erase::<ClusterRole>(&()),
        "ClusterRoleBinding" => ApiResource::erase::<ClusterRoleBinding>(&()),
        "Role" => ApiResource::erase::<Role>(&()),
        "RoleBinding" => ApiResource::erase::<RoleBinding>(&()),
        _ => return None,
    })
}

/// A right that a binding gives to a subject.
#[derive(Debug)]
struct Grant {
    subject: Subject,
    namespace: Option<String>,
    rule: PolicyRule,
}

/// The first right that a binding gives to each of its subjects; none if it is no binding.
fn grants(binding: &DynamicObject, objects: &[DynamicObject]) -> Vec<Grant> {
    let reference = &binding.data["roleRef"];
    let is_its_role = |role: &&DynamicObject| {
        reference["kind"] == kind(role) && reference["name"].as_str() == role.metadata.name.as_deref()
    };
    let rules: Vec<PolicyRule> = objects.iter().find(is_its_role).map(|role| list(role, "rules")).unwrap_or_default();
    let Some(rule) = rules.into_iter().next() else { return Vec::new() };
    let subjects: Vec<InRbac> = list(binding, "subjects");
    let namespace = &binding.metadata.namespace;
    let grant =
        |subject| Grant { subject: Subject::of_rbac(subject), namespace: namespace.clone(), rule: rule.clone() };
    subjects.into_iter().map(grant).collect()
}

fn list<T: serde::de::DeserializeOwned>(object: &DynamicObject, field: &str) -> Vec<T> {
    object.data.get(field).cloned().and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{SERVER_ACCOUNT, SERVER_NAMESPACE};
    use crate::user::User;

    fn bound() -> Vec<Subject> {
        let objects: Vec<_> = RIGHTS.iter().flat_map(|manifest| parsed(manifest).unwrap()).collect();
        objects.iter().flat_map(|binding| grants(binding, &objects)).map(|grant| grant.subject).collect()
    }

    #[test]
    fn the_server_and_every_user_of_the_sandbox_are_given_rights() {
        let bound = bound();
        let server = Subject::service_account(SERVER_NAMESPACE, SERVER_ACCOUNT);
        assert_eq!(bound.iter().filter(|subject| **subject == server).count(), 2, "cluster and namespace: {bound:?}");
        for user in User::ALL {
            assert!(bound.contains(&Subject::group(user.group())), "{user}: {bound:?}");
        }
    }
}
