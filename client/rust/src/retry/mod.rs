//! When a request is sent again: the retries of gRPC (gRFC A6), for [`Error::is_retryable`] alone.

mod throttle;

use std::time::Duration;

use tonic::metadata::MetadataMap;

use crate::error::Error;

pub(crate) use throttle::Throttle;

/// The request metadata that tells the server how often the request was sent before.
pub(crate) const PREVIOUS_ATTEMPTS: &str = "grpc-previous-rpc-attempts";

/// The response metadata in which the server says when the request may be sent again.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// No pause of our own is longer, whatever the policy says.
const LONGEST: Duration = Duration::from_secs(3600);

/// How often and how soon a request is sent again that the server, or the way to it, was not available for, or that the
/// server has put off because too much is sent.
///
/// The rules are those of gRPC ([gRFC A6](https://github.com/grpc/proposal/blob/master/A6-client-retries.md)):
/// - The pauses double from one attempt to the next, and each is 0.8 to 1.2 times that, so that not all clients come back
///   at the same moment.
/// - The server has the last word: a pause is never shorter than its `google.rpc.RetryInfo` asks for, and exactly as long
///   as its `grpc-retry-pushback-ms` says, which can also forbid to try again.
/// - A pause that would pass the deadline is not begun: the error is returned at once.
/// - While many requests fail, none is sent again ([`max_tokens`](Self::max_tokens)).
/// - The server is told the number of the attempt (`grpc-previous-rpc-attempts`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most times a request is sent, the first one included. 1 turns retries off.
    pub max_attempts: usize,
    /// The first pause, before it is varied.
    pub initial_delay: Duration,
    /// The longest pause, unless the server asks for a longer one. A watch, which tries for ever, ends up at it.
    pub max_delay: Duration,
    /// How many attempts may fail before the client, and all that was cloned from it, stops to send requests again: it has
    /// so many tokens, a failure costs one, a success earns a tenth of one, and only while it has more than half of them is
    /// a request sent again. 0 turns that off. Watches are not throttled.
    pub max_tokens: u16,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            initial_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(5),
            max_tokens: 10,
        }
    }
}

impl RetryPolicy {
    /// The pauses between the attempts of one request.
    pub(crate) fn delays(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        self.endless_delays().take(self.max_attempts.saturating_sub(1))
    }

    /// The pauses between the attempts of a watch, without end.
    pub(crate) fn endless_delays(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let longest = self.max_delay.min(LONGEST);
        let backoffs = std::iter::successors(Some(self.initial_delay), |last| Some(last.saturating_mul(2)));
        backoffs.map(move |backoff| varied(backoff.min(longest)).min(longest))
    }
}

fn varied(backoff: Duration) -> Duration {
    backoff.mul_f64(0.8 + 0.4 * fastrand::f64())
}

/// What the server says about sending a request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushback {
    /// After exactly this time.
    After(Duration),
    /// Not at all.
    Never,
}

impl Pushback {
    /// What the trailers say. A value that is no number is meant to stop the client too.
    pub(crate) fn of(trailers: &MetadataMap) -> Option<Self> {
        let value = trailers.get(PUSHBACK)?;
        let millis = value.to_str().ok().and_then(|text| text.parse().ok());
        Some(millis.map_or(Self::Never, |millis| Self::After(Duration::from_millis(millis))))
    }
}

/// The pause before the next attempt; none if the server wants none. It is at least what the server asked for, and then a
/// little more, so that not all of its clients come back at the same moment.
pub(crate) fn pause(own: Duration, error: &Error) -> Option<Duration> {
    match (error.pushback(), error.retry_delay()) {
        (Some(Pushback::Never), _) => None,
        (Some(Pushback::After(delay)), _) => Some(delay),
        (None, Some(asked)) if asked > own => Some(asked.saturating_add(own.min(asked / 4))),
        (None, _) => Some(own),
    }
}

#[cfg(test)]
mod tests;
