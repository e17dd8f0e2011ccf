//! From Kubernetes' errors to nodeward's: by status code, reason and causes, never by the text of a message, but for one that
//! comes with nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::core::Status;
use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::node::{Violation, Violations};

/// When to try again if Kubernetes did not say.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// What the apiserver passes on as a failure of its own when an object is too large for etcd (ErrRequestTooLarge in etcd's
/// api/v3rpc/rpctypes), or too large even to be sent there (grpc-go's stream.go).
const TOO_LARGE: [&str; 2] = ["etcdserver: request is too large", "trying to send message larger than max"];

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

/// The same of a call in the server's own name: that it is denied is nothing that callers can do anything about.
pub(super) fn of_the_server(error: kube::Error) -> Error {
    match from_kube(error) {
        Error::Denied { message } => Error::Internal { detail: message },
        other => other,
    }
}

/// Waits for a call no longer than until its deadline.
pub(super) async fn within<T>(
    deadline: Instant,
    stage: &'static str,
    call: impl Future<Output = T>,
) -> Result<T, Error> {
    timeout_at(deadline, call).await.map_err(|_| Error::DeadlineExceeded { stage })
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

/// What a failed dry run means whose request was made here, and is therefore well formed: a 400 can only say that a part of
/// admission does not support dry runs (NewDryRunUnsupportedErr in apiserver's admission/plugin/webhook/errors).
pub(super) fn about_dry_run(error: kube::Error, node: &str) -> Error {
    match api_status(&error) {
        Some(status) if status.code == 400 => Error::ValidationUnsupported { message: status.message.clone() },
        _ => about_node(error, node),
    }
}

/// The status that the apiserver answered with, if it answered.
pub(super) fn api_status(error: &kube::Error) -> Option<&Status> {
    match error {
        kube::Error::Api(status) => Some(status),
        _ => None,
    }
}

/// That fields belong to other managers, if that is why an apply was refused.
pub(super) fn field_conflict(status: &Status, node: &str) -> Option<Error> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let conflicts: Vec<_> = causes.filter(|cause| cause.reason == "FieldManagerConflict").collect();
    let fields: Vec<&str> = conflicts.iter().map(|cause| cause.field.as_str()).collect();
    let managers: BTreeSet<&str> = conflicts.iter().map(|cause| cause.message.as_str()).collect();
    (!conflicts.is_empty()).then(|| Error::FieldConflict {
        node: node.to_owned(),
        fields: fields.join(", "),
        managers: managers.into_iter().collect::<Vec<_>>().join(", "),
    })
}

fn from_status(status: Status) -> Error {
    match status.code {
        400 => Error::Invalid(Violation::new("", status.message).into()),
        // The server's own credentials, which a rotation may have just ended; callers have nothing to do with them.
        401 => {
            Error::Unreachable { detail: format!("it does not accept the server's credentials: {}", status.message) }
        }
        403 => Error::Denied { message: status.message },
        404 => Error::Internal { detail: status.message },
        413 => too_large(),
        500 if TOO_LARGE.iter().any(|words| status.message.contains(words)) => too_large(),
        415 | 422 => Error::Invalid(violations(status)),
        429 => Error::Throttled { retry_after: retry_after(&status) },
        // Also what a webhook that does not answer, or etcd while it elects a leader, make of a request.
        500.. => Error::Unreachable { detail: status.message },
        409 => Error::Conflict { node: status.details.map(|details| details.name).unwrap_or_default() },
        _ => Error::Internal { detail: format!("{} ({})", status.message, status.reason) },
    }
}

/// The webhook or policy that did not admit a request. Kubernetes names it nowhere but in its text: ToStatusErr in apiserver's
/// admission/plugin/webhook/errors, and Validate in admission/plugin/policy/validating.
pub(super) fn admission(message: &str) -> Option<&str> {
    const BEGINNINGS: [(&str, char); 2] = [("admission webhook \"", '"'), ("ValidatingAdmissionPolicy '", '\'')];
    BEGINNINGS.iter().find_map(|(beginning, end)| {
        let (_, rest) = message.split_once(beginning)?;
        rest.split_once(*end).map(|(name, _)| name)
    })
}

/// Whether the apiserver has failed and has no reason for it: an error that it does not know as one of its own.
pub(super) fn is_unexplained(status: &Status) -> bool {
    status.code == 500 && status.reason.is_empty()
}

