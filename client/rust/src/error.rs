//! What went wrong with a request, read once from the server's `google.rpc.Status` and kept as plain values.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt;

/// The reason of an expired resume token.
pub(crate) const RESUME_TOKEN_EXPIRED: &str = "RESUME_TOKEN_EXPIRED";

/// The reasons of requests that came at a bad moment: the caller sends too much, or all callers together do.
const NOT_NOW: [&str; 2] = ["RATE_LIMITED", "OVERLOADED"];

/// The response metadata that names the trace of a request.
pub(crate) const TRACE_ID: &str = "x-trace-id";

/// A request that failed: with the server's words, or with the client's if there was no answer.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: Code,
    reason: Option<String>,
    message: String,
    violations: Vec<FieldViolation>,
    metadata: BTreeMap<String, String>,
    hint: Option<String>,
    help_url: Option<String>,
    retry_delay: Option<Duration>,
    trace_id: Option<String>,
    request_id: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// A field of the request that can't be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// The path of the field, for example `node.spec.taints[0].key`.
    pub field: String,
    /// What is wrong with it and what to send instead.
    pub description: String,
}

impl Error {
    /// The code of the gRPC status. A failure of the connection is [`Code::Unavailable`].
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The machine-readable reason of `google.rpc.ErrorInfo`, for example `ETAG_MISMATCH`. None if the error is not the
    /// server's.
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// What happened, for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The fields of the request that were refused.
    pub fn field_violations(&self) -> &[FieldViolation] {
        &self.0.violations
    }

    /// All that varies in the message, by name: for example `currentEtag` of an `ETAG_MISMATCH`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }

    /// What to do about it, for people.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Where the reason is explained.
    pub fn help_url(&self) -> Option<&str> {
        self.0.help_url.as_deref()
    }

    /// How long the server asked to wait before the next try.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_delay
    }

    /// The trace of the request, by which its operators find it.
    pub fn trace_id(&self) -> Option<&str> {
        self.0.trace_id.as_deref()
    }

    /// The request id of a change. Send the change again with it, and it is carried out at most once.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Whether the same request may succeed if it is sent again as it is: `UNAVAILABLE` (AIP-194), and those of
    /// `RESOURCE_EXHAUSTED` with which the server refuses to begin for now, `RATE_LIMITED` and `OVERLOADED`. A request that
    /// is too large stays so, and an `ABORTED` change must be decided anew first.
    pub fn is_retryable(&self) -> bool {
        match self.code() {
            Code::Unavailable => true,
            Code::ResourceExhausted => self.reason().is_some_and(|reason| NOT_NOW.contains(&reason)),
            _ => false,
        }
    }

    /// Whether a watch goes on with its last token after this error. Besides what is retryable, these are streams that
    /// something between client and server ended: the server itself gives every error a reason.
    pub(crate) fn is_interruption(&self) -> bool {
        self.is_retryable() || (self.code() == Code::Unknown && self.reason().is_none())
    }

    pub(crate) fn is_expired_token(&self) -> bool {
        self.code() == Code::OutOfRange && self.reason() == Some(RESUME_TOKEN_EXPIRED)
    }

    /// An error of the caller that was found before anything was sent.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::local(Code::InvalidArgument, message)
    }

    pub(crate) fn deadline(message: impl Into<String>) -> Self {
        Self::local(Code::DeadlineExceeded, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::local(Code::Unavailable, message)
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_request_id(mut self, request_id: &str) -> Self {
        self.0.request_id = Some(request_id.to_owned());
        self
    }

    fn local(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            reason: None,
            message: message.into(),
            violations: Vec::new(),
            metadata: BTreeMap::new(),
            hint: None,
            help_url: None,
            retry_delay: None,
            trace_id: None,
            request_id: None,
            source: None,
        }))
    }

    /// A status that tonic made up because the connection failed. gRPC calls every such failure UNAVAILABLE; tonic also
    /// says UNKNOWN, INTERNAL or CANCELLED, by the kind of the failure below.
    fn of_connection(status: Status) -> Self {
        if is_timeout(&status) {
            return Self::deadline("the deadline passed before the server answered").with_source(status);
        }
        let code = match status.code() {
            Code::Unknown | Code::Internal | Code::Cancelled => Code::Unavailable,
            other => other,
        };
        let message = format!("the connection to the server failed: {}", chain(&status));
        Self::local(code, message).with_source(status)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        // tonic sets the source of those statuses only that it made itself.
        if StdError::source(&status).is_some() {
            return Self::of_connection(status);
        }
        let details = status.get_error_details();
        let info = details.error_info();
        let retry_delay = details.retry_info().and_then(|retry| retry.retry_delay);
        let link = details.help().and_then(|help| help.links.first());
        let metadata: BTreeMap<String, String> =
            info.map(|info| info.metadata.clone().into_iter().collect()).unwrap_or_default();
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        let hint = hint(link.map(|link| link.description.as_str()), retry_delay, metadata.get("advice"));
        let message = match status.message() {
            "" => status.code().description().to_owned(),
            message => message.to_owned(),
        };
        Self(Box::new(Inner {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()),
            message,
            violations: violations
                .iter()
                .map(|one| FieldViolation { field: one.field.clone(), description: one.description.clone() })
                .collect(),
            hint,
            help_url: link.map(|link| link.url.clone()).filter(|url| !url.is_empty()),
            retry_delay,
            trace_id: status.metadata().get(TRACE_ID).and_then(|id| id.to_str().ok()).map(str::to_owned),
            metadata,
            request_id: None,
            source: None,
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())?;
        match self.reason() {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// The server's hint, else its advice, and when to try again.
fn hint(link: Option<&str>, retry_delay: Option<Duration>, advice: Option<&String>) -> Option<String> {
    let words = link.filter(|text| !text.is_empty()).map(str::to_owned).or_else(|| advice.cloned());
    // Whole milliseconds, and never too early.
    let rounded = |delay: Duration| delay.checked_add(Duration::from_nanos(999_999)).unwrap_or(delay).as_millis();
    let again = retry_delay.map(|delay| match u64::try_from(rounded(delay)) {
        Ok(millis) => format!("try again in {:?}", Duration::from_millis(millis)),
        Err(_) => "try again later".to_owned(),
    });
    match (words, again) {
        (Some(words), Some(again)) => Some(format!("{words}; {again}")),
        (words, again) => words.or(again),
    }
}

fn is_timeout(status: &Status) -> bool {
    let mut source = StdError::source(status);
    while let Some(error) = source {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// The messages of an error and of what caused it, without those that add nothing.
fn chain(status: &Status) -> String {
    /// What tonic calls all errors of its channel.
    const GENERIC: &str = "transport error";

    let mut texts: Vec<String> = vec![status.message().to_owned()];
    let mut source = StdError::source(status);
    while let Some(error) = source {
        let text = error.to_string();
        if text != GENERIC && !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        source = error.source();
    }
    if texts.len() > 1 {
        texts.retain(|text| text != GENERIC);
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
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
        details.set_error_info(
            "ETAG_MISMATCH",
            "nodeward.dev",
            HashMap::from([("currentEtag".into(), "\"7\"".into())]),
        );
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
        let hint =
            |delay| error(Code::Unavailable, ErrorDetails::with_retry_info(Some(delay))).hint().map(str::to_owned);
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
        assert!(is_retryable("RATE_LIMITED") && is_retryable("OVERLOADED"));
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
}
