//! Retry throttling of gRPC: a client whose requests fail often must not add to the load with retries.

use std::sync::atomic::{AtomicU32, Ordering};

/// Tokens are counted in tenths, which is what a success earns.
const TOKEN: u32 = 10;

/// The tokens of a client. Each attempt that fails costs one, each that succeeds earns a tenth of one, and nothing is sent
/// again unless there are more than half of them left.
#[derive(Debug)]
pub(crate) struct Throttle {
    most: u32,
    left: AtomicU32,
}

impl Throttle {
    /// All tokens; with 0 nothing is ever throttled.
    pub(crate) fn new(max_tokens: u16) -> Self {
        let most = u32::from(max_tokens) * TOKEN;
        Self { most, left: AtomicU32::new(most) }
    }

    /// An attempt succeeded.
    pub(crate) fn succeeded(&self) {
        self.update(|left| (left + 1).min(self.most));
    }

    /// An attempt failed. Answers whether another may be made.
    pub(crate) fn failed(&self) -> bool {
        let left = self.update(|left| left.saturating_sub(TOKEN));
        self.most == 0 || left > self.most / 2
    }

    fn update(&self, next: impl Fn(u32) -> u32) -> u32 {
        let before = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(next(left)));
        next(before.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_sent_again_while_more_than_half_of_the_tokens_are_left() {
        let throttle = Throttle::new(10);
        let answers: Vec<bool> = (0..6).map(|_| throttle.failed()).collect();
        assert_eq!(answers, [true, true, true, true, false, false]);
    }

    #[test]
    fn successes_earn_the_tokens_back() {
        let throttle = Throttle::new(10);
        assert_eq!((0..5).filter(|_| throttle.failed()).count(), 4);
        (0..10).for_each(|_| throttle.succeeded());
        assert!(!throttle.failed());
        (0..11).for_each(|_| throttle.succeeded());
        assert!(throttle.failed());
    }

    #[test]
    fn tokens_are_never_more_than_at_the_beginning() {
        let throttle = Throttle::new(2);
        (0..100).for_each(|_| throttle.succeeded());
        assert!(!throttle.failed());
    }

    #[test]
    fn without_tokens_nothing_is_throttled() {
        let throttle = Throttle::new(0);
        assert!((0..100).all(|_| throttle.failed()));
    }
}
