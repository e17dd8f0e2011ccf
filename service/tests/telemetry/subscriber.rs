//! Gives a thread a subscriber, as the server gives one to its process: for ever.
//!
//! tracing holds each subscriber for a moment, under the lock of the list of them all, whenever one joins the list and
//! whenever a thread comes to a line of code that logs for the first time. One whose owner lets go of it at that moment
//! is dropped there, and with it the last reference to its provider of spans, which then ends: it waits for its thread,
//! and both of them log, in lines that nobody has come to before and that therefore wait for the lock. So they wait for
//! each other, and every test that starts next waits for them.
//!
//! That can't happen to a subscriber that is never dropped. What it has started does not end with it: whoever made a
//! provider shuts it down.

use std::mem::forget;
use std::sync::Arc;

use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Subscriber, dispatcher};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::watchdog::watch;

/// Makes a subscriber that of this thread until the guard is dropped.
pub fn set_default(subscriber: impl Subscriber + Send + Sync + 'static) -> DefaultGuard {
    dispatcher::set_default(&lasting(subscriber))
}

/// Makes a subscriber that of this thread while `work` runs.
pub fn with_default<T>(subscriber: impl Subscriber + Send + Sync + 'static, work: impl FnOnce() -> T) -> T {
    dispatcher::with_default(&lasting(subscriber), work)
}

fn lasting(subscriber: impl Subscriber + Send + Sync + 'static) -> Dispatch {
    watch();
    let dispatch = Dispatch::new(subscriber);
    forget(dispatch.clone());
    dispatch
}

#[test]
fn a_subscriber_outlives_its_use() {
    let used = Arc::new(());
    for end in [|subscriber| drop(set_default(subscriber)), |subscriber| with_default(subscriber, || ())] {
        let count = Arc::strong_count(&used);
        end(Registry::default().with(Uses { _used: Arc::clone(&used) }));
        assert_eq!(Arc::strong_count(&used), count + 1);
    }
}

struct Uses {
    _used: Arc<()>,
}

impl<S: Subscriber> Layer<S> for Uses {}
