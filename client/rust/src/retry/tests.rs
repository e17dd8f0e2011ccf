//! The pauses: how long, how many, and when there is none.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::*;

fn asking_for(delay: Duration) -> Error {
    let details = ErrorDetails::with_retry_info(Some(delay));
    Error::from(Status::with_error_details(Code::Unavailable, "x", details))
}

fn pushing_back(value: &str) -> Error {
    let mut metadata = MetadataMap::new();
    metadata.insert(PUSHBACK, value.parse().unwrap());
    let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(9)));
    Error::from(Status::with_error_details_and_metadata(Code::Unavailable, "x", details, metadata))
}

#[test]
fn a_request_is_sent_at_most_max_attempts_times() {
    assert_eq!(RetryPolicy::default().delays().count(), 4);
    assert_eq!(RetryPolicy { max_attempts: 1, ..RetryPolicy::default() }.delays().count(), 0);
    assert_eq!(RetryPolicy { max_attempts: 0, ..RetryPolicy::default() }.delays().count(), 0);
}

#[test]
fn pauses_double_and_vary_by_a_fifth() {
    for _ in 0..100 {
        for (number, delay) in (0..).zip(RetryPolicy::default().delays()) {
            let backoff = Duration::from_millis(100 << number);
            assert!((backoff.mul_f64(0.8)..backoff.mul_f64(1.2)).contains(&delay), "{number}: {delay:?}");
        }
    }
}

#[test]
fn pauses_differ_from_client_to_client() {
    let first = || RetryPolicy::default().delays().next();
    assert!((0..100).any(|_| first() != first()));
}

#[test]
fn the_pauses_of_a_watch_do_not_end_and_stay_within_the_longest() {
    let policy = RetryPolicy::default();
    for late in policy.endless_delays().skip(500).take(100) {
        assert!(late >= policy.max_delay.mul_f64(0.8) && late <= policy.max_delay, "{late:?}");
    }
}

#[test]
fn endless_pauses_do_not_overflow() {
    let policy =
        RetryPolicy { max_attempts: 3, initial_delay: Duration::MAX, max_delay: Duration::MAX, ..Default::default() };
    assert!(policy.delays().all(|delay| delay <= LONGEST));
}

#[test]
fn a_longer_retry_info_is_waited_for() {
    let pause = pause(Duration::from_millis(100), &asking_for(Duration::from_secs(2)));
    assert_eq!(pause, Some(Duration::from_millis(2100)));
}

#[test]
fn a_shorter_retry_info_does_not_shorten_the_pause() {
    assert_eq!(pause(Duration::from_secs(5), &asking_for(Duration::from_secs(1))), Some(Duration::from_secs(5)));
}

#[test]
fn an_endless_retry_info_does_not_overflow() {
    assert!(pause(Duration::from_secs(1), &asking_for(Duration::MAX)) > Some(Duration::from_secs(1)));
}

#[test]
fn a_pushback_is_waited_for_exactly() {
    for (value, millis) in [("0", 0), ("1500", 1500)] {
        assert_eq!(pause(Duration::from_secs(1), &pushing_back(value)), Some(Duration::from_millis(millis)));
    }
}

#[test]
fn a_pushback_that_is_negative_or_no_number_stops_the_retries() {
    for value in ["-1", "", "soon", "1.5"] {
        assert_eq!(pause(Duration::from_secs(1), &pushing_back(value)), None, "{value:?}");
    }
}
