//! How many tokens of each network were no good lately.

use std::collections::HashMap;
use std::time::Duration;

use governor::clock::Clock as _;
use parking_lot::Mutex;

use crate::access::limit::Time;
use crate::standing::Network;

/// How many may be no good at once, after a while without any.
const BURST: u32 = 100;

/// How many a second may be no good in the long run.
const PER_SECOND: u32 = 10;

/// The most networks that are told apart. Those who come when it is full are counted together.
const MOST_NETWORKS: usize = 10_000;

/// A leaky bucket for each network.
pub(super) struct Failures {
    time: Time,
    buckets: Mutex<Buckets>,
}

/// When each bucket is empty again.
#[derive(Default)]
struct Buckets {
    of: HashMap<Network, Duration>,
    of_others: Duration,
}

impl Failures {
    pub(super) fn new(time: Time) -> Self {
        Self { time, buckets: Mutex::default() }
    }

    /// Counts one, or says how long it is until there may be one more.
    pub(super) fn count(&self, network: Network) -> Result<(), Duration> {
        let now = self.time.now();
        let mut buckets = self.buckets.lock();
        let empty_at = buckets.of(network, now);
        let full_at = now + drop_time() * BURST;
        let next = (*empty_at).max(now) + drop_time();
        if next > full_at {
            return Err(next - full_at);
        }
        *empty_at = next;
        Ok(())
    }

    /// One that was counted was good after all.
    pub(super) fn take_back(&self, network: Network) {
        let now = self.time.now();
        let mut buckets = self.buckets.lock();
        let empty_at = buckets.of(network, now);
        *empty_at = empty_at.saturating_sub(drop_time());
    }
}

impl Buckets {
    fn of(&mut self, network: Network, now: Duration) -> &mut Duration {
        if self.of.len() >= MOST_NETWORKS && !self.of.contains_key(&network) {
            self.of.retain(|_, empty_at| *empty_at > now);
            if self.of.len() >= MOST_NETWORKS {
                return &mut self.of_others;
            }
        }
        self.of.entry(network).or_default()
    }
}

/// How long a bucket takes to lose one.
fn drop_time() -> Duration {
    Duration::from_secs(1) / PER_SECOND
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn network(number: u32) -> Network {
        std::net::IpAddr::from(Ipv4Addr::from(number)).into()
    }

    #[test]
    fn a_network_may_fail_so_often_at_once_and_then_so_often_a_second() {
        let (time, hand) = Time::by_hand();
        let failures = Failures::new(time);
        assert_eq!((0..1000).filter(|_| failures.count(network(1)).is_ok()).count(), BURST as usize);
        assert_eq!(failures.count(network(1)), Err(drop_time()));
        assert!(failures.count(network(2)).is_ok());
        hand.advance(Duration::from_secs(1));
        assert_eq!((0..1000).filter(|_| failures.count(network(1)).is_ok()).count(), PER_SECOND as usize);
    }

    #[test]
    fn what_was_good_after_all_does_not_count() {
        let failures = Failures::new(Time::by_hand().0);
        for _ in 0..1000 {
            failures.count(network(1)).unwrap();
            failures.take_back(network(1));
        }
    }

    #[test]
    fn no_more_networks_are_remembered_than_there_may_be() {
        let (time, hand) = Time::by_hand();
        let failures = Failures::new(time);
        for number in 0..100_000 {
            let _ = failures.count(network(number));
        }
        assert_eq!(failures.buckets.lock().of.len(), MOST_NETWORKS);
        // And those are forgotten that have not failed for a while.
        hand.advance(Duration::from_secs(20));
        failures.count(network(200_000)).unwrap();
        assert_eq!(failures.buckets.lock().of.len(), 1);
    }
}
