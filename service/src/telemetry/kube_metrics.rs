//! What is measured of calls to Kubernetes.

use std::time::Instant;

use http::StatusCode;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use super::metrics::CALL_SECONDS;
use super::names;

/// The instrument.
#[derive(Clone, Debug)]
pub(super) struct KubeMetrics {
    duration: Histogram<f64>,
}

impl KubeMetrics {
    pub fn new(meter: &Meter) -> Self {
        let duration = meter.f64_histogram(names::HTTP_CLIENT_REQUEST_DURATION).with_unit("s");
        let duration = duration
            .with_description(
                "How long Kubernetes took to answer, by verb, resource and status; of a watch, to open it",
            )
            .with_boundaries(CALL_SECONDS.to_vec())
            .build();
        Self { duration }
    }

    /// Starts measuring a call with these attributes.
    pub fn start(&self, attributes: Vec<KeyValue>) -> Stopwatch {
        Stopwatch { duration: self.duration.clone(), attributes, begun: Instant::now() }
    }
}

/// The measuring of one call.
#[derive(Debug)]
pub(super) struct Stopwatch {
    duration: Histogram<f64>,
    attributes: Vec<KeyValue>,
    begun: Instant,
}

impl Stopwatch {
    /// There is an answer, or what is called `error` came instead.
    pub fn stop(&mut self, status: Option<StatusCode>, error: Option<&str>) {
        let status = status.map(|status| KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16())));
        let error = error.map(|error| KeyValue::new(names::ERROR_TYPE, error.to_owned()));
        self.attributes.extend(status.into_iter().chain(error));
        self.duration.record(self.begun.elapsed().as_secs_f64(), &self.attributes);
    }
}
