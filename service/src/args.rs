//! The command line: every flag has an environment variable, and each concern a struct of its own, beside its code.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser};

use crate::access::{AccessOptions, LimitOptions};
use crate::admin::AdminOptions;
use crate::cluster::ClusterOptions;
use crate::telemetry::TelemetryOptions;
use crate::transport::TransportOptions;

/// The nodeward server: manages the nodes of a Kubernetes cluster over gRPC
#[derive(Clone, Debug, Parser)]
#[command(name = "nodeward-server", version, max_term_width = 110)]
pub struct ServerArgs {
    /// How to serve.
    #[command(flatten)]
    pub serve: ServeOptions,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterOptions,
    /// Traces, metrics and logs.
    #[command(flatten)]
    pub telemetry: TelemetryOptions,
    /// Where metrics and probes are served.
    #[command(flatten)]
    pub admin: AdminOptions,
}

/// How to serve.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Serving")]
pub struct ServeOptions {
    /// The address to listen on
    #[arg(long, env = "NODEWARD_LISTEN", value_name = "ADDRESS", default_value_t = Self::default().listen)]
    pub listen: SocketAddr,

    /// The longest time, in seconds, that calls may still take after the server was asked to stop
    #[arg(long, env = "NODEWARD_GRACE_SECONDS", value_name = "SECONDS", default_value = "20", value_parser = seconds)]
    pub grace: Duration,

    /// The age, in seconds, at which a watch ends itself, give or take a tenth. Its client resumes it, perhaps elsewhere
    #[arg(long, env = "NODEWARD_WATCH_SECONDS", value_name = "SECONDS", default_value = "1800", value_parser = seconds)]
    pub watch_max_age: Duration,

    /// How clients connect.
    #[command(flatten)]
    pub transport: TransportOptions,

    /// How callers show who they are.
    #[command(flatten)]
    pub access: AccessOptions,

    /// How often callers may call.
    #[command(flatten)]
    pub limits: LimitOptions,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7443)),
            grace: Duration::from_secs(20),
            watch_max_age: Duration::from_secs(1800),
            transport: TransportOptions::default(),
            access: AccessOptions::default(),
            limits: LimitOptions::default(),
        }
    }
}

/// No duration is longer: sums of them are still times.
const A_YEAR: u64 = 365 * 24 * 3600;

/// A duration of whole seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=A_YEAR) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("must be a whole number of seconds, from 1 to {A_YEAR}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        ServerArgs::command().debug_assert();
    }

    #[test]
    fn the_server_listens_on_loopback_unless_told_otherwise() {
        let args = ServerArgs::try_parse_from(["nodeward-server"]).unwrap();
        assert!(args.serve.listen.ip().is_loopback());
    }

    #[test]
    fn every_flag_has_an_environment_variable_and_a_description() {
        for argument in ServerArgs::command().get_arguments() {
            let name = argument.get_id().as_str();
            if !["help", "version"].contains(&name) {
                assert!(argument.get_env().is_some(), "{name} has no environment variable");
                assert!(argument.get_help().is_some(), "{name} has no description");
            }
        }
    }
}