fn too_large() -> Error {
    Violation::new("", "the object is too large for Kubernetes: send less").into()
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

#[cfg(test)]
mod tests {
    use kube::core::response::{StatusCause, StatusDetails};

    use super::*;

    fn answer(code: u16, reason: &str) -> Status {
        Status::failure("Kubernetes' words", reason).with_code(code)
    }

    fn details(causes: Vec<StatusCause>) -> StatusDetails {
        let [name, group, kind, uid] = [(); 4].map(|()| String::new());
        StatusDetails { name, group, kind, uid, causes, retry_after_seconds: 0 }
    }

    fn meaning(status: Status) -> Error {
        about_node(kube::Error::Api(status.boxed()), "worker-1")
    }

    #[test]
    fn refusals_keep_the_words_of_kubernetes() {
        assert!(
            matches!(meaning(answer(403, "Forbidden")), Error::Denied { message } if message == "Kubernetes' words")
        );
    }

    #[test]
    fn throttling_says_when_to_try_again() {
        let details = StatusDetails { retry_after_seconds: 7, ..details(vec![]) };
        let status = answer(429, "TooManyRequests").with_details(details);
        assert!(matches!(meaning(status), Error::Throttled { retry_after } if retry_after == Duration::from_secs(7)));
    }

    #[test]
    fn bad_fields_are_named_once_and_without_their_value() {
        let cause = |message: String| StatusCause {
            reason: "FieldValueInvalid".into(),
            message,
            field: "metadata.taints[0].key".into(),
        };
        let long = format!("Invalid value: \"{}\": must be shorter", "x".repeat(1000));
        let details = details(vec![cause(long.clone()), cause(long)]);
        let Error::Invalid(Violations(violations)) = meaning(answer(422, "Invalid").with_details(details)) else {
            panic!()
        };
        assert_eq!(violations, [Violation::new("spec.taints[0].key", "must be shorter")]);
    }

    #[test]
    fn a_server_that_fails_may_do_better_soon() {
        let failures = [
            (503, "ServiceUnavailable"),
            (504, "Timeout"),
            (500, "ServerTimeout"),
            (500, "InternalError"),
            (401, "Unauthorized"),
        ];
        for (code, reason) in failures {
            assert!(matches!(meaning(answer(code, reason)), Error::Unreachable { .. }));
        }
    }

    #[test]
    fn an_object_that_is_too_large_is_no_failure_of_kubernetes() {
        let words = |words: &str| Status { message: format!("rpc error: {words} (3 vs. 2)"), ..answer(500, "") };
        for status in [answer(413, "RequestEntityTooLarge"), words(TOO_LARGE[0]), words(TOO_LARGE[1])] {
            let Error::Invalid(Violations(violations)) = meaning(status) else { panic!() };
            assert!(violations[0].description.contains("too large"), "{violations:?}");
        }
    }

    #[test]
    fn a_dry_run_that_admission_does_not_support_is_told_from_a_bad_request() {
        let error = || kube::Error::Api(answer(400, "BadRequest").boxed());
        assert!(matches!(about_dry_run(error(), "worker-1"), Error::ValidationUnsupported { .. }));
        assert!(matches!(about_node(error(), "worker-1"), Error::Invalid(_)));
    }

    #[test]
    fn whoever_did_not_admit_a_request_is_named() {
        for (message, expected) in [
            ("admission webhook \"pods.example.com\" denied the request: no", Some("pods.example.com")),
            (
                "pods \"a\" is forbidden: ValidatingAdmissionPolicy 'no-evictions' with binding 'all' denied request: no",
                Some("no-evictions"),
            ),
            ("pods \"a\" is forbidden: User \"alice\" cannot create resource \"pods/eviction\"", None),
        ] {
            assert_eq!(admission(message), expected, "{message}");
        }
    }

    #[test]
    fn conflicts_of_an_apply_name_fields_and_managers() {
        let cause = StatusCause {
            reason: "FieldManagerConflict".into(),
            message: "conflict with \"kubelet\"".into(),
            field: ".metadata.labels.a".into(),
        };
        let details = details(vec![cause]);
        let conflict = field_conflict(&answer(409, "Conflict").with_details(details), "worker-1");
        let Some(Error::FieldConflict { fields, managers, .. }) = conflict else { panic!("{conflict:?}") };
        assert_eq!((fields.as_str(), managers.as_str()), (".metadata.labels.a", "conflict with \"kubelet\""));
        assert!(field_conflict(&answer(409, "Conflict"), "worker-1").is_none());
    }
}
