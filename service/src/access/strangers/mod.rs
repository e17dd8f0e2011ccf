//! How much those can make the server ask Kubernetes who have not shown yet that anybody knows them.
//!
//! It promises that
//! - there are never more than some questions about tokens at a time, whoever sends them,
//! - a network whose tokens are no good is soon asked about no further, but for connections that have shown nothing bad,
//! - tokens that were good a while ago are asked about apart from all others: no attacker keeps those out who have them,
//! - what is remembered is bounded.

mod failures;
#[cfg(test)]
mod tests;

use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use self::failures::Failures;
use super::limit::{Time, refused};
use crate::error::Error;
use crate::standing::Standing;
use crate::telemetry::{self, Refusals};

/// Questions at a time about tokens that nobody has vouched for, and as many about others.
const PLACES: usize = 64;

/// How long a stranger's question waits for a place.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a token is remembered that was good.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// How many of these, and how many that are not good, are remembered.
const MOST_TOKENS: u64 = 10_000;

/// The hash of a token.
pub(super) type Hash = [u8; 32];

/// What is remembered of tokens and networks, and the questions that are being asked.
pub(super) struct Strangers {
    /// Places of questions about tokens that were good a while ago.
    for_known: Semaphore,
    /// Places of all other questions.
    for_others: Semaphore,
    /// Tokens that were good a while ago.
    were_good: Cache<Hash, ()>,
    failures: Failures,
    refusals: Refusals,
}

/// A question that may be asked. Unless it turns out otherwise, the token is no good: whoever gives up before the answer is
/// there has still had the question asked.
pub(super) struct Question<'a> {
    _place: SemaphorePermit<'a>,
    doubt: Option<Doubt<'a>>,
    hash: Hash,
    strangers: &'a Strangers,
}

/// What counts against a connection and its network.
struct Doubt<'a> {
    failures: &'a Failures,
    standing: Standing,
    /// Whether it counts against the network.
    is_counted: bool,
}

impl Strangers {
    pub(super) fn new(time: Time) -> Self {
        Self {
            for_known: Semaphore::new(PLACES),
            for_others: Semaphore::new(PLACES),
            were_good: Cache::builder().max_capacity(MOST_TOKENS).time_to_live(REMEMBERED).build(),
            failures: Failures::new(time),
            refusals: Refusals::new(&telemetry::meter()),
        }
    }

    /// Waits until it may be asked whose token this is, which was shown on this connection; on none, if it is that of a stream
    /// that is open.
    pub(super) async fn question(
        &self,
        hash: Hash,
        standing: Option<&Standing>,
        deadline: Instant,
    ) -> Result<Question<'_>, Error> {
        let is_known = standing.is_none() || self.were_good.contains_key(&hash);
        let asked = self.admit(hash, standing.filter(|_| !is_known), deadline).await;
        asked.inspect_err(|error| refused(&self.refusals, error))
    }

    async fn admit(&self, hash: Hash, stranger: Option<&Standing>, deadline: Instant) -> Result<Question<'_>, Error> {
        let doubt = stranger.map(|standing| self.doubt(standing)).transpose()?;
        let (places, until) = match doubt {
            Some(_) => (&self.for_others, deadline.min(Instant::now() + PATIENCE)),
            None => (&self.for_known, deadline),
        };
        match timeout_at(until, places.acquire()).await {
            Ok(Ok(place)) => Ok(Question { _place: place, doubt, hash, strangers: self }),
            _ => {
                // Nothing was asked.
                doubt.iter().for_each(Doubt::clear);
                Err(Error::AuthenticationOverloaded { limit: "questions", retry_after: Duration::from_secs(1) })
            }
        }
    }

    fn doubt(&self, standing: &Standing) -> Result<Doubt<'_>, Error> {
        let is_first = standing.doubt();
        let counted = self.failures.count(standing.network());
        let doubt = Doubt { failures: &self.failures, standing: standing.clone(), is_counted: counted.is_ok() };
        match counted {
            // A connection with nothing against it: perhaps an honest neighbour of an attacker.
            Err(retry_after) if !is_first => {
                doubt.clear();
                Err(Error::AuthenticationOverloaded { limit: "failures", retry_after })
            }
            _ => Ok(doubt),
        }
    }
}

impl Question<'_> {
    /// The token is good.
    pub(super) fn was_good(self) {
        self.strangers.were_good.insert(self.hash, ());
        self.was_not_answered();
    }

    /// The token is not good.
    pub(super) fn was_bad(self) {
        self.strangers.were_good.invalidate(&self.hash);
    }

    /// Kubernetes has not answered, for which its bearer can do nothing.
    pub(super) fn was_not_answered(self) {
        self.doubt.iter().for_each(Doubt::clear);
    }
}

impl Doubt<'_> {
    fn clear(&self) {
        if self.is_counted {
            self.failures.take_back(self.standing.network());
        }
        self.standing.trust();
    }
}
