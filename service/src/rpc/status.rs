//! From nodeward's errors to `google.rpc.Status`: the one place where codes and details are chosen.
//!
//! Every status carries an ErrorInfo; all that varies in a message stands in its metadata too. The details stay under
//! 4 KiB: they travel in the trailers, of which clients and proxies take 8 KiB, and count twice there.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::error::Error;
use crate::node::Violations;
use crate::node::claim::ClaimError;

/// The domain of all reasons.
pub const DOMAIN: &str = "nodeward.dev";

/// Where the reasons are explained.
const HELP: &str = "https://nodeward.dev/docs/errors";

/// When to try again what may succeed soon.
const SOON: Duration = Duration::from_secs(1);

const MOST_DETAIL_BYTES: usize = 4000;
const MOST_VIOLATIONS: usize = 16;
const MOST_TEXT: usize = 500;

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = shorten(&error.to_string(), 2 * MOST_TEXT);
        let mut details = details(&error);
        // Whatever the texts hold: never more than the trailers take. The message is encoded with the details.
        loop {
            let status = Status::with_error_details(code(&error), message.as_str(), details.clone());
            if status.details().len() <= MOST_DETAIL_BYTES || !halve_violations(&mut details) {
                return status;
            }
        }
    }
}

fn code(error: &Error) -> Code {
    match error {
        Error::Invalid(_) | Error::InvalidPageToken | Error::InvalidResumeToken | Error::RequestIdConflict { .. } => {
            Code::InvalidArgument
        }
        Error::MessageTooLarge { .. } => Code::ResourceExhausted,
        Error::ResumeTokenExpired | Error::AuditLogMismatch => Code::OutOfRange,
        Error::Unauthenticated { .. } => Code::Unauthenticated,
        Error::AccessDenied { .. } => Code::PermissionDenied,
        Error::RateLimited { .. }
        | Error::Overloaded { .. }
        | Error::AuthenticationOverloaded { .. }
        | Error::LedgerFull { .. } => Code::ResourceExhausted,
        Error::NotFound { .. } | Error::OperationNotFound { .. } => Code::NotFound,
        Error::AlreadyExists { .. } => Code::AlreadyExists,
        Error::EtagMismatch { .. }
        | Error::Conflict { .. }
        | Error::FieldConflict { .. }
        | Error::PartiallyDeleted { .. } => Code::Aborted,
        Error::ControllerOwnedTaint { .. }
        | Error::PatchTestFailed { .. }
        | Error::CountMismatch { .. }
        | Error::Claim { .. }
        | Error::Denied { .. }
        | Error::NoAuditLog
        | Error::OperationNotDone { .. }
        | Error::OperationsUnavailable
        | Error::ValidationUnsupported { .. } => Code::FailedPrecondition,
        Error::AuditLogUnreadable { .. } => Code::DataLoss,
        Error::Throttled { .. }
        | Error::Unreachable { .. }
        | Error::IssuerUnreachable { .. }
        | Error::AuditUnavailable { .. }
        | Error::NotReady
        | Error::ShuttingDown => Code::Unavailable,
        Error::DeadlineExceeded { .. } => Code::DeadlineExceeded,
        Error::Internal { .. } => Code::Internal,
    }
}

