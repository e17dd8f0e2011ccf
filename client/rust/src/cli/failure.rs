//! Why a command failed: what is said about it, and the exit code.

use std::io::{self, ErrorKind, Write};

use anstyle::{AnsiColor, Style};
use nodeward_client::{Code, Error};

use crate::connection::Server;
use crate::exit_code;
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
    Request {
        /// How.
        error: Error,
        /// The etag that this program gave it.
        etag: Option<String>,
        /// How to repeat the command, if it is not known whether the request was carried out.
        repeat: Option<String>,
    },
    /// An operation has not come to the end that it was asked for.
    Ended {
        /// To which instead.
        message: String,
        /// More, line by line.
        details: Vec<String>,
        /// The exit code.
        code: u8,
    },
    /// The output could not be written.
    Output(io::Error),
    /// What was done could not be shown.
    Unshown(io::Error),
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
            Self::Ended { code, .. } => *code,
            Self::Request { error, .. } => exit_code::of_request(error.code(), error.reason()),
            // Whoever reads has what it wanted: `nodeward list | head -1`.
            Self::Output(error) | Self::Unshown(error) if error.kind() == ErrorKind::BrokenPipe => 0,
            Self::Output(_) | Self::Unshown(_) => 1,
            Self::Reported(code) => *code,
        }
    }

    /// Whether a request about another node would fail alike: the server can't be reached, or does not know us.
    pub fn is_of_all_nodes(&self) -> bool {
        matches!(self, Self::Request { error, .. } if is_of_connection(error) || error.code() == Code::Unauthenticated)
    }

    /// The same failure, saying how to have the change done once if it is not known whether, or how far, it was made: the
    /// command is repeated with the id of its request, and all that makes it the same request. `node`: the one that the
    /// change was of, if the command is about others too.
    pub fn of_change(mut self, node: Option<&str>) -> Self {
        if let Self::Request { error, etag, repeat } = &mut self
            && let Some(request_id) = error.request_id().filter(|_| is_open(error))
        {
            let alone = node.map(|node| format!(" for node/{node} alone")).unwrap_or_default();
            // Its quotes may be left out, and shells eat them.
            let etag = etag.as_ref().map(|etag| format!(" --etag {}", etag.trim_matches('"'))).unwrap_or_default();
            *repeat = Some(format!("repeat the command{alone} with --request-id {request_id}{etag}"));
        }
        self
    }

    /// Says what went wrong on the standard error. `node`: the one that it is about, if the command is about others too.
    /// `server`: the one that was asked, if it was one.
    pub fn report(&self, node: Option<&str>, server: Option<&Server>) {
        let tell = |message: &str, hint: Option<&str>| tell(&about(node, message), hint);
        match self {
            Self::Usage { message, hint } => tell(message, hint.as_deref()),
            Self::Input(message) => tell(message, None),
            Self::Refused { message, hint } => tell(message, Some(hint)),
            Self::Ended { message, details, .. } => {
                tell(message, None);
                details.iter().for_each(|line| note(line));
            }
            Self::Request { error, repeat, .. } => {
                tell(&error.to_string(), None);
                explain(error, server);
                if let (Some(request_id), Some(repeat)) = (error.request_id(), repeat) {
                    note(&format!("request: {request_id} ({repeat} to have it done once)"));
                }
                if let Some(trace_id) = error.trace_id() {
                    note(&format!("trace: {trace_id}"));
                }
            }
            Self::Output(error) | Self::Unshown(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Self::Output(error) => tell(&format!("can't write the output: {error}"), None),
            Self::Unshown(error) => tell(&format!("what was done can't be shown: {error}"), None),
            Self::Reported(_) => {}
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Request { error, etag: None, repeat: None }
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

/// The message with the node that it is about, unless it names it.
fn about(node: Option<&str>, message: &str) -> String {
    let is_named = |node: &str| message.contains(&format!("{node:?}")) || message.contains(&format!("node/{node} "));
    match node {
        Some(node) if !is_named(node) => format!("node/{node}: {message}"),
        _ => message.to_owned(),
    }
}

/// Whether it is not known if the request was carried out.
fn is_open(error: &Error) -> bool {
    match (error.code(), error.reason()) {
        (_, Some("PARTIALLY_DELETED")) => true,
        (Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal, _) => true,
        // Of the connection.
        (Code::ResourceExhausted, None) => true,
        _ => false,
    }
}

/// Whether there was no answer, since there is no way to the server.
fn is_of_connection(error: &Error) -> bool {
    error.code() == Code::Unavailable && error.reason().is_none()
}

fn explain(error: &Error, server: Option<&Server>) {
    // A single one is most often the message already.
    for violation in error.field_violations().iter().filter(|one| !error.message().contains(&one.description)) {
        note(&format!("  {}: {}", violation.field, violation.description));
    }
    for violation in error.precondition_violations().iter().filter(|one| !error.message().contains(&one.description)) {
        note(&format!("  {}: {}", violation.subject, violation.description));
    }
    let of_connection = || server.filter(|_| is_of_connection(error)).map(Server::hint);
    if let Some(hint) = error.hint().map(str::to_owned).or_else(of_connection) {
        note(&format!("hint: {hint}"));
    }
    if let (Some("OPERATION_IN_PROGRESS"), Some(operation)) = (error.reason(), error.metadata().get("operation")) {
        note(&format!("to follow the one that runs: nodeward operations watch {operation}"));
    }
    // Who has several contexts may be calling with the wrong one.
    let is_denied = matches!(error.code(), Code::PermissionDenied | Code::Unauthenticated);
    if let Some(server) = server.filter(|_| is_denied) {
        note(&format!("server: {server}"));
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
