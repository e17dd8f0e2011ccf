//! How long a pod is given to end.

use super::PodFacts;

/// What a pod is given that says nothing else (`v1.DefaultTerminationGracePeriodSeconds`).
pub const DEFAULT_GRACE_SECONDS: i64 = 30;

/// The grace period that the apiserver gives a pod that is removed (`podStrategy.CheckGracefulDelete`), in seconds: what is
/// asked for, otherwise the pod's own. A finished pod gets none, and a negative period is one second.
///
/// A removal that has begun can only be made shorter: its period stays if it is less.
pub fn grace_seconds(pod: &PodFacts, asked: Option<u32>) -> u64 {
    if pod.is_finished() {
        return 0;
    }
    let own = pod.termination_grace_period_seconds.unwrap_or(DEFAULT_GRACE_SECONDS);
    let period = asked.map_or(own, i64::from);
    let period = pod.terminating.map_or(period, |terminating| period.min(terminating.grace_seconds));
    u64::try_from(period).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::example::{PodExample, pod};
    use super::*;

    fn grace(pod: PodExample, asked: Option<u32>) -> u64 {
        grace_seconds(&PodFacts::of(&pod.build()), asked)
    }

    #[test]
    fn a_pod_has_its_own_period_unless_another_is_asked_for() {
        assert_eq!(grace(pod("p").grace(90), None), 90);
        assert_eq!(grace(pod("p").grace(90), Some(5)), 5);
        assert_eq!(grace(pod("p"), None), 30);
        assert_eq!(grace(pod("p").grace(0), None), 0);
    }

    #[test]
    fn a_negative_period_is_a_second() {
        assert_eq!(grace(pod("p").grace(-7), None), 1);
    }

    #[test]
    fn a_finished_pod_needs_none() {
        assert_eq!(grace(pod("p").grace(90).phase("Failed"), Some(60)), 0);
    }

    #[test]
    fn a_removal_that_has_begun_is_not_made_longer() {
        let end: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(grace(pod("p").grace(90).terminating(end, 10), None), 10);
        assert_eq!(grace(pod("p").grace(90).terminating(end, 10), Some(3)), 3);
    }
}
