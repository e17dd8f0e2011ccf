//! The exit codes: what is documented of them, and which one a failed request has.

use nodeward_client::Code;

/// Each code and what it means, as `--help` and the README show them.
const MEANINGS: [(u8, &str); 12] = [
    (0, "done"),
    (1, "another failure, failures of different kinds, or output that can't be written"),
    (2, "the command line or a file can't be used, as this program or the server finds"),
    (3, "not found"),
    (4, "a conflict or a precondition: an etag, a value, a count, an expired resume token"),
    (TOO_LONG, "the server is unavailable or too busy, or took too long"),
    (6, "denied, or the server does not know who is calling"),
    (NOT_INTACT, "an audit log is not intact"),
    (REFUSED, "a drain is refused, because of pods that its policy does not let go: none was touched"),
    (NOT_DRAINED, "a drain has failed: pods are left at its deadline, most often because they are blocked"),
    (CANCELLED, "a drain was cancelled"),
    (DETACHED, "interrupted: a drain that was followed goes on"),
];

/// The code of what has not come in time.
pub const TOO_LONG: u8 = 5;

/// The code of an audit log that is not what was written.
pub const NOT_INTACT: u8 = 7;

/// The code of a drain that was not begun.
pub const REFUSED: u8 = 8;

/// The code of a drain that has failed.
pub const NOT_DRAINED: u8 = 9;

/// The code of a drain that was cancelled.
pub const CANCELLED: u8 = 10;

/// The code of a command that was interrupted while it followed a drain: as shells have it for SIGINT.
pub const DETACHED: u8 = 130;

/// What `--help` says about them.
pub fn help() -> String {
    let lines = MEANINGS.map(|(code, meaning)| format!("\n  {code:<3}  {meaning}"));
    format!("Exit codes:{}", lines.concat())
}

/// The code of a request that failed with this status and this reason of the server's.
pub fn of_request(code: Code, reason: Option<&str>) -> u8 {
    match (code, reason) {
        // The gRPC code is neutral because RBAC and webhooks can't be told apart; it is a denial all the same.
        (_, Some("CLUSTER_DENIED")) => 6,
        // The server reads filters, selectors, keys and manifests for this program.
        (_, Some("INVALID_FIELD" | "INVALID_RESUME_TOKEN" | "REQUEST_ID_CONFLICT" | "MESSAGE_TOO_LARGE")) => 2,
        // Nobody else's: the client refused it before it was sent.
        (Code::InvalidArgument, None) => 2,
        (_, Some("DRAIN_REFUSED")) => REFUSED,
        (_, Some("OPERATION_CANCELLED")) => CANCELLED,
        (Code::NotFound, _) => 3,
        (_, Some("RESUME_TOKEN_EXPIRED" | "AUDIT_LOG_MISMATCH")) => 4,
        (Code::Aborted | Code::FailedPrecondition | Code::AlreadyExists, _) => 4,
        (Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled, _) => 5,
        // Put off: the attempts that the timeout left room for have not sufficed, or it is for too long to wait.
        (_, Some("RATE_LIMITED" | "OVERLOADED" | "AUTHENTICATION_OVERLOADED" | "REQUEST_LEDGER_FULL")) => 5,
        // Something on the way to the server has too much to do.
        (Code::ResourceExhausted, None) => 5,
        (Code::PermissionDenied | Code::Unauthenticated, _) => 6,
        (_, Some("AUDIT_LOG_UNREADABLE")) => NOT_INTACT,
        _ => 1,
    }
}

