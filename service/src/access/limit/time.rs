//! The clock of the limits: the time since it was made, which tests move by hand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::clock::Clock;

/// A clock. Its clones show the same time.
#[derive(Clone)]
pub(in crate::access) struct Time(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Time {
    /// The monotonic clock of the system.
    pub fn monotonic() -> Self {
        let start = Instant::now();
        Self(Arc::new(move || start.elapsed()))
    }

    /// A clock that stands still until it is moved.
    #[cfg(test)]
    pub fn by_hand() -> (Self, governor::clock::FakeRelativeClock) {
        let hand = governor::clock::FakeRelativeClock::default();
        let clock = hand.clone();
        (Self(Arc::new(move || clock.now().into())), hand)
    }
}

impl Clock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        (self.0)()
    }
}
