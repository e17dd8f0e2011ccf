//! What is counted of callers whom nobody knows.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

use crate::error::Error;
use crate::telemetry::{self, names};

/// The instrument.
#[derive(Clone)]
pub(super) struct Metrics {
    failures: Counter<u64>,
}

impl Metrics {
    pub fn new() -> Self {
        let meter = telemetry::meter();
        let failures = meter.u64_counter(names::AUTHENTICATION_FAILURES).with_unit("{call}");
        let failures = failures.with_description("Calls refused because nobody knows who is calling, by credential");
        Self { failures: failures.build() }
    }

    /// Somebody was refused who has shown a token, or a certificate, or neither.
    pub fn refused(&self, token: bool, certificate: bool, error: &Error) {
        let credential = match (token, certificate) {
            (true, _) => "token",
            (false, true) => "certificate",
            (false, false) => "none",
        };
        let attributes =
            [KeyValue::new(names::CREDENTIAL, credential), KeyValue::new(names::ERROR_REASON, error.reason())];
        self.failures.add(1, &attributes);
    }
}
