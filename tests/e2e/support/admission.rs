//! Policies and webhooks that do not let something happen in a test's namespace.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::Eviction;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, from_value, json};

use super::webhook::Webhook;
use super::workload::Workload;
use super::{eventually, world};

/// What does not let something happen.
pub struct Hindrance {
    /// Its name.
    pub name: String,
    is_webhook: bool,
}

impl Hindrance {
    /// A policy that lets nobody evict the pods of this workload. It holds for this pod when it is there.
    pub async fn of_evictions(workload: &Workload, pod: &Pod) -> Self {
        let policy = Self::policy(workload, "CREATE", "pods/eviction", "false").await;
        eventually_not_evictable(workload, pod).await;
        policy
    }

    /// A webhook that lets nobody do that, or that does not answer. It is asked about this pod when it is there.
    pub async fn by_webhook(workload: &Workload, pod: &Pod, webhook: &Webhook) -> Self {
        let webhooks = world().await.sandbox.client().await.unwrap();
        let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(webhooks);
        let name = format!("{}.example.com", workload.namespace);
        let configuration = json!({
            "metadata": { "name": name },
            "webhooks": [{
                "name": name,
                "clientConfig": { "url": webhook.url, "caBundle": webhook.ca_bundle },
                "rules": rules("CREATE", "pods/eviction"),
                "namespaceSelector": only(workload),
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 2,
            }],
        });
        webhooks.create(&PostParams::default(), &from_value(configuration).unwrap()).await.unwrap();
        eventually_not_evictable(workload, pod).await;
        Self { name, is_webhook: true }
    }

    /// A policy that keeps the garbage collector from deleting the pods of this workload.
    pub async fn of_garbage_collection(workload: &Workload, pod: &Pod) -> Self {
        const COLLECTOR: &str = "system:serviceaccount:kube-system:generic-garbage-collector";
        let is_another = format!("request.userInfo.username != '{COLLECTOR}'");
        let policy = Self::policy(workload, "DELETE", "pods", &is_another).await;
        let (namespace, name, user) = (&workload.namespace, pod.name_any(), format!("--as={COLLECTOR}"));
        eventually("the garbage collector is kept from it", async || {
            let delete = ["delete", "pod", &name, "-n", namespace, "--dry-run=server", &user];
            let output = world().await.sandbox.kubectl(delete).await.unwrap();
            String::from_utf8_lossy(&output.stderr).contains("ValidatingAdmissionPolicy").then_some(())
        })
        .await;
        policy
    }

    /// A policy that keeps everybody from deleting the pods of this workload.
    pub async fn of_deletions(workload: &Workload, pod: &Pod) -> Self {
        let policy = Self::policy(workload, "DELETE", "pods", "false").await;
        let dry_run = DeleteParams { dry_run: true, ..DeleteParams::default() };
        eventually("nobody can delete it", async || {
            workload.pods().delete(&pod.name_any(), &dry_run).await.is_err().then_some(())
        })
        .await;
        policy
    }

    async fn policy(workload: &Workload, operation: &str, resource: &str, is_admitted: &str) -> Self {
        let (client, create) = (world().await.sandbox.client().await.unwrap(), PostParams::default());
        let name = format!("{}-{}", workload.namespace, operation.to_lowercase());
        let policy = json!({
            "metadata": { "name": name },
            "spec": {
                "matchConstraints": {
                    "resourceRules": rules(operation, resource),
                    "namespaceSelector": only(workload),
                },
                "validations": [{ "expression": is_admitted, "message": "not in this test" }],
            },
        });
        let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
        policies.create(&create, &from_value(policy).unwrap()).await.unwrap();
        let binding = json!({
            "metadata": { "name": name },
            "spec": { "policyName": name, "validationActions": ["Deny"] },
        });
        let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client);
        bindings.create(&create, &from_value(binding).unwrap()).await.unwrap();
        Self { name, is_webhook: false }
    }

    /// Takes it away.
    pub async fn remove(self) {
        let (client, delete) = (world().await.sandbox.client().await.unwrap(), DeleteParams::default());
        if self.is_webhook {
            let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(client);
            webhooks.delete(&self.name, &delete).await.unwrap();
        } else {
            let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client);
            bindings.delete(&self.name, &delete).await.unwrap();
        }
    }
}

fn rules(operation: &str, resource: &str) -> Value {
    json!([{ "apiGroups": [""], "apiVersions": ["v1"], "operations": [operation], "resources": [resource] }])
}

fn only(workload: &Workload) -> Value {
    json!({ "matchLabels": { "kubernetes.io/metadata.name": workload.namespace } })
}

/// Waits until the apiserver, which learns of it a moment later, lets nobody evict a pod.
async fn eventually_not_evictable(workload: &Workload, pod: &Pod) {
    let (name, dry_run) = (pod.name_any(), PostParams { dry_run: true, ..PostParams::default() });
    let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
    let eviction = Eviction { metadata, ..Eviction::default() };
    eventually("nobody can evict it", async || {
        let pods = workload.pods();
        let answer = pods.create_subresource::<_, Value>("eviction", &name, &dry_run, &eviction).await;
        answer.is_err().then_some(())
    })
    .await;
}
