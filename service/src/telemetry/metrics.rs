//! Metrics: counted in the process, shown to Prometheus, and exported over OTLP.
//!
//! A room measures something in three steps:
//!
//! 1. Its names go to [`names`](super::names): the instrument's, and those of attributes. An attribute has few values, all
//!    of them known beforehand: a code, a reason, a kind. The name of a node, of a caller or of anything else that
//!    callers choose is none, since each value is a time series that every scrape carries from then on.
//! 2. When the room is made, it takes its instruments from [`meter`], each with a unit and a description, and keeps them:
//!
//!    ```
//!    # use nodeward_server::telemetry;
//!    let meter = telemetry::meter();
//!    let refused = meter.u64_counter("nodeward.example.refused").with_unit("{call}");
//!    let refused = refused.with_description("Calls that were refused, by reason").build();
//!    refused.add(1, &[opentelemetry::KeyValue::new("nodeward.reason", "full")]);
//!    ```
//!
//! 3. The instrument gets a line in docs/metrics.md.
//!
//! Rooms are made after [`init`](super::init). What takes instruments before that, or in a process that never calls it,
//! measures nothing, so they must not be kept in a `static` that something touches earlier.

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use prometheus::{Registry, TextEncoder};

use super::exporter::Otlp;
use super::{TelemetryOptions, names};

/// What all instruments of ours belong to.
const SCOPE: &str = "nodeward";

/// The buckets that the semantic conventions advise for the duration of calls, in seconds.
pub(super) const CALL_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Where rooms take their instruments from.
pub fn meter() -> Meter {
    global::meter(SCOPE)
}

/// The metrics of the process as they are now.
#[derive(Clone, Debug)]
pub struct Metrics(Registry);

impl Metrics {
    /// The media type of [`to_prometheus`](Self::to_prometheus).
    pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// All of them in the text format of Prometheus.
    pub fn to_prometheus(&self) -> anyhow::Result<String> {
        Ok(TextEncoder::new().encode_to_string(&self.0.gather())?)
    }
}

/// The provider of instruments, which exports what they measure if there is somewhere to export to.
pub(super) fn provider(
    options: &TelemetryOptions,
    resource: Resource,
    otlp: Option<&Otlp<'_>>,
) -> anyhow::Result<(SdkMeterProvider, Metrics)> {
    let registry = Registry::new();
    // All is of one scope, which needs no label at each series.
    let shown =
        opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false).build()?;
    let builder = SdkMeterProvider::builder().with_resource(resource).with_reader(shown);
    let builder = match otlp {
        Some(otlp) if options.exports_metrics() => {
            let interval = options.metric_export_interval();
            builder.with_reader(PeriodicReader::builder(otlp.metrics()?).with_interval(interval).build())
        }
        _ => builder,
    };
    let provider = builder.build();
    tell_build(&meter_of(&provider));
    Ok((provider, Metrics(registry)))
}

/// The meter that [`meter`] gives when `provider` is that of the process.
pub(super) fn meter_of(provider: &SdkMeterProvider) -> Meter {
    provider.meter(SCOPE)
}

fn tell_build(meter: &Meter) {
    let version = KeyValue::new(names::SERVICE_VERSION, env!("CARGO_PKG_VERSION"));
    let info = meter.u64_observable_gauge(names::BUILD_INFO).with_unit("{build}");
    info.with_description("Always 1: which build of the server this is")
        .with_callback(move |observer| observer.observe(1, std::slice::from_ref(&version)))
        .build();
}
