//! Statuses that do not come from a handler, completed: gRPC itself refuses unknown methods and oversized messages, and
//! says no reason.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::{HeaderValue, Response};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::status::DOMAIN;

const STATUS: &str = "grpc-status";
const DETAILS: &str = "grpc-status-details-bin";

/// Gives a status without details an ErrorInfo. Statuses of streams that have begun stand in trailers; they are all from
/// handlers.
pub fn complete_status<B>(mut response: Response<B>) -> Response<B> {
    let headers = response.headers_mut();
    let code = headers.get(STATUS).map(|value| Code::from_bytes(value.as_bytes()));
    if let Some(code) = code.filter(|code| *code != Code::Ok)
        && !headers.contains_key(DETAILS)
        && let Some(value) = details(code)
    {
        headers.insert(DETAILS, value);
    }
    response
}

fn details(code: Code) -> Option<HeaderValue> {
    let details = ErrorDetails::with_error_info(reason(code), DOMAIN, []);
    let status = Status::with_error_details(code, "", details);
    // The header holds the encoded google.rpc.Status, which tonic has made already.
    HeaderValue::from_str(&STANDARD_NO_PAD.encode(status.details())).ok()
}

fn reason(code: Code) -> &'static str {
    match code {
        Code::Unimplemented => "METHOD_NOT_FOUND",
        Code::OutOfRange | Code::ResourceExhausted => "MESSAGE_TOO_LARGE",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::Cancelled => "CANCELLED",
        Code::InvalidArgument => "MALFORMED_MESSAGE",
        Code::Unavailable => "SHUTTING_DOWN",
        _ => "INTERNAL",
    }
}
