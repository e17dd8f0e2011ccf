//! What went wrong with a request, read once from the server's `google.rpc.Status` and kept as plain values.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt;

use crate::retry::Pushback;

/// The reasons of requests that came at a bad moment: the caller sends too much, all callers together do, or too many
/// tokens are shown that the server does not know.
const NOT_NOW: [&str; 3] = ["RATE_LIMITED", "OVERLOADED", "AUTHENTICATION_OVERLOADED"];

/// The response metadata that names the trace of a request.
pub(crate) const TRACE_ID: &str = "x-trace-id";

/// A request that failed: with the server's words, or with the client's if there was no answer.
#[derive(Debug)]
pub struct Error(Box<Inner>);

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The server, or something on the way to it that speaks gRPC.
    Server,
    /// The connection.
    Connection,
    /// The client, which did not send the request or did not get an answer.
    Client,
    /// The client, which could not read its token.
    TokenFile,
}

#[derive(Debug)]
struct Inner {
    code: Code,
    origin: Origin,
    reason: Option<String>,
    message: String,
    violations: Vec<FieldViolation>,
    preconditions: Vec<PreconditionViolation>,
    metadata: BTreeMap<String, String>,
    hint: Option<String>,
    help_url: Option<String>,
    retry_delay: Option<Duration>,
    pushback: Option<Pushback>,
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

/// Something that had to hold and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreconditionViolation {
    /// What it is about, for example a pod.
    pub subject: String,
    /// What does not hold.
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

    /// What had to hold and does not: for a drain that is refused, each pod and why.
    pub fn precondition_violations(&self) -> &[PreconditionViolation] {
        &self.0.preconditions
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
    /// `RESOURCE_EXHAUSTED` with which the server refuses to begin for now, `RATE_LIMITED`, `OVERLOADED` and
    /// `AUTHENTICATION_OVERLOADED`. A request that is too large stays so, and an `ABORTED` change must be decided anew first.
    pub fn is_retryable(&self) -> bool {
        match self.code() {
            Code::Unavailable => true,
            Code::ResourceExhausted => self.reason().is_some_and(|reason| NOT_NOW.contains(&reason)),
            _ => false,
        }
    }

    /// Whether a watch goes on with its last token after this error. Besides what is retryable, these are streams that
    /// something between client and server ended (the server itself gives every error a reason), and connections on which
    /// there was too much for the other side: HTTP/2's ENHANCE_YOUR_CALM.
    pub(crate) fn is_interruption(&self) -> bool {
        let is_calmed = self.0.origin == Origin::Connection && self.code() == Code::ResourceExhausted;
        self.is_retryable() || is_calmed || (self.code() == Code::Unknown && self.reason().is_none())
    }

    /// Whether the server can't go on from a resume token (any more), but could without one.
    pub(crate) fn is_about_resume_token(&self) -> bool {
        matches!(self.reason(), Some("RESUME_TOKEN_EXPIRED" | "INVALID_RESUME_TOKEN"))
    }

    /// Whether the token file could not be used, which passes if it is just being replaced.
    pub(crate) fn is_of_token_file(&self) -> bool {
        self.0.origin == Origin::TokenFile
    }

    /// What the server said about sending the request again.
    pub(crate) fn pushback(&self) -> Option<Pushback> {
        self.0.pushback
    }

    /// An error of the caller that was found before anything was sent.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::local(Code::InvalidArgument, Origin::Client, message)
    }

    pub(crate) fn deadline(message: impl Into<String>) -> Self {
        Self::local(Code::DeadlineExceeded, Origin::Client, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::local(Code::Unavailable, Origin::Client, message)
    }

    /// The same error, as one of the token file.
    pub(crate) fn of_token_file(mut self) -> Self {
        self.0.origin = Origin::TokenFile;
        self
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

    fn local(code: Code, origin: Origin, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            origin,
            reason: None,
            message: message.into(),
            violations: Vec::new(),
            preconditions: Vec::new(),
            metadata: BTreeMap::new(),
            hint: None,
            help_url: None,
            retry_delay: None,
            pushback: None,
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
        Self::local(code, Origin::Connection, message).with_source(status)
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
        let preconditions =
            details.precondition_failure().map(|failure| failure.violations.as_slice()).unwrap_or_default();
        let hint = hint(link.map(|link| link.description.as_str()), retry_delay, metadata.get("advice"));
        let message = match status.message() {
            "" => status.code().description().to_owned(),
            message => message.to_owned(),
        };
        Self(Box::new(Inner {
            code: status.code(),
            origin: Origin::Server,
            reason: info.map(|info| info.reason.clone()),
            message,
            violations: violations
                .iter()
                .map(|one| FieldViolation { field: one.field.clone(), description: one.description.clone() })
                .collect(),
            preconditions: preconditions
                .iter()
                .map(|one| PreconditionViolation { subject: one.subject.clone(), description: one.description.clone() })
                .collect(),
            hint,
            help_url: link.map(|link| link.url.clone()).filter(|url| !url.is_empty()),
            retry_delay,
            pushback: Pushback::of(status.metadata()),
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
mod tests;
