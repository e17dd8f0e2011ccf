//! What is measured of the audit log.

use std::fs;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use nodeward_audit_log::{AppendError, AuditLog};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Counter, Histogram, Meter};

use super::Inner;
use crate::telemetry::{self, names};

/// A sync of a good disk takes a millisecond or less, one of a bad disk seconds.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The instruments of what is written.
pub(super) struct Metrics {
    duration: Histogram<f64>,
    failures: Counter<u64>,
}

impl Metrics {
    pub fn new(meter: &Meter) -> Self {
        let duration = meter.f64_histogram(names::AUDIT_APPEND_DURATION).with_unit("s");
        let failures = meter.u64_counter(names::AUDIT_APPEND_FAILURES).with_unit("{record}");
        Self {
            duration: duration
                .with_description("How long it took until a record was on the disk")
                .with_boundaries(SECONDS.to_vec())
                .build(),
            failures: failures.with_description("Records that could not be written, by reason").build(),
        }
    }

    /// A record is on the disk, after this time.
    pub fn appended(&self, after: Duration) {
        self.duration.record(after.as_secs_f64(), &[]);
    }

    /// A record could not be written.
    pub fn failed(&self, why: &'static str) {
        self.failures.add(1, &[KeyValue::new(names::AUDIT_FAILURE, why)]);
    }
}

/// Which kind of failure it is.
pub(super) fn kind(error: &AppendError) -> &'static str {
    match error {
        AppendError::NoSpace(_) => "no_space",
        AppendError::ReadOnly(_) => "read_only",
        AppendError::Io(_) => "io",
        AppendError::Damaged(_) => "damaged",
        AppendError::Closed => "closed",
        _ => "other",
    }
}

/// Measures the log each time metrics are asked for, as long as it is open.
pub(super) fn observe(auditor: &Arc<Inner>) {
    let auditor = Arc::downgrade(auditor);
    let of_log = |look: fn(&AuditLog) -> u64| move |inner: &Inner| inner.log.as_ref().map(look);
    gauge(&auditor, names::AUDIT_SIZE, "By", "How large the audit log is", of_log(|log| files(log).1));
    gauge(&auditor, names::AUDIT_SEGMENTS, "{segment}", "How many segments it has", of_log(|log| files(log).0));
    gauge(&auditor, names::AUDIT_UNSIGNED, "{entry}", "Entries after the last checkpoint", of_log(unsigned));
    gauge(&auditor, names::AUDIT_UNSETTLED, "{change}", "Changes whose outcome is still to be found out", |inner| {
        Some(inner.unsettled.lock().unwrap_or_else(PoisonError::into_inner).len() as u64)
    });
    gauge(&auditor, names::AUDIT_LATE, "{record}", "Outcomes that could not be recorded yet", |inner| {
        Some(inner.late.lock().unwrap_or_else(PoisonError::into_inner).len() as u64)
    });
}

fn gauge(
    auditor: &Weak<Inner>,
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    look: impl Fn(&Inner) -> Option<u64> + Send + Sync + 'static,
) {
    let auditor = auditor.clone();
    let observe = move |observer: &dyn AsyncInstrument<u64>| {
        if let Some(value) = auditor.upgrade().and_then(|auditor| look(&auditor)) {
            observer.observe(value, &[]);
        }
    };
    let meter = telemetry::meter();
    let gauge = meter.u64_observable_gauge(name).with_unit(unit);
    gauge.with_description(description).with_callback(observe).build();
}

fn unsigned(log: &AuditLog) -> u64 {
    let signed = log.checkpoints().borrow().position().sequence;
    log.position().sequence.saturating_sub(signed)
}

/// How many segments there are, and how many bytes they have.
fn files(log: &AuditLog) -> (u64, u64) {
    let entries = fs::read_dir(log.dir()).into_iter().flatten().flatten();
    let segments = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "jsonl"));
    segments
        .filter_map(|segment| segment.metadata().ok())
        .fold((0, 0), |(count, bytes), segment| (count + 1, bytes + segment.len()))
}
