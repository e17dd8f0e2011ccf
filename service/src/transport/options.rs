//! What can be configured about connections, by flags and environment variables.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;

use super::limits::Limits;
use crate::args::seconds;

/// How clients connect: over TLS, unless plain text is asked for, which is served on loopback alone.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connections")]
pub struct TransportOptions {
    /// The certificates.
    #[command(flatten)]
    pub tls: TlsOptions,

    /// Serve without encryption. Only on a loopback address: whoever sees the traffic can read and change it
    #[arg(long, env = "NODEWARD_PLAINTEXT")]
    pub plaintext: bool,

    /// The most connections at a time. Further ones are closed at once
    #[arg(
        long,
        env = "NODEWARD_MAX_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = Self::MAX_CONNECTIONS,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub max_connections: u32,

    /// The most connections at a time from one address, or one /64 network of IPv6. Further ones are closed at once. All who
    /// come through one proxy come from its address. 0 is no limit
    #[arg(
        long = "max-connections-per-address",
        env = "NODEWARD_MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "COUNT",
        default_value_t = Self::MAX_CONNECTIONS_OF_ONE
    )]
    pub max_connections_of_one: u32,

    /// The age, in seconds, at which a connection is given up, give or take a tenth: its streams end, its calls come to
    /// their end, and its client connects again, perhaps to another replica
    #[arg(
        long,
        env = "NODEWARD_CONNECTION_SECONDS",
        value_name = "SECONDS",
        default_value = "1800",
        value_parser = seconds
    )]
    pub connection_max_age: Duration,

    /// What is not for users to configure.
    #[arg(skip)]
    pub limits: Limits,
}

/// The certificates. Their files are read again when their content changes.
#[derive(Clone, Debug, Default, Args)]
pub struct TlsOptions {
    /// The server's certificate and those of the CAs between it and the root, as PEM. It is read again when it changes,
    /// and so are the other files
    #[arg(long = "tls-cert", env = "NODEWARD_TLS_CERT", value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,

    /// The key of the server's certificate, as PEM
    #[arg(long = "tls-key", env = "NODEWARD_TLS_KEY", value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,

    /// The CAs whose certificates clients may show, as PEM. A client that shows another one is turned away, one that
    /// shows none is not
    #[arg(long = "tls-client-ca", env = "NODEWARD_TLS_CLIENT_CA", value_name = "FILE", requires = "cert")]
    pub client_ca: Option<PathBuf>,
}

/// How the traffic is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// Not at all.
    Plaintext,
    Tls(TlsFiles),
}

/// Where the certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub client_ca: Option<PathBuf>,
}

impl TransportOptions {
    const MAX_CONNECTIONS: u32 = 4096;

    /// Half of all: no one alone takes the others' places.
    const MAX_CONNECTIONS_OF_ONE: u32 = Self::MAX_CONNECTIONS / 2;

    /// The protection of what is served on this address, or why it can't be.
    pub(super) fn protection(&self, listen: SocketAddr) -> anyhow::Result<Protection> {
        // ::ffff:127.0.0.1 is loopback too.
        let is_loopback = listen.ip().to_canonical().is_loopback();
        match (&self.tls.cert, &self.tls.key) {
            // Not a conflict for clap, which would take NODEWARD_PLAINTEXT=false for one.
            (Some(_), _) if self.plaintext => {
                bail!("--plaintext and --tls-cert exclude each other: leave one of them out")
            }
            _ if self.plaintext && is_loopback => Ok(Protection::Plaintext),
            _ if self.plaintext => bail!(
                "--plaintext is for loopback addresses, and {listen} is none: give --tls-cert and --tls-key instead, or \
                 listen on 127.0.0.1"
            ),
            (Some(cert), Some(key)) => {
                let client_ca = self.tls.client_ca.clone();
                Ok(Protection::Tls(TlsFiles { cert: cert.clone(), key: key.clone(), client_ca }))
            }
            _ => bail!(
                "there is no certificate to serve with: give --tls-cert and --tls-key, or --plaintext to serve without \
                 encryption on a loopback address"
            ),
        }
    }
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            tls: TlsOptions::default(),
            plaintext: false,
            max_connections: Self::MAX_CONNECTIONS,
            max_connections_of_one: Self::MAX_CONNECTIONS_OF_ONE,
            connection_max_age: Duration::from_secs(1800),
            limits: Limits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        transport: TransportOptions,
    }

    fn parse(args: &[&str]) -> Result<TransportOptions, clap::Error> {
        Command::try_parse_from([&["nodeward-server"], args].concat()).map(|command| command.transport)
    }

    fn protection(args: &[&str], listen: &str) -> Result<Protection, String> {
        let options = parse(args).map_err(|error| error.to_string())?;
        options.protection(listen.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn plain_text_is_served_on_loopback_alone() {
        for listen in ["127.0.0.1:7443", "[::1]:7443", "[::ffff:127.0.0.1]:7443"] {
            assert_eq!(protection(&["--plaintext"], listen), Ok(Protection::Plaintext), "{listen}");
        }
        for listen in ["0.0.0.0:7443", "[::]:7443", "10.0.0.1:7443"] {
            let error = protection(&["--plaintext"], listen).unwrap_err();
            assert!(error.contains(listen) && error.contains("--tls-cert"), "{error}");
        }
    }

    #[test]
    fn without_a_certificate_plain_text_must_be_asked_for() {
        let error = protection(&[], "127.0.0.1:7443").unwrap_err();
        for flag in ["--tls-cert", "--tls-key", "--plaintext"] {
            assert!(error.contains(flag), "{error}");
        }
    }

    #[test]
    fn a_certificate_and_its_key_are_given_together_and_not_with_plain_text() {
        let files = TlsFiles { cert: "c".into(), key: "k".into(), client_ca: None };
        assert_eq!(protection(&["--tls-cert=c", "--tls-key=k"], "0.0.0.0:1"), Ok(Protection::Tls(files)));
        for half in [&["--tls-cert=c"][..], &["--tls-key=k"], &["--tls-client-ca=a"]] {
            assert!(protection(half, "127.0.0.1:1").unwrap_err().contains("required"), "{half:?}");
        }
        let error = protection(&["--tls-cert=c", "--tls-key=k", "--plaintext"], "127.0.0.1:1").unwrap_err();
        assert!(error.contains("exclude each other"), "{error}");
    }

    #[test]
    fn what_no_flag_says_is_as_by_default() {
        let (parsed, default) = (parse(&[]).unwrap(), TransportOptions::default());
        assert_eq!(format!("{parsed:?}"), format!("{default:?}"));
    }
}
