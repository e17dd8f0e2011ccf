//! What can be configured about traces, metrics and logs, by flags and environment variables.

use std::time::Duration;

use clap::{Args, ValueEnum};

/// How the server reports on itself: traces, metrics and logs.
///
/// Where OpenTelemetry defines an environment variable it is used under its name. Those of its exporter that aren't here
/// work as well: `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT`, `OTEL_RESOURCE_ATTRIBUTES`,
/// `OTEL_BSP_MAX_QUEUE_SIZE`, ...
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Traces, metrics and logs")]
pub struct TelemetryOptions {
    /// Where traces and metrics are exported to: an OTLP/gRPC endpoint, for example `http://otel-collector:4317`. Without
    /// it traces are made, passed on to Kubernetes and named in responses, but not exported
    ///
    /// Headers for it, for example credentials, are taken from OTEL_EXPORTER_OTLP_HEADERS.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// The most milliseconds that a finished span waits for its export
    #[arg(long, env = "OTEL_BSP_SCHEDULE_DELAY", value_name = "MS", default_value_t = Self::EXPORT_DELAY_MS)]
    pub trace_export_delay_ms: u64,

    /// Whether metrics are exported to where traces are; `none` if that takes only traces
    #[arg(long, env = "OTEL_METRICS_EXPORTER", value_name = "EXPORTER", value_enum, default_value_t = MetricsExporter::Otlp)]
    pub metrics_exporter: MetricsExporter,

    /// How many milliseconds are between two exports of metrics
    #[arg(long, env = "OTEL_METRIC_EXPORT_INTERVAL", value_name = "MS", default_value_t = Self::EXPORT_INTERVAL_MS)]
    pub metric_export_interval_ms: u64,

    /// Which share of the changes is traced, from 0 to 1, whether or not the caller traces
    #[arg(long, env = "NODEWARD_MUTATION_SAMPLING", value_name = "SHARE", default_value_t = 1.0, value_parser = share)]
    pub mutation_sampling: f64,

    /// Which share of the reads is traced, from 0 to 1, if the caller doesn't send a trace context. If it does, a read is
    /// traced when the caller traces
    #[arg(long, env = "NODEWARD_READ_SAMPLING", value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub read_sampling: f64,

    /// The name of this service in traces and metrics
    #[arg(long, env = "OTEL_SERVICE_NAME", value_name = "NAME", default_value = Self::SERVICE_NAME)]
    pub service_name: String,

    /// The name of the managed cluster in traces and metrics
    #[arg(long, env = "NODEWARD_CLUSTER_NAME", value_name = "NAME")]
    pub cluster_name: Option<String>,

    /// The pod that this server runs in, for traces and metrics
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub pod_name: Option<String>,

    /// The namespace of that pod, for traces and metrics
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    pub pod_namespace: Option<String>,

    /// What is logged: a level, or levels of single modules, for example `warn,nodeward_server=debug`. It has no effect
    /// on traces
    #[arg(long = "log", env = "RUST_LOG", value_name = "FILTER", default_value = Self::LOG_FILTER)]
    pub log_filter: String,

    /// The format of the log, which goes to the standard error
    #[arg(long, env = "NODEWARD_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object on each line.
    Json,
}

/// Where metrics go, besides to whoever asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MetricsExporter {
    /// To the OTLP endpoint, if there is one.
    Otlp,
    /// Nowhere; /metrics is served all the same, so `prometheus`, which OpenTelemetry knows too, means this.
    #[value(alias = "prometheus")]
    None,
}

impl TelemetryOptions {
    const SERVICE_NAME: &str = "nodeward-server";
    /// Not what h2 says of each connection that breaks its rules, which attackers could fill the log with.
    const LOG_FILTER: &str = "info,h2=error";
    /// Less than the 5 seconds of OpenTelemetry: who changes a node wants to see the trace of it.
    const EXPORT_DELAY_MS: u64 = 1000;

    /// As in OpenTelemetry.
    const EXPORT_INTERVAL_MS: u64 = 60_000;

    /// Where to export to, if anywhere.
    pub(super) fn endpoint(&self) -> Option<&str> {
        self.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty())
    }

    pub(super) fn exports_metrics(&self) -> bool {
        self.metrics_exporter == MetricsExporter::Otlp
    }

    pub(super) fn metric_export_interval(&self) -> Duration {
        Duration::from_millis(self.metric_export_interval_ms)
    }

    pub(super) fn export_delay(&self) -> Duration {
        Duration::from_millis(self.trace_export_delay_ms)
    }
}

/// The same as without any flag or environment variable.
impl Default for TelemetryOptions {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            trace_export_delay_ms: Self::EXPORT_DELAY_MS,
            metrics_exporter: MetricsExporter::Otlp,
            metric_export_interval_ms: Self::EXPORT_INTERVAL_MS,
            mutation_sampling: 1.0,
            read_sampling: 0.0,
            service_name: Self::SERVICE_NAME.to_owned(),
            cluster_name: None,
            pod_name: None,
            pod_namespace: None,
            log_filter: Self::LOG_FILTER.to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        telemetry: TelemetryOptions,
    }

    fn parse(args: &[&str]) -> Result<TelemetryOptions, clap::Error> {
        Command::try_parse_from([&["nodeward-server"], args].concat()).map(|command| command.telemetry)
    }

    #[test]
    fn the_shares_are_from_0_to_1() {
        assert_eq!(parse(&["--mutation-sampling", "0.25"]).unwrap().mutation_sampling, 0.25);
        for bad in ["-0.1", "1.1", "NaN", "inf", "all", ""] {
            let arg = format!("--read-sampling={bad}");
            let error = parse(&[&arg]).unwrap_err().to_string();
            assert!(error.contains("must be a number from 0 to 1"), "{bad}: {error}");
        }
    }
}
