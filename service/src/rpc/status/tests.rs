//! Every error as a status.

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
        Error::AlreadyExists { node: node.clone() },
        Error::EtagMismatch { what, expected: text(), current: text() },
        Error::Conflict { node: node.clone() },
        Error::FieldConflict { node, fields: text(), managers: text() },
        Error::PatchTestFailed { detail: text() },
        Error::ControllerOwnedTaint { key: text(), controller: text(), advice: text() },
        Error::RequestIdConflict { request_id, method: text() },
        Error::CountMismatch { expected: 1, actual: 2 },
        Error::Claim { node: text(), refusal: ClaimError::OfOthers(vec![Claim { owner: text(), ..Claim::default() }]) },
        Error::Claim { node: text(), refusal: ClaimError::TooMany },
        Error::PartiallyDeleted { deleted: 1, failed: vec![text()] },
        refused(1),
        Error::OperationInProgress { node: text(), operation: text() },
        Error::PlanChanged { node: text(), plan_hash: text() },
        Error::OperationsUnavailable,
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
        Error::CacheBehind { reached: 1, wanted: 2 },
        Error::ShuttingDown,
        Error::DeadlineExceeded { stage: "x" },
        Error::Internal { detail: text() },
    ]
}

/// So many pods that refuse a drain.
fn refused(pods: usize) -> Error {
    let refusal = |number| (format!("shop/web-{number}"), "nobody controls it, so nobody would replace it".to_owned());
    Error::DrainRefused { node: "worker-1".to_owned(), refusals: (0..pods).map(refusal).collect(), pods }
}

#[test]
fn a_refused_drain_names_pods_and_reasons_and_how_many_there_are() {
    let status = Status::from(refused(200));
    let violations = status.get_details_precondition_failure().unwrap().violations;
    let first = &violations[0];
    assert_eq!((first.r#type.as_str(), first.subject.as_str()), ("DRAIN_REFUSED", "shop/web-0"));
    assert_eq!(first.description, "nobody controls it, so nobody would replace it");
    assert!((8..=MOST_VIOLATIONS).contains(&violations.len()), "{}", violations.len());
    assert_eq!(status.get_details_error_info().unwrap().metadata["pods"], "200");
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
    let refusals = vec![("\u{fc}".repeat(1000), texts.clone()); 100];
    let errors = [
        Error::DrainRefused { node: texts.clone(), refusals, pods: 100 },
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
