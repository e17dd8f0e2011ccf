//! How a call ended: its gRPC status, in the words of the specification.

use std::time::Instant;

use tonic::Code;

use super::names;

/// How a call ended whose answer nobody waits for any more, or whose handler panicked: the status, and what kind of
/// failure that was.
pub(super) fn abandoned(deadline: Option<Instant>) -> (Code, &'static str) {
    match deadline {
        _ if std::thread::panicking() => (Code::Internal, names::PANIC),
        Some(deadline) if Instant::now() >= deadline => (Code::DeadlineExceeded, code_name(Code::DeadlineExceeded)),
        _ => (Code::Cancelled, code_name(Code::Cancelled)),
    }
}

/// What kind of failure a status is. None if it is none.
pub(super) fn error_type(code: Code) -> Option<&'static str> {
    (code != Code::Ok).then(|| code_name(code))
}

/// Whether a status says that the server failed, not that the request can't be served.
pub(super) fn is_fault_of_server(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The name of a status code in the gRPC specification.
pub(super) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
