//! How the command line reaches the server.

use std::env::{self, VarError};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use nodeward_client::{Client, ConnectOptions, RetryPolicy};

use crate::failure::Failure;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Where the server is: https://HOST:PORT, or http:// on this machine
    #[arg(long, global = true, env = "NODEWARD_ENDPOINT", default_value = "http://127.0.0.1:7443", value_name = "URL")]
    pub endpoint: String,
    /// The certificates that sign the server's, instead of the system's (PEM)
    #[arg(long, global = true, env = "NODEWARD_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The client's certificate (PEM)
    #[arg(long, global = true, env = "NODEWARD_CERT", value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of the client's certificate (PEM)
    #[arg(long, global = true, env = "NODEWARD_KEY", value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The name in the server's certificate, if it is not the endpoint's host
    #[arg(long, global = true, env = "NODEWARD_SERVER_NAME", value_name = "NAME")]
    server_name: Option<String>,
    /// The bearer token; other users of this machine can see it here, not in the variable or a file [env: NODEWARD_TOKEN]
    // Not clap's `env`: a flag is to override the variable of the other, and clap can only have them conflict.
    #[arg(long, global = true, conflicts_with = "token_file")]
    token: Option<String>,
    /// A file with the bearer token [env: NODEWARD_TOKEN_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How long a request may take, retries included, for example `1m30s`; 0 for as long as it takes. For a watch: how long
    /// to try to begin it
    #[arg(long, global = true, env = "NODEWARD_TIMEOUT", default_value = "30s", value_parser = timeout)]
    pub timeout: Timeout,
    /// Allow http:// to other machines: everything, the token included, can be read on the way
    #[arg(long, global = true, env = "NODEWARD_PLAINTEXT", value_parser = BoolishValueParser::new())]
    plaintext: bool,
    /// Show the request id and the trace id of each change
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// More than the library's: the requests of many nodes are sent at the same time, and should all be sent again if the server
/// is away for a moment.
const MAX_TOKENS: u16 = 100;

/// Where the bearer token comes from.
enum Token {
    Text(String),
    File(PathBuf),
}

/// A timeout, or none for 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(pub Option<Duration>);

impl ConnectionArgs {
    pub async fn connect(&self) -> Result<Client, Failure> {
        let mut options = ConnectOptions::new(&self.endpoint)
            .plaintext(self.plaintext)
            .timeout(self.timeout.0)
            .retry(RetryPolicy { max_tokens: MAX_TOKENS, ..RetryPolicy::default() })
            .user_agent(concat!("nodeward/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &self.ca_file {
            options = options.ca_file(path);
        }
        if let (Some(certificate), Some(key)) = (&self.cert, &self.key) {
            options = options.client_certificate(certificate, key);
        }
        if let Some(name) = &self.server_name {
            options = options.server_name(name);
        }
        options = match self.token()? {
            Some(Token::Text(token)) => options.bearer_token(token),
            Some(Token::File(path)) => options.bearer_token_file(path),
            None => options,
        };
        let client = Client::connect(options).await.map_err(|error| {
            let hint = error.hint().map(|hint| hint.replace("allow plaintext explicitly", "give --plaintext"));
            Failure::Usage { message: error.message().to_owned(), hint }
        })?;
        // The way in which build systems and shells pass a trace on to the commands that they run.
        match env::var("TRACEPARENT") {
            Ok(parent) if !parent.is_empty() => Ok(client.with_metadata("traceparent", &parent).unwrap_or(client)),
            _ => Ok(client),
        }
    }
}

impl ConnectionArgs {
    /// Where the bearer token comes from: a flag, or else a variable.
    fn token(&self) -> Result<Option<Token>, Failure> {
        let from_flags = (self.token.clone(), self.token_file.clone());
        match from_flags {
            (None, None) => {
                Token::one_of(variable("NODEWARD_TOKEN")?, env::var_os("NODEWARD_TOKEN_FILE").map(PathBuf::from))
            }
            (token, file) => Token::one_of(token, file),
        }
    }
}

impl Token {
    fn one_of(token: Option<String>, file: Option<PathBuf>) -> Result<Option<Self>, Failure> {
        match (token, file) {
            (Some(_), Some(_)) => Err(Failure::usage("NODEWARD_TOKEN and NODEWARD_TOKEN_FILE can't both be set")),
            (token, file) => Ok(token.map(Self::Text).or_else(|| file.map(Self::File))),
        }
    }
}

fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Failure::usage(format!("{name} is not valid UTF-8"))),
    }
}

fn timeout(text: &str) -> Result<Timeout, String> {
    // kubectl takes a bare number as seconds too.
    let duration = match text.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(seconds.into()),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string())?,
    };
    Ok(Timeout(Some(duration).filter(|duration| !duration.is_zero())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_durations_or_seconds() {
        assert_eq!(timeout("1m30s").unwrap(), Timeout(Some(Duration::from_secs(90))));
        assert_eq!(timeout("500ms").unwrap(), Timeout(Some(Duration::from_millis(500))));
        assert_eq!(timeout("20").unwrap(), Timeout(Some(Duration::from_secs(20))));
    }

    #[test]
    fn zero_is_no_timeout() {
        assert_eq!(timeout("0").unwrap(), Timeout(None));
        assert_eq!(timeout("0s").unwrap(), Timeout(None));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "soon", "-1s", "1x"] {
            assert!(timeout(text).is_err(), "{text:?}");
        }
    }
}
