//! Statuses in, errors out.

use std::collections::HashMap;

use tonic::metadata::MetadataMap;
use tonic_types::ErrorDetails;

use super::*;

fn error(code: Code, details: ErrorDetails) -> Error {
    Error::from(Status::with_error_details(code, "it failed", details))
}

#[test]
fn the_reason_and_its_metadata_are_read() {
    let mut details = ErrorDetails::new();
    details.set_error_info("ETAG_MISMATCH", "nodeward.dev", HashMap::from([("currentEtag".into(), "\"7\"".into())]));
    let error = error(Code::Aborted, details);
    assert_eq!((error.code(), error.reason()), (Code::Aborted, Some("ETAG_MISMATCH")));
    assert_eq!(error.metadata()["currentEtag"], "\"7\"");
    assert_eq!(error.to_string(), "it failed (ETAG_MISMATCH)");
}

#[test]
fn field_violations_are_read() {
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation("name", "is required");
    let expected = FieldViolation { field: "name".into(), description: "is required".into() };
    assert_eq!(error(Code::InvalidArgument, details).field_violations(), [expected]);
}

#[test]
fn the_hint_joins_the_help_and_the_retry_delay() {
    let mut details = ErrorDetails::new();
    details.add_help_link("send it again", "https://nodeward.dev/docs/errors#x");
    details.set_retry_info(Some(Duration::from_secs(3)));
    let error = error(Code::Unavailable, details);
    assert_eq!(error.hint(), Some("send it again; try again in 3s"));
    assert_eq!(error.help_url(), Some("https://nodeward.dev/docs/errors#x"));
    assert_eq!(error.retry_delay(), Some(Duration::from_secs(3)));
}

#[test]
fn the_delay_in_the_hint_is_whole_milliseconds_and_not_too_short() {
    let hint = |delay| error(Code::Unavailable, ErrorDetails::with_retry_info(Some(delay))).hint().map(str::to_owned);
    assert_eq!(hint(Duration::from_nanos(556_980_395)).as_deref(), Some("try again in 557ms"));
    assert_eq!(hint(Duration::from_millis(1500)).as_deref(), Some("try again in 1.5s"));
}

#[test]
fn the_advice_of_the_metadata_is_the_hint_if_there_is_no_link() {
    let mut details = ErrorDetails::new();
    details.set_error_info("R", "nodeward.dev", HashMap::from([("advice".into(), "cordon it instead".into())]));
    assert_eq!(error(Code::FailedPrecondition, details).hint(), Some("cordon it instead"));
}

#[test]
fn the_trace_id_is_read_from_the_metadata() {
    let mut metadata = MetadataMap::new();
    metadata.insert(TRACE_ID, "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap());
    let error = Error::from(Status::with_metadata(Code::Internal, "x", metadata));
    assert_eq!(error.trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
}

#[test]
fn of_the_codes_only_unavailable_is_retryable() {
    let retryable: Vec<Code> =
        (0..17).map(Code::from_i32).filter(|code| Error::from(Status::new(*code, "x")).is_retryable()).collect();
    assert_eq!(retryable, [Code::Unavailable]);
}

#[test]
fn of_exhausted_resources_only_those_are_retryable_that_are_there_again_soon() {
    let is_retryable = |reason: &str| {
        let details = ErrorDetails::with_error_info(reason, "nodeward.dev", HashMap::new());
        error(Code::ResourceExhausted, details).is_retryable()
    };
    for reason in ["RATE_LIMITED", "OVERLOADED", "AUTHENTICATION_OVERLOADED"] {
        assert!(is_retryable(reason), "{reason}");
    }
    assert!(!is_retryable("MESSAGE_TOO_LARGE"));
}

#[test]
fn a_status_of_the_connection_is_unavailable_and_names_the_cause() {
    let broken = std::io::Error::other("broken pipe");
    let error = Error::from(Status::from_error(Box::new(broken)));
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(error.message(), "the connection to the server failed: broken pipe");
}

#[test]
fn a_timeout_of_the_connection_is_a_passed_deadline() {
    let error = Error::from(Status::from_error(Box::new(TimeoutExpired(()))));
    assert_eq!(error.code(), Code::DeadlineExceeded);
}

#[test]
fn a_status_without_a_message_gets_that_of_its_code() {
    assert!(!Error::from(Status::new(Code::NotFound, "")).message().is_empty());
}
