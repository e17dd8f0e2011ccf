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
        && let Some((code, reason)) = complete(code)
        && let Some(details) = details(code, reason)
    {
        headers.insert(STATUS, HeaderValue::from(code as i32));
        headers.insert(DETAILS, details);
    }
    response
}

/// The code and reason that gRPC's own refusal should have.
fn complete(code: Code) -> Option<(Code, &'static str)> {
    match code {
        Code::Unimplemented => Some((code, "METHOD_NOT_FOUND")),
        Code::OutOfRange | Code::ResourceExhausted => Some((code, "MESSAGE_TOO_LARGE")),
        Code::DeadlineExceeded => Some((code, "DEADLINE_EXCEEDED")),
        Code::Cancelled => Some((code, "CANCELLED")),
        Code::InvalidArgument => Some((code, "MALFORMED_MESSAGE")),
        // Handlers say what went wrong. What has no details is tonic's answer to a body that is no gRPC message, or none at
        // all: the sender's mistake.
        Code::Internal => Some((Code::InvalidArgument, "MALFORMED_MESSAGE")),
        _ => None,
    }
}

fn details(code: Code, reason: &str) -> Option<HeaderValue> {
    let status = Status::with_error_details(code, "", ErrorDetails::with_error_info(reason, DOMAIN, []));
    HeaderValue::from_str(&STANDARD_NO_PAD.encode(status.details())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code) -> Status {
        let mut response = Response::new(());
        response.headers_mut().insert(STATUS, HeaderValue::from(code as i32));
        Status::from_header_map(complete_status(response).headers()).unwrap()
    }

    #[test]
    fn an_unknown_method_is_told_as_such() {
        let status = refused(Code::Unimplemented);
        assert_eq!(status.code(), Code::Unimplemented);
        assert_eq!(status.get_details_error_info().unwrap().reason, "METHOD_NOT_FOUND");
    }

    #[test]
    fn a_body_that_is_no_message_is_the_senders_mistake() {
        let status = refused(Code::Internal);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.get_details_error_info().unwrap().reason, "MALFORMED_MESSAGE");
    }

    #[test]
    fn what_other_services_answer_is_left_as_it_is() {
        assert_eq!(refused(Code::NotFound).details().len(), 0);
    }
}