#[cfg(test)]
#[path = "../../../../tests/support/errors.rs"]
mod documented;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The code of each reason that the server gives.
    const OF_REASONS: [(&str, u8); 47] = [
        ("INVALID_FIELD", 2),
        ("INVALID_PAGE_TOKEN", 1),
        ("INVALID_RESUME_TOKEN", 2),
        ("REQUEST_ID_CONFLICT", 2),
        ("MALFORMED_MESSAGE", 1),
        ("MESSAGE_TOO_LARGE", 2),
        ("METHOD_NOT_FOUND", 1),
        ("CREDENTIALS_INVALID", 6),
        ("ACCESS_DENIED", 6),
        ("NODE_NOT_FOUND", 3),
        ("NODE_ALREADY_EXISTS", 4),
        ("ETAG_MISMATCH", 4),
        ("CONFLICT", 4),
        ("FIELD_CONFLICT", 4),
        ("PARTIALLY_DELETED", 4),
        ("PATCH_TEST_FAILED", 4),
        ("CONTROLLER_OWNED_TAINT", 4),
        ("COUNT_MISMATCH", 4),
        ("CORDONED_BY_OTHERS", 4),
        ("TOO_MANY_CLAIMS", 4),
        ("DRAIN_REFUSED", 8),
        ("OPERATION_NOT_DONE", 4),
        ("OPERATIONS_UNAVAILABLE", 4),
        ("OPERATION_NOT_FOUND", 3),
        ("OPERATION_IN_PROGRESS", 4),
        ("OPERATION_CANCELLED", 10),
        ("PLAN_CHANGED", 4),
        ("CLUSTER_DENIED", 6),
        ("VALIDATION_UNSUPPORTED", 4),
        ("RESUME_TOKEN_EXPIRED", 4),
        ("NO_AUDIT_LOG", 4),
        ("AUDIT_LOG_MISMATCH", 4),
        ("AUDIT_LOG_UNREADABLE", 7),
        ("RATE_LIMITED", 5),
        ("OVERLOADED", 5),
        ("AUTHENTICATION_OVERLOADED", 5),
        ("REQUEST_LEDGER_FULL", 5),
        ("ISSUER_UNREACHABLE", 5),
        ("CLUSTER_THROTTLED", 5),
        ("CLUSTER_UNREACHABLE", 5),
        ("AUDIT_UNAVAILABLE", 5),
        ("NOT_READY", 5),
        ("CACHE_BEHIND", 5),
        ("DRAINING", 5),
        ("DEADLINE_EXCEEDED", 5),
        ("CANCELLED", 5),
        ("INTERNAL", 1),
    ];

    fn code_named(name: &str) -> Code {
        let is_named = |code: &Code| format!("{code:?}").to_uppercase() == name.replace('_', "");
        (0..17).map(Code::from_i32).find(is_named).unwrap()
    }

    #[test]
    fn every_reason_of_the_server_has_its_exit_code() {
        let expected = BTreeMap::from(OF_REASONS);
        for section in documented::sections() {
            let expected = expected.get(section.reason).unwrap_or_else(|| panic!("{} is new", section.reason));
            for code in section.codes {
                let found = of_request(code_named(code), Some(section.reason));
                assert_eq!(found, *expected, "{} {code}", section.reason);
            }
        }
    }

    #[test]
    fn a_status_without_a_reason_has_the_exit_code_of_its_code() {
        let coded = |expected: u8| {
            (1..17).map(Code::from_i32).filter(|code| of_request(*code, None) == expected).collect::<Vec<Code>>()
        };
        assert_eq!(coded(2), [Code::InvalidArgument]);
        assert_eq!(coded(3), [Code::NotFound]);
        assert_eq!(coded(4), [Code::AlreadyExists, Code::FailedPrecondition, Code::Aborted]);
        assert_eq!(coded(5), [Code::Cancelled, Code::DeadlineExceeded, Code::ResourceExhausted, Code::Unavailable]);
        assert_eq!(coded(6), [Code::PermissionDenied, Code::Unauthenticated]);
    }

    #[test]
    fn every_exit_code_is_documented() {
        for (code, reason) in (1..17).flat_map(|code| OF_REASONS.map(|(reason, _)| (Code::from_i32(code), reason))) {
            let exit_code = of_request(code, Some(reason));
            assert!(MEANINGS.iter().any(|(documented, _)| *documented == exit_code), "{code:?} {reason}");
        }
    }

    #[test]
    fn the_readme_has_the_same_table() {
        let rows = MEANINGS.map(|(code, meaning)| format!("| {code} | {meaning} |\n"));
        assert!(include_str!("../../README.md").contains(&rows.concat()));
    }
}
