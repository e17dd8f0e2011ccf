//! What is measured of drains, on the server that carries them out.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Counter, Meter};

use super::super::{OperationStatus, State};
use crate::audit::Outcome;
use crate::cluster::evict::RemovalMethod;
use crate::drain::PodState;
use crate::telemetry::names;

/// The instruments.
pub(super) struct Metrics {
    removals: Counter<u64>,
    ended: Counter<u64>,
    running: Mutex<HashMap<String, Running>>,
}

/// An operation that is carried out here.
#[derive(Clone, Copy)]
struct Running {
    state: State,
    blocked: u64,
}

impl Metrics {
    /// The instruments of this meter.
    pub fn new(meter: &Meter) -> Arc<Self> {
        let removals = meter.u64_counter(names::POD_REMOVALS).with_unit("{removal}");
        let ended = meter.u64_counter(names::OPERATIONS_ENDED).with_unit("{operation}");
        let metrics = Arc::new(Self {
            removals: removals.with_description("Attempts to remove a pod from a node that is drained").build(),
            ended: ended.with_description("Operations that have ended").build(),
            running: Mutex::default(),
        });
        let operations = meter.u64_observable_gauge(names::OPERATIONS).with_unit("{operation}");
        operations
            .with_description("Operations that this server carries out")
            .with_callback(observe(&metrics, |running, observer| {
                let mut states = BTreeMap::<&str, u64>::new();
                running.values().for_each(|it| *states.entry(it.state.as_str()).or_default() += 1);
                for (state, count) in states {
                    observer.observe(count, &[KeyValue::new(names::OPERATION_STATE, state)]);
                }
            }))
            .build();
        let blocked = meter.u64_observable_gauge(names::PODS_BLOCKED).with_unit("{pod}");
        blocked
            .with_description("Pods that something keeps from leaving a node that this server drains")
            .with_callback(observe(&metrics, |running, observer| {
                observer.observe(running.values().map(|it| it.blocked).sum(), &[]);
            }))
            .build();
        metrics
    }

    /// A removal was answered so.
    pub fn removed(&self, method: RemovalMethod, outcome: &Outcome) {
        let method = if method == RemovalMethod::Evict { "evict" } else { "delete" };
        let outcome = if outcome.reason.is_empty() { &outcome.outcome } else { &outcome.reason };
        let labels = [KeyValue::new(names::REMOVAL_METHOD, method), KeyValue::new(names::OUTCOME, outcome.clone())];
        self.removals.add(1, &labels);
    }

    /// An operation has ended so.
    pub fn ended(&self, state: State) {
        self.ended.add(1, &[KeyValue::new(names::OPERATION_STATE, state.as_str())]);
    }

    /// An operation is so now.
    pub fn sees(&self, operation: &str, status: &OperationStatus) {
        let blocked = status.pods.iter().filter(|pod| pod.state == PodState::Blocked).count() as u64;
        self.running().insert(operation.to_owned(), Running { state: status.state, blocked });
    }

    /// An operation is not carried out here any more.
    pub fn forgets(&self, operation: &str) {
        self.running().remove(operation);
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn observe(
    metrics: &Arc<Metrics>,
    look: fn(&HashMap<String, Running>, &dyn AsyncInstrument<u64>),
) -> impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + use<> {
    // An instrument lasts as long as the process; the server need not.
    let metrics: Weak<Metrics> = Arc::downgrade(metrics);
    move |observer| {
        if let Some(metrics) = metrics.upgrade() {
            look(&metrics.running(), observer);
        }
    }
}
