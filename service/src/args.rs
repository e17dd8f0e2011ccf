//! The command line: every flag has an environment variable, and each concern a struct of its own, beside its code.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser};

use crate::access::{AccessOptions, LimitOptions};
use crate::admin::AdminOptions;
use crate::audit::AuditOptions;
use crate::cluster::ClusterOptions;
use crate::operation::OperationOptions;
use crate::telemetry::TelemetryOptions;
use crate::transport::TransportOptions;

/// Variables that have no flag, and whose names and meanings are not ours.
const OTHER_VARIABLES: &str = "\
Other environment variables:
  KUBECONFIG                   The kubeconfig files, if neither --kubeconfig nor --in-cluster is given
  OTEL_EXPORTER_OTLP_HEADERS   Headers for the OTLP endpoint, for example credentials
  OTEL_EXPORTER_OTLP_TIMEOUT   The most milliseconds that an export may take
  OTEL_RESOURCE_ATTRIBUTES     More attributes of this process in traces and metrics
  OTEL_BSP_MAX_QUEUE_SIZE      The most finished spans that wait for their export
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE  The most spans in one export
  SSL_CERT_FILE, SSL_CERT_DIR  The certificates that are trusted, instead of the machine's";

/// The nodeward server: manages the nodes of a Kubernetes cluster over gRPC
#[derive(Clone, Debug, Parser)]
#[command(name = "nodeward-server", version, max_term_width = 110, after_long_help = OTHER_VARIABLES)]
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

    /// Under which name and port clients know the server, for traces: HOST:PORT. Without it: the address that it listens on,
    /// unless that is all addresses
    #[arg(long, env = "NODEWARD_ADVERTISE", value_name = "HOST:PORT", value_parser = host_and_port)]
    pub advertise: Option<(String, u16)>,

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

    /// Where audit records are kept.
    #[command(flatten)]
    pub audit: AuditOptions,

    /// Whether operations are carried out.
    #[command(flatten)]
    pub operations: OperationOptions,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7443)),
            advertise: None,
            grace: Duration::from_secs(20),
            watch_max_age: Duration::from_secs(1800),
            transport: TransportOptions::default(),
            access: AccessOptions::default(),
            limits: LimitOptions::default(),
            audit: AuditOptions::default(),
            operations: OperationOptions::default(),
        }
    }
}

impl ServeOptions {
    /// Under which name and port clients know a server that listens on this address, as far as that is known.
    pub(crate) fn advertised(&self, address: SocketAddr) -> Option<(String, u16)> {
        let listens_on = || (!address.ip().is_unspecified()).then(|| (address.ip().to_string(), address.port()));
        self.advertise.clone().or_else(listens_on)
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let form = || "must be HOST:PORT, as in nodeward.example.com:443".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(form)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(form());
    }
    Ok((host.to_owned(), port.parse().map_err(|_| form())?))
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
    fn a_server_is_known_by_what_it_advertises_or_listens_on() {
        let advertised = |flags: &[&str], address: &str| {
            let args = ServerArgs::try_parse_from([&["nodeward-server"], flags].concat()).unwrap();
            args.serve.advertised(address.parse().unwrap())
        };
        let known = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(
            advertised(&["--advertise", "nodeward.example.com:443"], "0.0.0.0:7443"),
            known("nodeward.example.com", 443)
        );
        assert_eq!(advertised(&["--advertise", "[::1]:443"], "0.0.0.0:7443"), known("::1", 443));
        assert_eq!(advertised(&[], "127.0.0.1:7443"), known("127.0.0.1", 7443));
        assert_eq!(advertised(&[], "0.0.0.0:7443"), None);
        for text in ["nodeward", ":443", "nodeward:https"] {
            assert!(host_and_port(text).is_err(), "{text}");
        }
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
