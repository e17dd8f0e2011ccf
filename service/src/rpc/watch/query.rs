//! The request of a watch, understood.

use std::time::Duration;

use nodeward_api::v1;

use crate::cluster::store::Store;
use crate::cluster::store::cursor::{Cursor, Interest};
use crate::error::Error;
use crate::node::query::{Selection, parse_cached_read_mask};
use crate::node::token::ResumeToken;
use crate::node::{Violation, Violations};

const DEFAULT_BOOKMARK_INTERVAL: Duration = Duration::from_secs(30);

/// What a watch is about, and how often it says that it is alive.
pub(super) struct Query {
    interest: Interest,
    pub(super) bookmark_interval: Duration,
}

impl Query {
    pub(super) fn parse(request: &v1::WatchNodesRequest) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        let selection = violations.take(Selection::parse(&request.filter, &request.label_selector));
        let mask = violations.take(parse_cached_read_mask(request.read_mask.as_ref()));
        let bookmark_interval = violations.take(bookmark_interval(request.bookmark_interval.as_ref()));
        if request.skip_snapshot && !request.resume_token.is_empty() {
            violations.add("skip_snapshot", "must not be set together with resume_token: a resumed watch goes on");
        }
        match (selection, mask, bookmark_interval) {
            (Some(selection), Some(mask), Some(bookmark_interval)) if violations.0.is_empty() => {
                Ok(Self { interest: Interest::new(selection, mask), bookmark_interval })
            }
            _ => Err(violations),
        }
    }

    /// Where the watch begins.
    pub(super) fn cursor(self, store: Store, request: &v1::WatchNodesRequest) -> Result<Cursor, Error> {
        match request.resume_token.as_str() {
            "" if request.skip_snapshot => Ok(Cursor::at_the_end(store, self.interest)),
            "" => Ok(Cursor::at_the_beginning(store, self.interest)),
            token => {
                let token = ResumeToken::decode(token, self.interest.query()).ok_or(Error::InvalidResumeToken)?;
                Cursor::resume(store, self.interest, token)
            }
        }
    }
}

pub(in crate::rpc) fn bookmark_interval(interval: Option<&prost_types::Duration>) -> Result<Duration, Violation> {
    let Some(interval) = interval else { return Ok(DEFAULT_BOOKMARK_INTERVAL) };
    let allowed = Duration::from_secs(1)..=Duration::from_secs(600);
    let interval = Duration::try_from(*interval).ok().filter(|interval| allowed.contains(interval));
    interval.ok_or_else(|| Violation::new("bookmark_interval", "must be from 1 s to 10 min"))
}
