//! How the command line reaches the server: by a context of the user's configuration, or by flags alone.

use std::env::{self, VarError};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use nodeward_client::{Client, Config, ConnectOptions, Context, Error, RetryPolicy};

use crate::failure::Failure;

/// Where the server is if neither a flag nor a context says so.
const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:7443";

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Which context of the configuration to use, instead of the current one
    #[arg(long, global = true, env = "NODEWARD_CONFIG_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// Where the server is: https://HOST:PORT, or http:// on this machine. Then no context is used. Without a context either:
    /// http://127.0.0.1:7443
    #[arg(long, global = true, env = "NODEWARD_ENDPOINT", value_name = "URL")]
    endpoint: Option<String>,
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

/// The server that a command talks to, as it is called in messages.
#[derive(Clone, Debug)]
pub struct Server {
    endpoint: String,
    /// The context that names it.
    context: Option<String>,
}

impl ConnectionArgs {
    pub async fn connect(&self) -> Result<(Client, Server), Failure> {
        let (context, name) = self.context()?;
        let token = self.token()?;
        let context = self.instead(context, token.as_ref());
        let mut options = ConnectOptions::from_context(&context)
            .plaintext(self.plaintext)
            .timeout(self.timeout.0)
            .retry(RetryPolicy { max_tokens: MAX_TOKENS, ..RetryPolicy::default() })
            .user_agent(concat!("nodeward/", env!("CARGO_PKG_VERSION")));
        if let Some(Token::Text(token)) = token {
            options = options.bearer_token(token);
        }
        let client = Client::connect(options).await.map_err(|error| {
            let of_context =
                || name.as_ref().map(|name| format!("see the context {name:?} of {}", context.file().display()));
            let hint = error.hint().map(|hint| hint.replace("allow plaintext explicitly", "give --plaintext"));
            Failure::Usage { message: error.message().to_owned(), hint: hint.or_else(of_context) }
        })?;
        let server = Server { endpoint: context.endpoint, context: name };
        // The way in which build systems and shells pass a trace on to the commands that they run.
        match env::var("TRACEPARENT") {
            Ok(parent) if !parent.is_empty() => {
                Ok((client.with_metadata("traceparent", &parent).unwrap_or(client), server))
            }
            _ => Ok((client, server)),
        }
    }

    /// The context to begin with, and its name if it is one of the configuration. If an endpoint is given, that is not even
    /// read: what a context shows is for its own server.
    fn context(&self) -> Result<(Context, Option<String>), Failure> {
        match (&self.endpoint, &self.context) {
            (Some(endpoint), Some(context)) => Err(Failure::Usage {
                message: format!("both the endpoint {endpoint:?} and the context {context:?} are asked for"),
                hint: Some(
                    "a context has an endpoint of its own: leave out one of --endpoint (NODEWARD_ENDPOINT) and --context \
                     (NODEWARD_CONFIG_CONTEXT)"
                        .to_owned(),
                ),
            }),
            (Some(endpoint), None) => Ok((Context::new(endpoint), None)),
            (None, asked) => self.configured(asked.as_deref()).map_err(Failure::of_usage),
        }
    }

    fn configured(&self, asked: Option<&str>) -> Result<(Context, Option<String>), Error> {
        let config = Config::load()?;
        let context = match asked {
            Some(name) => Some(config.context(name)?),
            None => config.current()?,
        };
        let name = asked.or_else(|| config.current_name()).map(str::to_owned);
        Ok((context.cloned().unwrap_or_else(|| Context::new(DEFAULT_ENDPOINT)), name))
    }

    /// What the flags and variables say takes the place of what the context says. A token that is no file has no place in it.
    fn instead(&self, mut context: Context, token: Option<&Token>) -> Context {
        if let Some(path) = &self.ca_file {
            context.ca_file = Some(path.clone());
        }
        if let Some(name) = &self.server_name {
            context.server_name = Some(name.clone());
        }
        if let (Some(certificate), Some(key)) = (&self.cert, &self.key) {
            context.client_certificate = Some(certificate.clone());
            context.client_key = Some(key.clone());
            // It would decide who is calling, and so whoever gives a certificate would be somebody else.
            context.token_file = None;
        }
        if let Some(Token::File(path)) = token {
            context.token_file = Some(path.clone());
        }
        context
    }

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

impl Server {
    /// What to do if it can't be reached.
    pub fn hint(&self) -> String {
        // Of a certificate that a server turns away, its client is not always told more than that the connection is gone.
        let also = match self.endpoint.starts_with("https:") {
            true => " and that each side trusts the other's certificate",
            false => " and speaks without TLS",
        };
        format!("check that a server runs at {self}{also}, or name another with --context or --endpoint")
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.endpoint)?;
        match &self.context {
            Some(name) => write!(f, " (context {name})"),
            None => Ok(()),
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

/// A duration, or a bare number of seconds; 0 is none.
pub fn timeout(text: &str) -> Result<Timeout, String> {
    // kubectl takes a bare number as seconds too.
    let duration = match text.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(seconds.into()),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string())?,
    };
    Ok(Timeout(Some(duration).filter(|duration| !duration.is_zero())))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        connection: ConnectionArgs,
    }

    /// What is shown to the server of a context that has everything, with these flags.
    fn shown(flags: &[&str]) -> [String; 5] {
        let command = Command::parse_from([&["nodeward"], flags].concat());
        let mut context = Context::new("https://localhost");
        context.ca_file = Some("ca".into());
        context.server_name = Some("name".to_owned());
        context.client_certificate = Some("cert".into());
        context.client_key = Some("key".into());
        context.token_file = Some("token".into());
        let token = command.connection.token().unwrap();
        let context = command.connection.instead(context, token.as_ref());
        let Context { ca_file, server_name, client_certificate, client_key, token_file, .. } = context;
        [ca_file, server_name.map(PathBuf::from), client_certificate, client_key, token_file]
            .map(|part| part.map_or_else(|| "-".to_owned(), |part| part.display().to_string()))
    }

    #[test]
    fn a_flag_takes_the_place_of_what_the_context_says() {
        assert_eq!(shown(&[]), ["ca", "name", "cert", "key", "token"]);
        assert_eq!(shown(&["--ca-file=x"]), ["x", "name", "cert", "key", "token"]);
        assert_eq!(shown(&["--server-name=x"]), ["ca", "x", "cert", "key", "token"]);
        assert_eq!(shown(&["--token-file=x"]), ["ca", "name", "cert", "key", "x"]);
    }

    #[test]
    fn whoever_gives_a_certificate_is_not_somebody_else_by_the_token_of_the_context() {
        assert_eq!(shown(&["--cert=x", "--key=y"]), ["ca", "name", "x", "y", "-"]);
        assert_eq!(shown(&["--cert=x", "--key=y", "--token-file=z"]), ["ca", "name", "x", "y", "z"]);
    }

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
