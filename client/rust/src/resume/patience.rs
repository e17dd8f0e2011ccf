//! How long whoever follows something waits for the server.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use crate::error::Error;

/// The longest that a server which is alive takes to accept a stream, however rare its messages are.
const LONGEST_ANSWER: Duration = Duration::from_secs(90);

/// What is borne.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The longest silence of a stream that is alive.
    longest_silence: Duration,
    /// By when it must have begun. None when it has, or if it may take as long as it takes.
    begin_by: Option<Instant>,
}

impl Patience {
    /// With a stream that has a bookmark so often, and must have begun within this time. Three bookmarks missed are too many.
    pub(crate) fn of(bookmark_interval: Duration, begin_within: Option<Duration>) -> Self {
        Self::with_silence(bookmark_interval.max(Duration::from_secs(1)).saturating_mul(3), begin_within)
    }

    /// With a stream that is never silent for longer, and must have begun within this time.
    pub(crate) fn with_silence(longest_silence: Duration, begin_within: Option<Duration>) -> Self {
        let begin_by = begin_within.and_then(|time| Instant::now().checked_add(time));
        Self { longest_silence, begin_by }
    }

    /// It has begun.
    pub(crate) fn has_begun(&mut self) {
        self.begin_by = None;
    }

    /// Waits for something that a server which is alive does soon.
    pub(crate) async fn wait<T>(self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        // A dead server behind a proxy that is alive goes unnoticed by the keepalives of the connection: bookmarks are its
        // sign of life.
        let silence = || Error::unavailable(format!("the server was silent for {:?}", self.longest_silence));
        let work = timeout(self.longest_silence, work);
        let done = match self.begin_by {
            Some(by) => timeout_at(by, work).await.map_err(|_| Self::over())?,
            None => work.await,
        };
        done.unwrap_or_else(|_| Err(silence()))
    }

    /// Waits for a stream to be accepted.
    pub(crate) async fn wait_to_open<T>(mut self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.longest_silence = self.longest_silence.min(LONGEST_ANSWER);
        self.wait(work).await
    }

    /// Whether a pause leaves time to begin.
    pub(crate) fn bears(self, pause: Duration) -> bool {
        self.begin_by.is_none_or(|by| by.saturating_duration_since(Instant::now()) > pause)
    }

    /// That it has not begun in time.
    pub(crate) fn over() -> Error {
        Error::deadline("the server did not begin the watch in time")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_missed_bookmarks_are_a_dead_stream() {
        let silence = |interval| Patience::of(Duration::from_secs(interval), None).longest_silence;
        assert_eq!([silence(0), silence(5), silence(30)], [3, 15, 90].map(Duration::from_secs));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_not_accepted_is_dead_sooner_than_one_that_is_silent() {
        let patience = Patience::with_silence(Duration::from_secs(600), None);
        let began = Instant::now();
        assert!(patience.wait_to_open(std::future::pending::<Result<(), Error>>()).await.is_err());
        assert_eq!(began.elapsed(), LONGEST_ANSWER);
    }
}
