//! The time during which a lease is held.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// A term. Clones are the same term.
///
/// Check that it is valid before each step that only the holder may do, and give the step a deadline: a term that is valid now
/// may be over when the step's request arrives.
#[derive(Clone, Debug)]
pub struct Term {
    epoch: u32,
    /// Until when it is valid. None if it is over.
    until: Arc<watch::Sender<Option<Instant>>>,
}

impl Term {
    pub(super) fn new(epoch: u32, until: Instant) -> Self {
        Self { epoch, until: Arc::new(watch::Sender::new(Some(until))) }
    }

    /// A term that nobody renews.
    #[cfg(test)]
    pub(crate) fn until(epoch: u32, until: Instant) -> Self {
        Self::new(epoch, until)
    }

    /// Greater than that of all terms before it. It stands in the lease as `leaseTransitions`.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Whether it is not over yet.
    pub fn is_valid(&self) -> bool {
        is_before(*self.until.borrow())
    }

    /// Until when it is valid, unless it is renewed. None if it is over.
    pub fn valid_until(&self) -> Option<Instant> {
        let until = *self.until.borrow();
        until.filter(|_| is_before(until))
    }

    /// Waits until it is over.
    pub async fn lost(&self) {
        let mut changes = self.until.subscribe();
        loop {
            let Some(until) = self.valid_until() else { return };
            tokio::select! {
                () = sleep_until(until) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Ends it.
    pub(super) fn end(&self) {
        self.until.send_replace(None);
    }

    /// Extends it, if it is not over by now: who has seen it over has stopped for good. Whether it goes on.
    pub(super) fn extend(&self, until: Instant) -> bool {
        self.until.send_if_modified(|current| {
            *current = Some(until).filter(|_| is_before(*current));
            true
        });
        self.is_valid()
    }
}

fn is_before(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() < until)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    fn term(seconds: u64) -> Term {
        Term::new(1, later(seconds))
    }

    fn later(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_over_when_its_time_is_over_though_nobody_has_noticed() {
        let term = term(10);
        advance(Duration::from_millis(9_999)).await;
        assert!(term.is_valid());
        advance(Duration::from_millis(1)).await;
        assert!(!term.is_valid());
        term.lost().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_comes_too_late_does_not_bring_it_back() {
        let term = term(10);
        advance(Duration::from_secs(10)).await;
        assert!(!term.extend(later(10)));
        assert!(!term.is_valid());
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_in_time_extends_it_for_who_waits_for_its_end() {
        let begun = Instant::now();
        let term = term(10);
        let waiting = tokio::spawn({
            let term = term.clone();
            async move { term.lost().await }
        });
        advance(Duration::from_secs(8)).await;
        assert!(term.extend(later(10)));
        waiting.await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(18));
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_that_was_ended_stays_so() {
        let term = term(10);
        term.end();
        term.lost().await;
        assert!(!term.extend(later(10)));
        assert_eq!(term.valid_until(), None);
    }
}
