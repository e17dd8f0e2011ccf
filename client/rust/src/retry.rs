//! When a request is sent again: the retry rules of gRPC, for [`Error::is_retryable`] alone.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::error::Error;

/// No pause of our own is longer, whatever the policy says.
const LONGEST: Duration = Duration::from_secs(3600);

/// How often and how soon a request is sent again that the server, or the way to it, was not available for, or that the
/// server has put off because too much is sent.
///
/// The pauses grow exponentially with jitter, and are never shorter than the server's `google.rpc.RetryInfo` asks for. A
/// pause that would pass the deadline is not begun: the error is returned at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most times a request is sent, the first one included. 1 turns retries off.
    pub max_attempts: usize,
    /// The first pause.
    pub initial_delay: Duration,
    /// The longest pause. A watch, which tries for ever, ends up at it.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 5, initial_delay: Duration::from_millis(100), max_delay: Duration::from_secs(5) }
    }
}

impl RetryPolicy {
    /// The pauses between the attempts of one request.
    pub(crate) fn delays(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        self.exponential().with_max_times(self.max_attempts.saturating_sub(1)).build()
    }

    /// The pauses between the attempts of a watch, without end.
    pub(crate) fn endless_delays(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        self.exponential().without_max_times().build()
    }

    fn exponential(&self) -> ExponentialBuilder {
        // The builder's own arithmetic does not bear durations near the maximum.
        let (first, longest) = (self.initial_delay.min(LONGEST), self.max_delay.min(LONGEST));
        ExponentialBuilder::default().with_min_delay(first).with_max_delay(longest).with_jitter()
    }
}

/// The pause before the next attempt: what the server asked for, if it did, and a little more, so that not all of its
/// clients come back at the same moment.
pub(crate) fn pause(own: Duration, error: &Error) -> Duration {
    match error.retry_delay() {
        Some(asked) if asked > own => asked.saturating_add(own.min(asked / 4)),
        _ => own,
    }
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    fn asking_for(delay: Duration) -> Error {
        let details = ErrorDetails::with_retry_info(Some(delay));
        Error::from(Status::with_error_details(Code::Unavailable, "x", details))
    }

    #[test]
    fn a_request_is_sent_at_most_max_attempts_times() {
        assert_eq!(RetryPolicy::default().delays().count(), 4);
        assert_eq!(RetryPolicy { max_attempts: 1, ..RetryPolicy::default() }.delays().count(), 0);
        assert_eq!(RetryPolicy { max_attempts: 0, ..RetryPolicy::default() }.delays().count(), 0);
    }

    #[test]
    fn pauses_grow() {
        let delays: Vec<Duration> = RetryPolicy::default().delays().collect();
        // The jitter is less than the pause itself, so every other one is longer for sure.
        assert!(delays[2] > delays[0] && delays[3] > delays[1], "{delays:?}");
    }

    #[test]
    fn the_pauses_of_a_watch_do_not_end_and_stay_bounded() {
        let policy = RetryPolicy::default();
        let late = policy.endless_delays().nth(500).unwrap();
        assert!(late >= policy.max_delay && late <= policy.max_delay * 2, "{late:?}");
    }

    #[test]
    fn endless_pauses_do_not_overflow() {
        let policy = RetryPolicy { max_attempts: 3, initial_delay: Duration::MAX, max_delay: Duration::MAX };
        assert!(policy.delays().all(|delay| delay <= 2 * LONGEST));
    }

    #[test]
    fn a_longer_retry_info_is_waited_for() {
        let pause = pause(Duration::from_millis(100), &asking_for(Duration::from_secs(2)));
        assert_eq!(pause, Duration::from_millis(2100));
    }

    #[test]
    fn a_shorter_retry_info_does_not_shorten_the_pause() {
        assert_eq!(pause(Duration::from_secs(5), &asking_for(Duration::from_secs(1))), Duration::from_secs(5));
    }

    #[test]
    fn an_endless_retry_info_does_not_overflow() {
        assert!(pause(Duration::from_secs(1), &asking_for(Duration::MAX)) > Duration::from_secs(1));
    }
}
