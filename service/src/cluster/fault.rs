//! From Kubernetes' errors to nodeward's: by status code, reason and causes, never by the text of a message.

use std::time::Duration;

use kube::core::Status;

use crate::error::Error;
use crate::node::{Violation, Violations};

/// When to try again if Kubernetes did not say.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// What a failed call means, whatever it was about. Calls that know more (which node, which patch) look at the
/// status before they come here.
pub(super) fn from_kube(error: kube::Error) -> Error {
    match error {
        kube::Error::Api(status) => from_status(*status),
        kube::Error::SerdeError(error) => Error::Internal { detail: format!("Kubernetes' answer: {error}") },
        kube::Error::BuildRequest(error) => Error::Internal { detail: error.to_string() },
        other => Error::Unreachable { detail: root_cause(&other) },
    }
}

/// What a failed call about this node means.
pub(super) fn about_node(error: kube::Error, node: &str) -> Error {
    match api_status(&error) {
        Some(status) if status.is_not_found() => Error::NotFound { node: node.to_owned() },
        Some(status) if status.is_already_exists() => Error::AlreadyExists { node: node.to_owned() },
        Some(status) if status.is_conflict() => Error::Conflict { node: node.to_owned() },
        _ => from_kube(error),
    }
}

/// The status that the apiserver answered with, if it answered.
pub(super) fn api_status(error: &kube::Error) -> Option<&Status> {
    match error {
        kube::Error::Api(status) => Some(status),
        _ => None,
    }
}

/// The fields that belong to other managers, if that is why an apply was refused.
pub(super) fn field_manager_conflicts(status: &Status) -> Vec<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| format!("{} ({})", cause.field, cause.message))
        .collect()
}

fn from_status(status: Status) -> Error {
    match status.code {
        400 => Error::Invalid(Violation::new("", status.message).into()),
        401 | 403 => Error::Denied { message: status.message },
        404 => Error::Internal { detail: status.message },
        413 => Error::Invalid(Violation::new("", "the object is too large for Kubernetes: send less").into()),
        415 | 422 => Error::Invalid(violations(status)),
        429 => Error::Throttled { retry_after: retry_after(&status) },
        503 | 504 => Error::Unreachable { detail: status.message },
        500 if status.reason == "ServerTimeout" || status.reason == "Timeout" => {
            Error::Unreachable { detail: status.message }
        }
        409 => Error::Conflict { node: status.details.map(|details| details.name).unwrap_or_default() },
        _ => Error::Internal { detail: format!("{} ({})", status.message, status.reason) },
    }
}

/// Kubernetes names the bad fields of a 422 in the causes.
fn violations(status: Status) -> Violations {
    let causes = status.details.map(|details| details.causes).unwrap_or_default();
    if causes.is_empty() {
        return Violation::new("", status.message).into();
    }
    let mut violations: Vec<Violation> = Vec::new();
    for cause in causes {
        let violation = Violation::new(true_path(&cause.field), without_value(&cause.message));
        if !violations.contains(&violation) {
            violations.push(violation);
        }
    }
    Violations(violations)
}

/// Kubernetes reports taints as fields of the metadata (ValidateNode in pkg/apis/core/validation/validation.go).
fn true_path(field: &str) -> String {
    field.replacen("metadata.taints", "spec.taints", 1)
}

/// Kubernetes quotes the bad value before it says what is wrong with it, and the value can be the whole object.
fn without_value(message: &str) -> &str {
    const LONG: usize = 300;
    if message.len() <= LONG {
        return message;
    }
    message.rsplit_once("\": ").map_or(message, |(_, problem)| problem)
}

fn retry_after(status: &Status) -> Duration {
    match &status.details {
        Some(details) if details.retry_after_seconds > 0 => Duration::from_secs(details.retry_after_seconds.into()),
        _ => DEFAULT_RETRY,
    }
}

/// kube's own text wraps the cause several times ("ServiceError: client error (Connect): ...").
fn root_cause(error: &kube::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
