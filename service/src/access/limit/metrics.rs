//! What is measured of limits.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::load::{Load, Usage};
use crate::error::Error;
use crate::telemetry::{Refusals, names};

/// The instruments.
pub(super) struct Metrics {
    refusals: Refusals,
}

impl Metrics {
    /// The instruments of this meter. The load is looked at when they are read, so that calls don't pay for it.
    pub fn new(meter: &Meter, load: &Load) -> Self {
        let usage = meter.i64_observable_up_down_counter(names::LOAD_USAGE).with_unit("{call}");
        let limit = meter.i64_observable_up_down_counter(names::LOAD_LIMIT).with_unit("{call}");
        usage
            .with_description("Calls in progress and open streams, which count for the limits of the server")
            .with_callback(observe(load, |usage| Some(usage.taken)))
            .build();
        limit
            .with_description("The limits of the server on calls in progress and open streams")
            .with_callback(observe(load, |usage| usage.most))
            .build();
        Self { refusals: Refusals::new(meter) }
    }

    /// Counts a call that was refused with this error.
    pub fn refused(&self, error: &Error) {
        refused(&self.refusals, error);
    }
}

/// Counts a call that was refused with this error, if that says which limit it was.
pub(in crate::access) fn refused(refusals: &Refusals, error: &Error) {
    let (class, limit) = match error {
        Error::RateLimited { class, limit, .. } | Error::Overloaded { class, limit, .. } => (*class, *limit),
        Error::AuthenticationOverloaded { limit, .. } => ("authentication", *limit),
        _ => return,
    };
    refusals.count(class, limit);
}

fn observe(load: &Load, what: fn(&Usage) -> Option<usize>) -> impl Fn(&dyn AsyncInstrument<i64>) + use<> {
    let load = load.clone();
    move |instrument| {
        for usage in load.usage() {
            if let Some(number) = what(&usage) {
                instrument.observe(number as i64, &[limit_name(usage.limit)]);
            }
        }
    }
}

fn limit_name(name: &'static str) -> KeyValue {
    KeyValue::new(names::LIMIT_NAME, name)
}