fn details(error: &Error) -> ErrorDetails {
    let mut details = ErrorDetails::new();
    details.set_error_info(error.reason(), DOMAIN, metadata(error));
    details.add_help_link(hint(error), format!("{HELP}#{}", error.reason().to_lowercase()));
    match error {
        Error::Invalid(violations) => {
            details.set_bad_request(field_violations(violations));
        }
        Error::InvalidPageToken => {
            details.add_bad_request_violation(
                "page_token",
                "must be the next_page_token of a list with the same filter, selector and order",
            );
        }
        Error::InvalidResumeToken => {
            details.add_bad_request_violation(
                "resume_token",
                "must be a resume_token of a watch with the same filter, selector and mask",
            );
        }
        Error::RequestIdConflict { .. } => {
            details.add_bad_request_violation("request_id", "must be a new UUID for a new request");
        }
        Error::NotFound { node } | Error::AlreadyExists { node } => {
            details.set_resource_info("nodeward.dev/Node", format!("nodes/{}", shorten(node, 253)), "", "");
        }
        Error::OperationNotFound { operation } => {
            details.set_resource_info(
                "nodeward.dev/Operation",
                format!("operations/{}", shorten(operation, 253)),
                "",
                "",
            );
        }
        Error::OperationNotDone { operation, state } => {
            let (subject, description) = (format!("operations/{operation}"), format!("it is {state}"));
            details.add_precondition_failure_violation(error.reason(), subject, description);
        }
        Error::ControllerOwnedTaint { key, advice, .. } => {
            details.add_precondition_failure_violation("CONTROLLER_OWNED_TAINT", shorten(key, 300), advice);
        }
        Error::CountMismatch { expected, actual } => {
            let description = format!("{actual} nodes match, {expected} were expected");
            details.add_precondition_failure_violation("COUNT_MISMATCH", "nodes", description);
        }
        Error::Claim { node, refusal } => {
            let description = shorten(&refusal.to_string(), MOST_TEXT);
            details.add_precondition_failure_violation(error.reason(), format!("nodes/{node}"), description);
        }
        Error::PatchTestFailed { detail } => {
            details.add_precondition_failure_violation("PATCH_TEST", "patch", shorten(detail, MOST_TEXT));
        }
        Error::RateLimited { user, class, allowed, retry_after, .. } => {
            let subject = format!("user:{}", shorten(user, 253));
            let description = format!("{class}: {} are allowed", shorten(allowed, MOST_TEXT));
            details.add_quota_failure_violation(subject, description);
            details.set_retry_info(Some(*retry_after));
        }
        Error::LedgerFull { user, limit, allowed, retry_after } => {
            let subject = if *limit == "user" { format!("user:{}", shorten(user, 253)) } else { "server".to_owned() };
            let description = format!("request ids: {allowed} creations and deletions a day are remembered");
            details.add_quota_failure_violation(subject, description);
            details.set_retry_info(Some(*retry_after));
        }
        Error::Overloaded { class, limit, retry_after } => {
            let subject = if ["connection", "network"].contains(limit) { *limit } else { "server" };
            details.add_quota_failure_violation(subject, format!("{class}: there are too many already ({limit})"));
            details.set_retry_info(Some(*retry_after));
        }
        Error::AuthenticationOverloaded { limit, retry_after } => {
            let (subject, description) = match *limit {
                "failures" => ("network", "tokens: too many were no good"),
                _ => ("server", "tokens: too many unknown ones are shown at a time"),
            };
            details.add_quota_failure_violation(subject, description);
            details.set_retry_info(Some(*retry_after));
        }
        Error::Throttled { retry_after } => {
            details.set_retry_info(Some(*retry_after));
        }
        Error::Unreachable { .. }
        | Error::IssuerUnreachable { .. }
        | Error::AuditUnavailable { .. }
        | Error::NotReady
        | Error::ShuttingDown => {
            details.set_retry_info(Some(SOON));
        }
        _ => {}
    }
    details
}

/// All that varies in the message.
fn metadata(error: &Error) -> HashMap<String, String> {
    let pairs: Vec<(&str, String)> = match error {
        Error::NotFound { node } | Error::AlreadyExists { node } | Error::Conflict { node } => {
            vec![("node", node.clone())]
        }
        Error::OperationNotFound { operation } => vec![("operation", operation.clone())],
        Error::OperationNotDone { operation, state } => {
            vec![("operation", operation.clone()), ("state", (*state).to_owned())]
        }
        Error::AccessDenied { permission } => vec![("permission", permission.clone())],
        Error::RateLimited { user, class, limit, allowed, .. } => vec![
            ("user", user.clone()),
            ("class", (*class).to_owned()),
            ("limit", (*limit).to_owned()),
            ("allowed", allowed.clone()),
        ],
        Error::LedgerFull { user, limit, allowed, .. } => {
            vec![("user", user.clone()), ("limit", (*limit).to_owned()), ("allowed", allowed.to_string())]
        }
        Error::AuthenticationOverloaded { limit, .. } => vec![("limit", (*limit).to_owned())],
        Error::Overloaded { class, limit, .. } => {
            vec![("class", (*class).to_owned()), ("limit", (*limit).to_owned())]
        }
        Error::EtagMismatch { what, expected, current } => {
            vec![("what", what.clone()), ("etag", expected.clone()), ("currentEtag", current.clone())]
        }
        Error::FieldConflict { node, fields, managers } => {
            vec![("node", node.clone()), ("fields", fields.clone()), ("manager", managers.clone())]
        }
        Error::PatchTestFailed { detail }
        | Error::Unreachable { detail }
        | Error::IssuerUnreachable { detail }
        | Error::Internal { detail }
        | Error::AuditUnavailable { detail }
        | Error::AuditLogUnreadable { detail }
        | Error::Unauthenticated { detail } => {
            vec![("detail", detail.clone())]
        }
        Error::ControllerOwnedTaint { key, controller, advice } => {
            vec![("taint", key.clone()), ("controller", controller.clone()), ("advice", advice.clone())]
        }
        Error::RequestIdConflict { request_id, method } => {
            vec![("requestId", request_id.clone()), ("method", method.clone())]
        }
        Error::MessageTooLarge { limit } => vec![("limit", limit.to_string())],
        Error::CountMismatch { expected, actual } => {
            vec![("expected", expected.to_string()), ("actual", actual.to_string())]
        }
        Error::Claim { node, refusal } => vec![("node", node.clone()), ("detail", refusal.to_string())],
        Error::PartiallyDeleted { deleted, failed } => {
            vec![("deleted", deleted.to_string()), ("failed", failed.join("; "))]
        }
        Error::Denied { message } | Error::ValidationUnsupported { message } => vec![("detail", message.clone())],
        Error::DeadlineExceeded { stage } => vec![("stage", (*stage).to_owned())],
        _ => Vec::new(),
    };
    pairs.into_iter().map(|(key, value)| (key.to_owned(), shorten(&value, MOST_TEXT))).collect()
}

