//! From nodeward's errors to `google.rpc.Status`: the one place where codes and details are chosen.
//!
//! Every status carries an ErrorInfo; all that varies in a message stands in its metadata too. The details stay under
//! 4 KiB: they travel in the trailers, of which clients and proxies take 8 KiB, and count twice there.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, StatusExt};

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
        | Error::OperationInProgress { .. }
        | Error::PlanChanged { .. }
        | Error::PartiallyDeleted { .. } => Code::Aborted,
        Error::ControllerOwnedTaint { .. }
        | Error::PatchTestFailed { .. }
        | Error::CountMismatch { .. }
        | Error::Claim { .. }
        | Error::Denied { .. }
        | Error::DrainRefused { .. }
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
        | Error::CacheBehind { .. }
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
        Error::DrainRefused { refusals, .. } => {
            details.set_precondition_failure(precondition_violations(error.reason(), refusals));
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
        | Error::CacheBehind { .. }
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
        Error::DrainRefused { node, pods, .. } => vec![("node", node.clone()), ("pods", pods.to_string())],
        Error::OperationInProgress { node, operation } => {
            vec![("node", node.clone()), ("operation", operation.clone())]
        }
        Error::PlanChanged { node, plan_hash } => vec![("node", node.clone()), ("plan_hash", plan_hash.clone())],
        Error::PartiallyDeleted { deleted, failed } => {
            vec![("deleted", deleted.to_string()), ("failed", failed.join("; "))]
        }
        Error::Denied { message } | Error::ValidationUnsupported { message } => vec![("detail", message.clone())],
        Error::CacheBehind { reached, wanted } => {
            vec![("version", reached.to_string()), ("minVersion", wanted.to_string())]
        }
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
        Error::DrainRefused { .. } => "say in the policy what is to happen to these pods; PlanDrain shows all of them",
        Error::OperationInProgress { .. } => "follow the operation that drains it, or cancel it",
        Error::PlanChanged { .. } => "plan again, and look at it",
        Error::OperationsUnavailable => "apply deploy/crd to the cluster",
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
        Error::CacheBehind { .. } => "send it again, or read with CONSISTENCY_CONSISTENT",
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

fn precondition_violations(kind: &str, refusals: &[(String, String)]) -> Vec<PreconditionViolation> {
    let shown = refusals.iter().take(MOST_VIOLATIONS);
    let violation = |(subject, reason): &(String, String)| {
        PreconditionViolation::new(kind, shorten(subject, MOST_TEXT), shorten(reason, MOST_TEXT))
    };
    shown.map(violation).collect()
}

/// Leaves the first half of what is listed. False if there is nothing to leave out.
fn halve_violations(details: &mut ErrorDetails) -> bool {
    if let Some(failure) = details.precondition_failure().filter(|failure| failure.violations.len() > 1) {
        let kept = failure.violations[..failure.violations.len() / 2].to_vec();
        details.set_precondition_failure(kept);
        return true;
    }
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
mod tests;
