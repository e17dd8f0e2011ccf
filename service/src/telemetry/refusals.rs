//! Counts calls that are refused because of a limit, whichever room refuses them.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use super::names;

/// The counter. Those of the same meter count together.
#[derive(Clone, Debug)]
pub struct Refusals(Counter<u64>);

impl Refusals {
    /// The counter of this meter.
    pub fn new(meter: &Meter) -> Self {
        let refusals = meter.u64_counter(names::LIMIT_REFUSALS).with_unit("{call}");
        Self(refusals.with_description("Calls that were refused because of a limit").build())
    }

    /// Counts a call of this class that was over this limit: [`names::LIMIT_CLASS`] and [`names::LIMIT_NAME`].
    pub fn count(&self, class: &'static str, limit: &'static str) {
        self.0.add(1, &[KeyValue::new(names::LIMIT_CLASS, class), KeyValue::new(names::LIMIT_NAME, limit)]);
    }
}
