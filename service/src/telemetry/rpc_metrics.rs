//! What is measured of the calls that the server answers.

use std::sync::Arc;
use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};
use tonic::Code;

use super::metrics::CALL_SECONDS;
use super::names;
use super::rpc_status::code_name;

/// Streams last up to half an hour, unless configured otherwise.
const STREAM_SECONDS: [f64; 10] = [0.1, 1.0, 10.0, 60.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0];

/// The instruments.
#[derive(Debug)]
pub(super) struct RpcMetrics {
    duration: Histogram<f64>,
    streams_open: UpDownCounter<i64>,
    streams_duration: Histogram<f64>,
}

impl RpcMetrics {
    pub fn new(meter: &Meter) -> Self {
        let duration = meter.f64_histogram(names::RPC_SERVER_CALL_DURATION).with_unit("s");
        let streams_open = meter.i64_up_down_counter(names::STREAMS_OPEN).with_unit("{stream}");
        let streams_duration = meter.f64_histogram(names::STREAMS_DURATION).with_unit("s");
        Self {
            duration: duration
                .with_description("How long calls took, by method and status; those that stream are not among them")
                .with_boundaries(CALL_SECONDS.to_vec())
                .build(),
            streams_open: streams_open.with_description("Calls that stream and are open, by method").build(),
            streams_duration: streams_duration
                .with_description("How long calls that stream lasted, by method and the status they ended with")
                .with_boundaries(STREAM_SECONDS.to_vec())
                .build(),
        }
    }
}

/// The measuring of one call.
#[derive(Clone, Debug)]
pub(super) struct Stopwatch {
    metrics: Arc<RpcMetrics>,
    method: &'static str,
    streams: bool,
    begun: Instant,
}

impl Stopwatch {
    /// Starts measuring a call to a known method, or to [`names::OTHER`].
    pub fn start(metrics: &Arc<RpcMetrics>, method: &'static str, streams: bool) -> Self {
        Self { metrics: Arc::clone(metrics), method, streams, begun: Instant::now() }
    }

    /// The call is a stream, which is open now.
    pub fn opened(&self) {
        self.metrics.streams_open.add(1, &[self.method()]);
    }

    /// The stream is not open any more.
    pub fn closed(&self) {
        self.metrics.streams_open.add(-1, &[self.method()]);
    }

    /// The call has ended.
    pub fn stop(&self, code: Code, error: Option<&'static str>) {
        let mut attributes = vec![
            KeyValue::new(names::RPC_SYSTEM_NAME, names::RPC_SYSTEM_GRPC),
            self.method(),
            KeyValue::new(names::RPC_RESPONSE_STATUS_CODE, code_name(code)),
        ];
        attributes.extend(error.map(|error| KeyValue::new(names::ERROR_TYPE, error)));
        let duration = if self.streams { &self.metrics.streams_duration } else { &self.metrics.duration };
        duration.record(self.begun.elapsed().as_secs_f64(), &attributes);
    }

    fn method(&self) -> KeyValue {
        KeyValue::new(names::RPC_METHOD, self.method)
    }
}
