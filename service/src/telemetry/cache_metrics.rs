//! What is measured of the caches.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;

use super::metrics::meter;
use super::names;

/// Measures how long ago the cache of `what` last heard of Kubernetes, each time metrics are asked for, until what this
/// gives is dropped.
pub fn observe_cache(what: &'static str, age: impl Fn() -> Duration + Send + Sync + 'static) -> ObservedCache {
    let observed = ObservedCache(Arc::new(age));
    // An instrument lasts as long as the process; the cache need not.
    let cache = Arc::downgrade(&observed.0);
    let name = KeyValue::new(names::CACHE_NAME, what);
    let meter = meter();
    let gauge = meter.f64_observable_gauge(names::CACHE_AGE).with_unit("s");
    gauge
        .with_description("How long ago a cache last heard of Kubernetes, or since when it has been waiting for that")
        .with_callback(move |observer| {
            if let Some(age) = cache.upgrade() {
                observer.observe(age().as_secs_f64(), std::slice::from_ref(&name));
            }
        })
        .build();
    // So that the series is there before it matters.
    relists(what, 0);
    observed
}

/// Counts that the cache of `what` was read anew because its watch could not go on.
pub fn count_relist(what: &'static str) {
    relists(what, 1);
}

fn relists(what: &'static str, more: u64) {
    let meter = meter();
    let relists = meter.u64_counter(names::CACHE_RELISTS).with_unit("{list}");
    let relists = relists.with_description("Times that a cache was read anew because its watch could not go on");
    relists.build().add(more, &[KeyValue::new(names::CACHE_NAME, what)]);
}

/// A cache whose age is measured.
pub struct ObservedCache(Arc<dyn Fn() -> Duration + Send + Sync>);

impl fmt::Debug for ObservedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedCache").finish_non_exhaustive()
    }
}
