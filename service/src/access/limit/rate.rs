//! How many calls each user may send in a second.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};

use super::permit::UserKey;
use super::states::States;
use super::time::Time;

/// How often users are forgotten who have their whole burst again. To go through as many as are told apart takes some
/// microseconds.
const SWEEP_EVERY_MS: u64 = 100;

/// A rate for each user.
pub(super) struct Rate {
    limiter: RateLimiter<UserKey, States, Time, NoOpMiddleware<Duration>>,
    /// In milliseconds of the clock.
    next_sweep: AtomicU64,
    allowed: String,
}

impl Rate {
    /// So many calls a second, and so many at once by whoever has not called for a while. None without a limit.
    pub fn new(per_second: u32, burst: u32, time: Time) -> Option<Self> {
        let rate = NonZeroU32::new(per_second)?;
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let limiter = RateLimiter::new(Quota::per_second(rate).allow_burst(burst), States::default(), time);
        Some(Self { limiter, next_sweep: AtomicU64::new(0), allowed: format!("{rate} a second ({burst} at once)") })
    }

    /// Takes a call, or says how long it must wait.
    pub fn check(&self, user: UserKey) -> Result<(), Duration> {
        let now = self.limiter.clock().now();
        self.sweep(now);
        self.limiter.check_key(&user).map_err(|refused| refused.wait_time_from(now))
    }

    /// What is allowed, in words.
    pub fn allowed(&self) -> &str {
        &self.allowed
    }

    /// Before a call is decided on, so that it does not find full what could be empty.
    fn sweep(&self, now: Duration) {
        let now = now.as_millis() as u64;
        let due = self.next_sweep.load(Ordering::Relaxed);
        let next = now + SWEEP_EVERY_MS;
        // Of those who come at the same time one sweeps.
        if now >= due && self.next_sweep.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.limiter.retain_recent();
        }
    }

    /// How many users are told apart now.
    #[cfg(test)]
    pub fn known(&self) -> usize {
        self.limiter.len()
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::super::states::MOST_USERS;
    use super::*;

    fn rate(per_second: u32, burst: u32) -> (Rate, FakeRelativeClock) {
        let (time, hand) = Time::by_hand();
        (Rate::new(per_second, burst, time).unwrap(), hand)
    }

    fn user(number: usize) -> UserKey {
        UserKey::from(number as u64)
    }

    #[test]
    fn after_a_burst_a_user_waits_as_long_as_they_are_told_and_not_a_nanosecond_less() {
        let (rate, hand) = rate(10, 3);
        for _ in 0..3 {
            rate.check(user(1)).unwrap();
        }
        let wait = rate.check(user(1)).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        hand.advance(wait - Duration::from_nanos(1));
        assert_eq!(rate.check(user(1)), Err(Duration::from_nanos(1)));
        hand.advance(Duration::from_nanos(1));
        rate.check(user(1)).unwrap();
        rate.check(user(1)).unwrap_err();
    }

    #[test]
    fn who_waits_for_long_has_the_whole_burst_again_and_no_more() {
        let (rate, hand) = rate(10, 3);
        for _ in 0..2 {
            assert_eq!((0..10).filter(|_| rate.check(user(1)).is_ok()).count(), 3);
            hand.advance(Duration::from_secs(3600));
        }
    }

    #[test]
    fn refused_calls_do_not_make_the_wait_longer() {
        let (rate, hand) = rate(1, 1);
        rate.check(user(1)).unwrap();
        for _ in 0..1000 {
            rate.check(user(1)).unwrap_err();
        }
        hand.advance(Duration::from_secs(1));
        rate.check(user(1)).unwrap();
    }

    #[test]
    fn endless_users_take_no_more_room_than_the_most_that_are_told_apart() {
        let (rate, hand) = rate(1, 10);
        for number in 0..100_000 {
            let _ = rate.check(user(number));
            assert!(rate.known() <= MOST_USERS);
            hand.advance(Duration::from_micros(1));
        }
        assert_eq!(rate.known(), MOST_USERS);
    }

    #[test]
    fn users_who_come_when_there_are_too_many_are_limited_as_one() {
        let (rate, _hand) = rate(1, 10);
        (0..MOST_USERS).for_each(|number| rate.check(user(number)).unwrap());
        let newcomers = MOST_USERS..2 * MOST_USERS;
        assert_eq!(newcomers.filter(|number| rate.check(user(*number)).is_ok()).count(), 10);
        rate.check(user(0)).unwrap();
    }

    #[test]
    fn users_who_have_their_whole_burst_again_are_forgotten() {
        let (rate, hand) = rate(10, 10);
        for number in 0..100_000 {
            let _ = rate.check(user(number));
        }
        hand.advance(Duration::from_secs(2));
        rate.check(user(1)).unwrap();
        assert_eq!(rate.known(), 1);
    }

    #[test]
    fn a_user_who_has_not_their_whole_burst_again_is_remembered() {
        let (rate, hand) = rate(1, 10);
        hand.advance(Duration::from_secs(60));
        (0..10).for_each(|_| rate.check(user(1)).unwrap());
        for _ in 0..50 {
            hand.advance(Duration::from_millis(15));
            let _ = rate.check(user(2));
        }
        rate.check(user(1)).unwrap_err();
    }

    #[test]
    fn the_greatest_rates_can_be_counted_with() {
        let (rate, _hand) = rate(u32::MAX, u32::MAX);
        rate.check(user(1)).unwrap();
        let (time, _hand) = Time::by_hand();
        Rate::new(1, u32::MAX, time).unwrap().check(user(1)).unwrap();
    }
}
