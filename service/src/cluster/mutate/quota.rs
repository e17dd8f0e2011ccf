//! How many requests the ledger remembers, of each user and of all: each is an object in Kubernetes for a day, and whoever
//! may delete nodes can send any number of them.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use crate::error::Error;

/// How many creations and deletions are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
#[command(next_help_heading = "Cluster")]
pub struct LedgerOptions {
    /// How many creations and deletions with a request id are remembered of each user. They are forgotten after a day;
    /// further ones are refused until then, unless they come without a request id. 0 is no limit
    #[arg(
        long = "remembered-requests-per-user",
        env = "NODEWARD_REMEMBERED_REQUESTS_PER_USER",
        value_name = "COUNT",
        default_value_t = Self::default().of_user
    )]
    pub of_user: u32,

    /// How many creations and deletions with a request id are remembered of all users. Each is a ConfigMap in the server's
    /// namespace; a ResourceQuota there must leave room for them. 0 is no limit
    #[arg(
        long = "remembered-requests",
        env = "NODEWARD_REMEMBERED_REQUESTS",
        value_name = "COUNT",
        default_value_t = Self::default().of_all
    )]
    pub of_all: u32,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self { of_user: 5_000, of_all: 20_000 }
    }
}

/// What the ledger remembers.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) of_user: Count,
    pub(super) of_all: Count,
}

/// How many requests, and since when the oldest is remembered.
#[derive(Debug, Default)]
pub(super) struct Count {
    requests: usize,
    oldest: Option<Timestamp>,
}

impl Count {
    /// One more, which was noted then.
    pub(super) fn add(&mut self, noted: Timestamp) {
        self.requests += 1;
        self.oldest = Some(self.oldest.map_or(noted, |oldest| oldest.min(noted)));
    }
}

impl Usage {
    /// Refuses one more request of this user if there are enough. Each is remembered for so long.
    pub(super) fn refuse_excess(&self, limits: LedgerOptions, user: &str, remembered: Duration) -> Result<(), Error> {
        let bounds = [("user", &self.of_user, limits.of_user), ("server", &self.of_all, limits.of_all)];
        let full = bounds.into_iter().find(|(_, count, most)| *most > 0 && count.requests >= *most as usize);
        let Some((limit, count, most)) = full else { return Ok(()) };
        let age = count.oldest.and_then(|oldest| Duration::try_from(Timestamp::now().duration_since(oldest)).ok());
        let retry_after = remembered.saturating_sub(age.unwrap_or_default()).max(Duration::from_secs(1));
        Err(Error::LedgerFull { user: user.to_owned(), limit, allowed: most, retry_after })
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn usage(of_user: usize, of_others: usize) -> Usage {
        let mut usage = Usage::default();
        for hours in 0..of_user {
            let noted = Timestamp::now() - i64::try_from(hours).unwrap().hours();
            usage.of_user.add(noted);
            usage.of_all.add(noted);
        }
        for _ in 0..of_others {
            usage.of_all.add(Timestamp::now());
        }
        usage
    }

    fn refused(usage: &Usage) -> Option<(&'static str, Duration)> {
        let limits = LedgerOptions { of_user: 3, of_all: 5 };
        match usage.refuse_excess(limits, "alice", DAY) {
            Ok(()) => None,
            Err(Error::LedgerFull { limit, retry_after, .. }) => Some((limit, retry_after)),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_user_who_has_enough_is_told_when_the_oldest_is_forgotten() {
        assert_eq!(refused(&usage(2, 0)), None);
        let (limit, retry_after) = refused(&usage(3, 0)).unwrap();
        assert_eq!(limit, "user");
        assert_eq!(retry_after.as_secs().div_ceil(3600), 22);
    }

    #[test]
    fn all_users_together_have_so_many() {
        assert_eq!(refused(&usage(0, 4)), None);
        assert_eq!(refused(&usage(0, 5)).unwrap().0, "server");
    }

    #[test]
    fn zero_is_no_limit() {
        usage(10, 10).refuse_excess(LedgerOptions { of_user: 0, of_all: 0 }, "alice", DAY).unwrap();
    }
}
