//! Why a command failed: what is said about it, and the exit code.

use std::io::{self, ErrorKind, Write};

use anstyle::{AnsiColor, Style};
use nodeward_client::{Code, Error};

use crate::connection::Server;
use crate::output::printable;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The command line does not make sense.
    Usage {
        /// What is wrong.
        message: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// A file can't be read or does not hold what it should.
    Input(String),
    /// The node is in a state in which the command does not change it.
    Refused {
        /// What is wrong.
        message: String,
        /// What to do instead.
        hint: String,
    },
    /// A request failed.
    Request(Error),
    /// The output could not be written.
    Output(io::Error),
    /// Failures that were reported as they happened.
    Reported(u8),
}

impl Failure {
    /// A command line that does not make sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: None }
    }

    /// What the client has found wrong with the command line or with the configuration.
    pub fn of_usage(error: Error) -> Self {
        Self::Usage { message: error.message().to_owned(), hint: error.hint().map(str::to_owned) }
    }

    /// The exit code, as `--help` documents it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Input(_) => 2,
            Self::Refused { .. } => 4,
            Self::Request(error) => exit_code(error),
            // Whoever reads has what it wanted: `nodeward list | head -1`.
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => 0,
            Self::Output(_) => 1,
            Self::Reported(code) => *code,
        }
    }

    /// Whether a request about another node would fail alike: the server can't be reached, or does not know us.
    pub fn is_of_all_nodes(&self) -> bool {
        matches!(self, Self::Request(error) if is_of_connection(error) || error.code() == Code::Unauthenticated)
    }

    /// Says what went wrong on the standard error, and with which server, if it was one.
    pub fn report(&self, server: Option<&Server>) {
        match self {
            Self::Usage { message, hint } => tell(message, hint.as_deref()),
            Self::Input(message) => tell(message, None),
            Self::Refused { message, hint } => tell(message, Some(hint)),
            Self::Request(error) => report_error(error, server),
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Self::Output(error) => tell(&format!("can't write the output: {error}"), None),
            Self::Reported(_) => {}
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Request(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Says something that does not stop the command.
pub fn warn(message: &str) {
    line(AnsiColor::Yellow, "warning:", message);
}

/// Says something on the standard error, as it is.
pub fn note(message: &str) {
    // There is nowhere to tell that the standard error is closed.
    let _ = writeln!(anstream::stderr(), "{}", printable(message));
}

fn exit_code(error: &Error) -> u8 {
    match (error.code(), error.reason()) {
        // The code is neutral because RBAC and webhooks can't be told apart; it is a denial all the same.
        (_, Some("CLUSTER_DENIED")) => 6,
        (Code::NotFound, _) => 3,
        (Code::Aborted | Code::FailedPrecondition | Code::AlreadyExists | Code::OutOfRange, _) => 4,
        (Code::Unavailable | Code::DeadlineExceeded, _) => 5,
        // Put off: the tries that the timeout left room for have not sufficed.
        _ if error.is_retryable() => 5,
        (Code::PermissionDenied | Code::Unauthenticated, _) => 6,
        // Nobody else's: the client refused it before it was sent.
        (Code::InvalidArgument, None) => 2,
        _ => 1,
    }
}

/// Whether there was no answer, since there is no way to the server.
fn is_of_connection(error: &Error) -> bool {
    error.code() == Code::Unavailable && error.reason().is_none()
}

fn report_error(error: &Error, server: Option<&Server>) {
    tell(&error.to_string(), None);
    // A single one is most often the message already.
    for violation in error.field_violations().iter().filter(|one| !error.message().contains(&one.description)) {
        note(&format!("  {}: {}", violation.field, violation.description));
    }
    let of_connection = || server.filter(|_| is_of_connection(error)).map(Server::hint);
    if let Some(hint) = error.hint().map(str::to_owned).or_else(of_connection) {
        note(&format!("hint: {hint}"));
    }
    // Who has several contexts may be calling with the wrong one.
    let is_denied = matches!(error.code(), Code::PermissionDenied | Code::Unauthenticated);
    if let Some(server) = server.filter(|_| is_denied) {
        note(&format!("server: {server}"));
    }
    // With these it is not known whether, or how far, the change was made; the same id makes it safe to ask again.
    let is_open = matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded)
        || error.reason() == Some("PARTIALLY_DELETED");
    if let Some(request_id) = error.request_id().filter(|_| is_open) {
        note(&format!("request: {request_id} (repeat the command with --request-id to have it done once)"));
    }
    if let Some(trace_id) = error.trace_id() {
        note(&format!("trace: {trace_id}"));
    }
}

fn tell(message: &str, hint: Option<&str>) {
    line(AnsiColor::Red, "error:", message);
    if let Some(hint) = hint {
        note(&format!("hint: {hint}"));
    }
}

fn line(color: AnsiColor, label: &str, message: &str) {
    let style = Style::new().bold().fg_color(Some(color.into()));
    // anstream drops the style unless this is a terminal and NO_COLOR is not set.
    let _ = writeln!(anstream::stderr(), "{style}{label}{style:#} {}", printable(message));
}
