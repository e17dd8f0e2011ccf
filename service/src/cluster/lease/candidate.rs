//! Whether a lease may be taken, by what was seen of it so far. No I/O.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;
use tokio::time::Instant;

/// Somebody who looks at a lease from time to time.
#[derive(Debug)]
pub(super) struct Candidate {
    holder: String,
    /// For how long a lease holds that does not say it.
    duration: Duration,
    /// The lease as it was last seen, and since when it is so.
    seen: Option<(LeaseSpec, Instant)>,
    /// The greatest epoch that was seen, here or in the lease.
    epoch: u32,
}

/// What is to be done about a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Take it, for a term of this epoch.
    Take { epoch: u32 },
    /// Look again later.
    Wait,
}

impl Candidate {
    pub fn new(holder: &str, duration: Duration) -> Self {
        Self { holder: holder.to_owned(), duration, seen: None, epoch: 0 }
    }

    /// Takes in the lease as it is now, if there is one.
    pub fn observe(&mut self, spec: Option<&LeaseSpec>, now: Instant) -> Decision {
        let Some(spec) = spec else {
            // Perhaps somebody has deleted it: epochs that were seen are not used again.
            self.seen = None;
            return self.take();
        };
        self.epoch = self.epoch.max(epoch(spec));
        let since = match &self.seen {
            Some((seen, since)) if seen == spec => *since,
            _ => {
                self.seen = Some((spec.clone(), now));
                now
            }
        };
        match spec.holder_identity.as_deref() {
            None | Some("") => self.take(),
            // A term of this one that has ended, or whose beginning was not answered.
            Some(holder) if holder == self.holder => self.take(),
            Some(_) if now >= since + self.claimed(spec) => self.take(),
            Some(_) => Decision::Wait,
        }
    }

    /// Uses no epoch up to this one, which somebody has seen elsewhere than in the lease.
    pub fn pass_over(&mut self, epoch: u32) {
        self.epoch = self.epoch.max(epoch);
    }

    /// The epoch is used up, whatever becomes of it.
    fn take(&mut self) -> Decision {
        self.epoch = self.epoch.saturating_add(1);
        Decision::Take { epoch: self.epoch }
    }

    /// For how long the holder claims it.
    fn claimed(&self, spec: &LeaseSpec) -> Duration {
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        seconds.filter(|seconds| *seconds > 0).map_or(self.duration, Duration::from_secs)
    }
}

/// The epoch of the last term of a lease.
pub(super) fn epoch(spec: &LeaseSpec) -> u32 {
    spec.lease_transitions.and_then(|transitions| u32::try_from(transitions).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    use super::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn candidate() -> Candidate {
        Candidate::new("me", DURATION)
    }

    /// Renewed at this second, by the clock of the holder.
    fn held(by: &str, epoch: i32, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(by.to_owned()),
            lease_transitions: Some(epoch),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
            ..LeaseSpec::default()
        }
    }

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_lease_that_nobody_holds_is_taken() {
        let now = Instant::now();
        assert_eq!(candidate().observe(None, now), Decision::Take { epoch: 1 });
        assert_eq!(candidate().observe(Some(&LeaseSpec::default()), now), Decision::Take { epoch: 1 });
        assert_eq!(candidate().observe(Some(&held("", 4, 0)), now), Decision::Take { epoch: 5 });
    }

    #[test]
    fn a_lease_of_ones_own_is_taken_anew() {
        assert_eq!(candidate().observe(Some(&held("me", 4, 0)), Instant::now()), Decision::Take { epoch: 5 });
    }

    #[test]
    fn the_clock_of_the_holder_says_nothing() {
        let (start, long_ago, far_off) = (Instant::now(), held("other", 1, 0), held("other", 1, 1 << 35));
        for lease in [long_ago, far_off] {
            let mut candidate = candidate();
            assert_eq!(candidate.observe(Some(&lease), start), Decision::Wait);
            assert_eq!(candidate.observe(Some(&lease), at(start, 14)), Decision::Wait);
            assert_eq!(candidate.observe(Some(&lease), at(start, 15)), Decision::Take { epoch: 2 });
        }
    }

    #[test]
    fn each_change_lets_its_time_begin_anew() {
        let (start, mut candidate) = (Instant::now(), candidate());
        candidate.observe(Some(&held("other", 1, 0)), start);
        candidate.observe(Some(&held("other", 1, 2)), at(start, 14));
        assert_eq!(candidate.observe(Some(&held("other", 1, 2)), at(start, 28)), Decision::Wait);
        assert_eq!(candidate.observe(Some(&held("other", 1, 2)), at(start, 29)), Decision::Take { epoch: 2 });
    }

    #[test]
    fn the_holder_says_for_how_long() {
        let lease = LeaseSpec { lease_duration_seconds: Some(60), ..held("other", 1, 0) };
        let (start, mut candidate) = (Instant::now(), candidate());
        candidate.observe(Some(&lease), start);
        assert_eq!(candidate.observe(Some(&lease), at(start, 59)), Decision::Wait);
        assert_eq!(candidate.observe(Some(&lease), at(start, 60)), Decision::Take { epoch: 2 });
    }

    #[test]
    fn an_epoch_that_was_seen_elsewhere_is_not_used() {
        let mut candidate = candidate();
        candidate.pass_over(7);
        assert_eq!(candidate.observe(Some(&held("", 1, 0)), Instant::now()), Decision::Take { epoch: 8 });
    }

    #[test]
    fn no_epoch_comes_again_after_the_lease_was_deleted() {
        let mut candidate = candidate();
        candidate.observe(Some(&held("other", 7, 0)), Instant::now());
        for epoch in [8, 9] {
            assert_eq!(candidate.observe(None, Instant::now()), Decision::Take { epoch });
        }
    }
}
