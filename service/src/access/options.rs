//! How callers show who they are, as the command line says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::{
    Access, Authenticator, Authorizer, Certificates, Credentials, Oidc, OidcOptions, SpiffeRule, SpiffeRules, Tokens,
};
use crate::cluster::Reviews;

/// How callers show who they are.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Access")]
pub struct AccessOptions {
    /// Ask nobody who they are: all callers act with the server's own rights. For development, and only on loopback
    #[arg(long, env = "NODEWARD_NO_AUTH", value_parser = BoolishValueParser::new())]
    pub no_auth: bool,

    /// The audience that bearer tokens must be meant for. May be given several times
    #[arg(
        long = "token-audience",
        env = "NODEWARD_TOKEN_AUDIENCES",
        value_name = "AUDIENCE",
        value_delimiter = ',',
        default_value = Self::AUDIENCE
    )]
    pub token_audiences: Vec<String>,

    /// Which user a client certificate with a SPIFFE id stands for: PATTERN=USER, for example
    /// spiffe://example.org/ns/{ns}/sa/{name}=system:serviceaccount:{ns}:{name}. May be given several times. If there is a
    /// rule, a SPIFFE id that none fits lets nobody in; without any, SPIFFE ids are passed over
    #[arg(long = "spiffe-user", env = "NODEWARD_SPIFFE_USERS", value_name = "RULE", value_delimiter = ',')]
    pub spiffe_users: Vec<SpiffeRule>,

    /// Whose tokens are accepted beside those that Kubernetes knows.
    #[command(flatten)]
    pub oidc: OidcOptions,

    /// How often it is asked again whether the caller of an open stream may read on. Not for users to configure.
    #[arg(skip = Self::ASK_AGAIN)]
    pub ask_again: Duration,
}

/// The same as without any flag or environment variable.
impl Default for AccessOptions {
    fn default() -> Self {
        Self {
            no_auth: false,
            token_audiences: vec![Self::AUDIENCE.to_owned()],
            spiffe_users: Vec::new(),
            oidc: OidcOptions::default(),
            ask_again: Self::ASK_AGAIN,
        }
    }
}

impl AccessOptions {
    /// The audience of nodeward's tokens if no other is named.
    pub const AUDIENCE: &str = "nodeward";

    const ASK_AGAIN: Duration = Duration::from_secs(300);

    /// Options with which nobody is asked who they are.
    pub fn nobody() -> Self {
        Self { no_auth: true, ..Self::default() }
    }

    /// Access to a server that listens on this address, as these options say.
    pub fn access(&self, listen: SocketAddr, reviews: &Reviews) -> anyhow::Result<Access> {
        if self.no_auth && !listen.ip().is_loopback() {
            anyhow::bail!(
                "--no-auth is for loopback addresses, and {listen} is none: leave it out, or listen on 127.0.0.1"
            );
        }
        let authenticator = if self.no_auth {
            Authenticator::Nobody
        } else {
            Authenticator::Credentials(Arc::new(Credentials {
                certificates: Certificates::new(SpiffeRules::new(self.spiffe_users.clone())),
                tokens: Tokens::new(reviews.clone(), self.token_audiences.clone()),
                oidc: Oidc::new(&self.oidc)?,
            }))
        };
        Ok(Access::new(authenticator, Authorizer::new(reviews.clone()), self.ask_again))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Cluster, Connection};

    #[test]
    fn without_a_flag_tokens_must_be_meant_for_nodeward_and_streams_are_asked_about_every_five_minutes() {
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            access: AccessOptions,
        }
        let parsed = <Command as clap::Parser>::parse_from(["server"]).access;
        for options in [parsed, AccessOptions::default()] {
            assert_eq!(options.token_audiences, ["nodeward"]);
            assert_eq!(options.ask_again, Duration::from_secs(300));
            assert!(!options.no_auth && options.spiffe_users.is_empty());
        }
    }

    #[tokio::test]
    async fn a_server_that_others_reach_asks_who_they_are() {
        let cluster = Cluster::new(Connection::nowhere());
        let access = |listen: &str| AccessOptions::nobody().access(listen.parse().unwrap(), cluster.reviews());
        assert!(access("127.0.0.1:7443").is_ok() && access("[::1]:7443").is_ok());
        assert!(access("0.0.0.0:7443").err().unwrap().to_string().contains("--no-auth is for loopback"));
    }
}