/// What to do about it.
fn hint(error: &Error) -> &str {
    match error {
        Error::Invalid(_) => "correct the fields that are named",
        Error::InvalidPageToken => "list again without a page token",
        Error::InvalidResumeToken | Error::ResumeTokenExpired => "watch again without a resume token",
        Error::Unauthenticated { .. } => "send a client certificate, or a bearer token for this service",
        Error::AuthenticationOverloaded { .. } => "wait before you send it again, on the same connection",
        Error::AccessDenied { .. } => "ask for the right in Kubernetes' RBAC",
        Error::RateLimited { .. } => "send less at a time; a watch takes the place of many reads",
        Error::Overloaded { .. } => "wait before you send it again, or ask another replica",
        Error::LedgerFull { .. } => "send it without a request id, if it may be carried out twice",
        Error::NotFound { .. } => "see whether the name is right",
        Error::OperationNotFound { .. } => "list the operations",
        Error::OperationNotDone { .. } => "wait for it, or cancel it",
        Error::OperationsUnavailable => "apply deploy/crd to the cluster",
        Error::AlreadyExists { .. } => "choose another name, or update the node",
        Error::EtagMismatch { .. } => "read again, decide anew, and send the request with the new etag",
        Error::Conflict { .. } => "send the request again",
        Error::FieldConflict { .. } => "leave these fields out, or set force to take them over",
        Error::PatchTestFailed { .. } => "read the node, and decide anew",
        Error::ControllerOwnedTaint { advice, .. } => advice,
        Error::RequestIdConflict { .. } => "use a new UUID for each new request",
        Error::CountMismatch { .. } => "list with the same filter to see which nodes match now",
        Error::Claim { refusal: ClaimError::OfOthers(_), .. } => {
            "ask them, name the owner whose claim it is, or take the node over with take_over"
        }
        Error::Claim { refusal: ClaimError::TooMany, .. } => "take claims back that nobody needs any more",
        Error::PartiallyDeleted { .. } => "send the request again with the same request_id to go on",
        Error::Denied { .. } => "ask for the right in Kubernetes' RBAC, or see which admission webhook refused",
        Error::ValidationUnsupported { .. } => "a webhook of the cluster can't do dry runs",
        Error::Throttled { .. } => "send less at a time",
        Error::MessageTooLarge { .. } => "send less",
        Error::IssuerUnreachable { .. } => "send it again, or show a credential of another kind",
        Error::AuditUnavailable { .. } => "see to the server's audit log: nothing is changed without a record",
        Error::NoAuditLog => "start the server with --audit-dir, or ask another one",
        Error::AuditLogMismatch => "ask the server that gave the token, or begin anew without it",
        Error::AuditLogUnreadable { .. } => "verify the log: nodeward audit verify says what is wrong, and where",
        Error::NotReady => "the server has just started",
        Error::ShuttingDown => "connect again, to another replica if there is one",
        Error::Unreachable { .. } | Error::DeadlineExceeded { .. } => {
            "send the request again with the same request_id: it is carried out at most once"
        }
        Error::Internal { .. } => "report it with the trace that x-trace-id names",
    }
}

fn field_violations(violations: &Violations) -> Vec<FieldViolation> {
    let shown = violations.0.iter().take(MOST_VIOLATIONS);
    shown.map(|one| FieldViolation::new(shorten(&one.field, 200), shorten(&one.description, MOST_TEXT))).collect()
}

