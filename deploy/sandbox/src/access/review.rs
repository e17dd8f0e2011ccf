//! Waiting until the apiserver grants what it was told to.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::PostParams;
use kube::{Api, Client};

use super::subject::Subject;
use crate::error::SandboxError;
use crate::seed::wait_for;

const DEADLINE: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_millis(10);

/// Waits until a rule of a role that was bound holds for a subject, in a namespace or everywhere.
pub(super) async fn wait_granted(
    client: &Client,
    subject: &Subject,
    namespace: Option<&str>,
    rule: &PolicyRule,
    logs: &Path,
) -> Result<(), SandboxError> {
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let review = SubjectAccessReview { spec: question(subject, namespace, rule), ..SubjectAccessReview::default() };
    wait_for("a right being granted", DEADLINE, EVERY, logs, || async {
        let answer = reviews.create(&PostParams::default(), &review).await;
        let answer = answer.map_err(|e| SandboxError::kube("ask for a right", e))?;
        let allowed = answer.status.is_some_and(|status| status.allowed);
        Ok((!allowed).then(|| format!("{subject:?} has not the right of {rule:?}")))
    })
    .await
}

/// The first of the requests that a rule allows.
fn question(subject: &Subject, namespace: Option<&str>, rule: &PolicyRule) -> SubjectAccessReviewSpec {
    let first = |values: &Option<Vec<String>>| values.iter().flatten().next().cloned();
    let (resource, subresource) = match first(&rule.resources) {
        Some(path) => match path.split_once('/') {
            Some((resource, subresource)) => (Some(resource.to_owned()), Some(subresource.to_owned())),
            None => (Some(path), None),
        },
        None => (None, None),
    };
    let attributes = ResourceAttributes {
        verb: rule.verbs.first().cloned(),
        group: first(&rule.api_groups),
        resource,
        subresource,
        name: first(&rule.resource_names),
        namespace: namespace.map(str::to_owned),
        ..ResourceAttributes::default()
    };
    let groups = match subject {
        Subject::Group(group) => Some(vec![group.clone()]),
        _ => None,
    };
    SubjectAccessReviewSpec {
        user: subject.username(),
        groups,
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    }
}
