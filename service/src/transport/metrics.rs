//! What is counted about connections and certificates. Nothing is, if the process has no meter.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, UpDownCounter};

use crate::telemetry::{self, names};

/// Why a connection came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There are as many as there may be.
    Full,
    /// There are as many from the client's network as there may be.
    FullOfOne,
    /// Nobody known has called on it in time.
    Unknown,
    /// The client has not spoken in time.
    Silent,
    /// There was no agreement on TLS, or the client's certificate is not accepted.
    Handshake,
}

impl Refusal {
    fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::FullOfOne => "full_of_one",
            Self::Unknown => "unknown",
            Self::Silent => "silent",
            Self::Handshake => "handshake",
        }
    }
}

/// The instruments.
#[derive(Clone, Debug)]
pub(super) struct Metrics(Arc<Instruments>);

#[derive(Debug)]
struct Instruments {
    open: UpDownCounter<i64>,
    refused: Counter<u64>,
    reload_failures: Counter<u64>,
    expiry: Gauge<i64>,
}

impl Metrics {
    pub fn new() -> Self {
        let meter = telemetry::meter();
        let open = meter.i64_up_down_counter(names::CONNECTIONS_OPEN).with_unit("{connection}");
        let refused = meter.u64_counter(names::CONNECTIONS_REFUSED).with_unit("{connection}");
        let reload_failures = meter.u64_counter(names::CERTIFICATE_RELOAD_FAILURES).with_unit("{failure}");
        let expiry = meter.i64_gauge(names::CERTIFICATE_EXPIRY).with_unit("s");
        Self(Arc::new(Instruments {
            open: open.with_description("Connections that are open").build(),
            refused: refused.with_description("Connections that came to nothing, by reason").build(),
            reload_failures: reload_failures
                .with_description("Times that changed certificates were found and could not be used")
                .build(),
            expiry: expiry.with_description("When the server's certificate expires, in seconds since 1970").build(),
        }))
    }

    /// A connection is open until this is dropped.
    pub fn opened(&self) -> Open {
        self.0.open.add(1, &[]);
        Open(self.clone())
    }

    pub fn refused(&self, why: Refusal) {
        self.0.refused.add(1, &[KeyValue::new(names::REFUSAL_REASON, why.name())]);
    }

    pub fn reload_failed(&self) {
        self.0.reload_failures.add(1, &[]);
    }

    pub fn certificate_expires(&self, at: i64) {
        self.0.expiry.record(at, &[]);
    }
}

/// An open connection.
pub(super) struct Open(Metrics);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.open.add(-1, &[]);
    }
}