fn halve_violations(details: &mut ErrorDetails) -> bool {
    let Some(bad_request) = details.bad_request() else { return false };
    let half = bad_request.field_violations.len() / 2;
    let kept: Vec<FieldViolation> = bad_request.field_violations.iter().take(half).cloned().collect();
    details.set_bad_request(kept);
    half > 0
}

/// At most so many bytes, cut between characters.
fn shorten(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}\u{2026}", &text[..end])
}

#[cfg(test)]
#[path = "../../../tests/support/errors.rs"]
mod documented;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::claim::Claim;

    /// One error of each kind.
    fn all_errors() -> Vec<Error> {
        let [node, request_id, what] = [(); 3].map(|()| "x".to_owned());
        let text = || "x".to_owned();
        vec![
            Error::Invalid(Violations::default()),
            Error::InvalidPageToken,
            Error::InvalidResumeToken,
            Error::MessageTooLarge { limit: 1 },
            Error::ResumeTokenExpired,
            Error::Unauthenticated { detail: text() },
            Error::AuthenticationOverloaded { limit: "questions", retry_after: SOON },
            Error::AccessDenied { permission: text() },
            Error::RateLimited { user: text(), class: "reads", limit: "rate", allowed: text(), retry_after: SOON },
            Error::Overloaded { class: "reads", limit: "calls", retry_after: SOON },
            Error::LedgerFull { user: text(), limit: "user", allowed: 1, retry_after: SOON },
            Error::NotFound { node: node.clone() },
            Error::OperationNotFound { operation: text() },
            Error::OperationNotDone { operation: text(), state: "RUNNING" },
            Error::OperationsUnavailable,
            Error::AlreadyExists { node: node.clone() },
            Error::EtagMismatch { what, expected: text(), current: text() },
            Error::Conflict { node: node.clone() },
            Error::FieldConflict { node, fields: text(), managers: text() },
            Error::PatchTestFailed { detail: text() },
            Error::ControllerOwnedTaint { key: text(), controller: text(), advice: text() },
            Error::RequestIdConflict { request_id, method: text() },
            Error::CountMismatch { expected: 1, actual: 2 },
            Error::Claim {
                node: text(),
                refusal: ClaimError::OfOthers(vec![Claim { owner: text(), ..Claim::default() }]),
            },
            Error::Claim { node: text(), refusal: ClaimError::TooMany },
            Error::PartiallyDeleted { deleted: 1, failed: vec![text()] },
            Error::Denied { message: text() },
            Error::ValidationUnsupported { message: text() },
            Error::Throttled { retry_after: SOON },
            Error::Unreachable { detail: text() },
            Error::IssuerUnreachable { detail: text() },
            Error::AuditUnavailable { detail: text() },
            Error::NoAuditLog,
            Error::AuditLogMismatch,
            Error::AuditLogUnreadable { detail: text() },
            Error::NotReady,
            Error::ShuttingDown,
            Error::DeadlineExceeded { stage: "x" },
            Error::Internal { detail: text() },
        ]
    }

    #[test]
    fn every_reason_is_documented_with_its_code() {
        for error in all_errors() {
            let section = documented::sections().into_iter().find(|section| section.reason == error.reason());
            let section = section.unwrap_or_else(|| panic!("docs/errors.md lacks {}", error.reason()));
            // NOT_FOUND in the document, NotFound in the code.
            let code = format!("{:?}", code(&error)).to_uppercase();
            assert!(section.codes.iter().any(|one| one.replace('_', "") == code), "{}: {code}", error.reason());
        }
    }

    #[test]
    fn every_status_says_what_to_do_and_where_that_is_explained() {
        for error in all_errors() {
            let status = Status::from(error.clone());
            let link = status.get_details_help().unwrap().links.remove(0);
            assert!(!link.description.is_empty(), "{}", error.reason());
            assert!(link.url.ends_with(&format!("#{}", error.reason().to_lowercase())), "{}", link.url);
        }
    }

    #[test]
    fn every_status_names_its_reason_and_domain() {
        let status = Status::from(Error::NotFound { node: "worker-1".into() });
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("NODE_NOT_FOUND", "nodeward.dev"));
        assert_eq!(info.metadata["node"], "worker-1");
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.get_details_resource_info().unwrap().resource_name, "nodes/worker-1");
    }

    #[test]
    fn a_bad_request_names_each_field() {
        let mut violations = Violations::default();
        violations.add("node.spec.taints[0].key", "must not be empty");
        violations.add("etag", "must be quoted");
        let status = Status::from(Error::Invalid(violations));
        let fields: Vec<String> =
            status.get_details_bad_request().unwrap().field_violations.into_iter().map(|one| one.field).collect();
        assert_eq!(fields, ["node.spec.taints[0].key", "etag"]);
    }

    #[test]
    fn throttling_says_when_to_try_again() {
        let status = Status::from(Error::Throttled { retry_after: Duration::from_secs(3) });
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_user_who_sends_too_much_is_told_which_limit_it_is_and_when_to_try_again() {
        let retry_after = Duration::from_nanos(12_345_678);
        let allowed = "100 a second (200 at once)".to_owned();
        let error = Error::RateLimited { user: "alice".into(), class: "reads", limit: "rate", allowed, retry_after };
        let status = Status::from(error);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.metadata["class"].as_str(), info.metadata["limit"].as_str()), ("reads", "rate"));
        let violation = status.get_details_quota_failure().unwrap().violations.remove(0);
        assert_eq!(violation.subject, "user:alice");
        assert_eq!(violation.description, "reads: 100 a second (200 at once) are allowed");
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(retry_after));
    }

    #[test]
    fn kubernetes_throttling_is_told_apart_from_limits_of_our_own() {
        let answer = |error: Error| {
            let status = Status::from(error);
            (status.code(), status.get_details_error_info().unwrap().reason)
        };
        let retry_after = Duration::from_secs(3);
        let [user, allowed] = ["alice", "50 at a time"].map(str::to_owned);
        let limited = Error::RateLimited { user, class: "reads", limit: "concurrency", allowed, retry_after };
        let overloaded = Error::Overloaded { class: "reads", limit: "calls", retry_after };
        assert_eq!(answer(Error::Throttled { retry_after }), (Code::Unavailable, "CLUSTER_THROTTLED".into()));
        assert_eq!(answer(limited), (Code::ResourceExhausted, "RATE_LIMITED".into()));
        assert_eq!(answer(overloaded), (Code::ResourceExhausted, "OVERLOADED".into()));
    }

    #[test]
    fn every_limit_of_our_own_says_whose_it_is_and_when_to_try_again() {
        let overloaded = |limit| Error::Overloaded { class: "reads", limit, retry_after: SOON };
        let unknown = |limit| Error::AuthenticationOverloaded { limit, retry_after: SOON };
        let ledger = |limit| Error::LedgerFull { user: "alice".into(), limit, allowed: 1, retry_after: SOON };
        let limits = [
            (overloaded("calls"), "server"),
            (overloaded("streams"), "server"),
            (overloaded("server"), "server"),
            (overloaded("connection"), "connection"),
            (overloaded("network"), "network"),
            (unknown("questions"), "server"),
            (unknown("failures"), "network"),
            (ledger("user"), "user:alice"),
            (ledger("server"), "server"),
        ];
        for (error, subject) in limits {
            let status = Status::from(error);
            assert_eq!(status.code(), Code::ResourceExhausted);
            let violations = status.get_details_quota_failure().unwrap().violations;
            let subjects: Vec<&str> = violations.iter().map(|violation| violation.subject.as_str()).collect();
            assert_eq!(subjects, [subject]);
            assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(SOON));
        }
    }

    #[test]
    fn the_details_stay_under_4_kib_whatever_the_texts_hold() {
        let mut violations = Violations::default();
        for number in 0..1000 {
            violations.add(format!("node.metadata.labels.{number}"), "\u{fc}".repeat(100_000));
        }
        let texts = "x".repeat(1 << 20);
        let mut few = Violations::default();
        for number in 0..7 {
            few.add(format!("node.spec.taints[{number}].key"), "\u{fc}".repeat(200));
        }
        let errors = [
            Error::Invalid(violations),
            Error::Invalid(few),
            Error::FieldConflict { node: texts.clone(), fields: texts.clone(), managers: texts.clone() },
            Error::PartiallyDeleted { deleted: 1, failed: vec![texts.clone(); 100] },
            Error::EtagMismatch { what: texts.clone(), expected: texts.clone(), current: texts.clone() },
            Error::RateLimited {
                user: "\u{fc}".repeat(1 << 20),
                class: "reads",
                limit: "rate",
                allowed: texts,
                retry_after: SOON,
            },
        ];
        for error in errors {
            let status = Status::from(error);
            assert!(status.details().len() < 4096, "{}: {}", status.code(), status.details().len());
            assert!(status.message().len() < 1100);
            assert!(status.get_details_error_info().is_some());
        }
    }
}
