//! Rights that are granted and taken away.

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use nodeward_sandbox::Subject;
use serde_json::json;

use super::{eventually, world};

/// The rights of a cluster role, which somebody has.
pub struct Grant {
    binding: String,
}

impl Grant {
    /// Grants somebody the rights of this cluster role.
    pub async fn to(subject: Subject, role: &str) -> Self {
        Self { binding: world().await.sandbox.bind(&subject, role).await.unwrap() }
    }

    /// Takes them away. The apiserver knows it a moment later.
    pub async fn take_away(self) {
        let bindings: Api<ClusterRoleBinding> = Api::all(world().await.sandbox.client().await.unwrap());
        bindings.delete(&self.binding, &DeleteParams::default()).await.unwrap();
    }
}

/// Waits until the apiserver says that a user may not do this to nodes.
pub async fn eventually_unable(user: &Subject, verb: &str) {
    let reviews: Api<SubjectAccessReview> = Api::all(world().await.sandbox.client().await.unwrap());
    let spec = json!({ "user": user.username(), "resourceAttributes": { "verb": verb, "resource": "nodes" } });
    let review = serde_json::from_value(json!({ "metadata": {}, "spec": spec })).unwrap();
    eventually("the apiserver knows that the right is gone", async || {
        let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
        (!answer.status.unwrap().allowed).then_some(())
    })
    .await;
}
