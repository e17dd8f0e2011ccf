//! Whether a call is let in: what all limits say together.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use opentelemetry::metrics::Meter;

use super::LimitOptions;
use super::class::PerClass;
use super::concurrency::{Concurrency, Place};
use super::load::Load;
use super::metrics::Metrics;
use super::permit::{Admission, Held, UserKey};
use super::rate::Rate;
use super::side::{SidePlace, SideStreams};
use super::time::Time;
use crate::caller::Caller;
use crate::error::Error;
use crate::standing::Standing;
use crate::telemetry::methods::{self, Class, Method};

/// Kubernetes' name for who has not shown who they are.
const ANONYMOUS: &str = "system:anonymous";

/// What is not in the contract is answered at once, but may not be sent without end.
const UNKNOWN: Method = Method { class: Class::Read, streams: false, waits: false };

/// All limits.
pub(super) struct Limits {
    users: PerClass<UserLimits>,
    load: Load,
    side: SideStreams,
    hashes: RandomState,
    metrics: Metrics,
}

/// The limits of each user.
struct UserLimits {
    rate: Option<Rate>,
    concurrency: Option<Concurrency>,
}

impl Limits {
    /// These limits, by this clock, counted by this meter.
    pub fn new(options: &LimitOptions, time: &Time, meter: &Meter) -> Self {
        let user_limits = |rate, burst, concurrency| UserLimits {
            rate: Rate::new(rate, burst, time.clone()),
            concurrency: Concurrency::new(concurrency),
        };
        let load = Load::new(options.max_calls, options.max_streams);
        Self {
            users: PerClass {
                reads: user_limits(options.read_rate, options.read_burst, options.read_concurrency),
                watches: user_limits(options.watch_rate, options.watch_burst, options.watch_concurrency),
                mutations: user_limits(options.mutation_rate, options.mutation_burst, options.mutation_concurrency),
            },
            side: SideStreams::new(),
            hashes: RandomState::new(),
            metrics: Metrics::new(meter, &load),
            load,
        }
    }

    /// Lets a call to `path` in, which came on this connection, or says why not. Callers who are not known count as one user;
    /// the server itself is bound only by what it can do.
    pub fn admit(&self, path: &str, caller: Option<&Caller>, standing: Option<&Standing>) -> Result<Admission, Error> {
        let method = methods::lookup(path.trim_start_matches('/')).map_or(UNKNOWN, |(_, method)| method);
        let admitted = self.enter_aside(method, standing).and_then(|side| match self.users.get(method.class) {
            Some((class, limits)) => self.enter(limits, class, method, caller, side),
            None => {
                let permit = side.map(|side| Held { user: None, load: None, side: Some(side) }.into());
                Ok(Admission { permit, ..Admission::default() })
            }
        });
        admitted.inspect_err(|error| self.metrics.refused(error))
    }

    /// The place of a stream that is none of the contract's.
    fn enter_aside(&self, method: Method, standing: Option<&Standing>) -> Result<Option<SidePlace>, Error> {
        let Some(standing) = standing.filter(|_| method.streams && method.is_aside()) else { return Ok(None) };
        let entered = self.side.enter(standing, self.hashes.hash_one(standing.network()));
        let refused = |limit| Error::Overloaded { class: "side streams", limit, retry_after: soon() };
        entered.map(Some).map_err(refused)
    }

    /// The user's own limits come first: who is over them takes no place from others even for a moment. A call that is then
    /// refused because of the load has counted for its user's rate, which only makes them slower to try again.
    fn enter(
        &self,
        limits: &UserLimits,
        class: &'static str,
        method: Method,
        caller: Option<&Caller>,
        side: Option<SidePlace>,
    ) -> Result<Admission, Error> {
        let user = match caller {
            Some(Caller::Server) => None,
            Some(Caller::User(principal)) => self.enter_as(limits, class, &principal.username)?,
            None => self.enter_as(limits, class, ANONYMOUS)?,
        };
        let overloaded = |limit| Error::Overloaded { class, limit, retry_after: soon() };
        let call = || self.load.call(method.class).ok_or_else(|| overloaded("calls"));
        let stream = || self.load.stream().ok_or_else(|| overloaded("streams"));
        let (load, opening) = match method {
            // It has next to nothing to do until it is answered.
            Method { waits: true, .. } => (stream()?, None),
            Method { streams: true, .. } => {
                let call = call()?;
                (stream()?, Some(call))
            }
            _ => (call()?, None),
        };
        let permit = Some(Held { user, load: Some(load), side }.into());
        Ok(Admission { permit, opening, outlives_caller: method.mutates() })
    }

    /// The user's place. The rate comes last: a call that finds no place does not count for it.
    fn enter_as(&self, limits: &UserLimits, class: &'static str, user: &str) -> Result<Option<Place>, Error> {
        let key = UserKey::from(self.hashes.hash_one(user));
        let refused = |limit, allowed: &str, retry_after| {
            let [user, allowed] = [user, allowed].map(str::to_owned);
            Error::RateLimited { user, class, limit, allowed, retry_after }
        };
        let place = match &limits.concurrency {
            Some(concurrency) => Some(concurrency.enter(key).ok_or_else(|| {
                // Nobody knows when a call in progress ends.
                refused("concurrency", &concurrency.allowed(), soon())
            })?),
            None => None,
        };
        if let Some(rate) = &limits.rate {
            rate.check(key).map_err(|wait| refused("rate", rate.allowed(), wait))?;
        }
        Ok(place)
    }

    /// How many users are remembered, in all classes together.
    #[cfg(test)]
    pub fn known_users(&self) -> usize {
        let PerClass { reads, watches, mutations } = &self.users;
        let known = |limits: &UserLimits| {
            limits.rate.as_ref().map_or(0, Rate::known) + limits.concurrency.as_ref().map_or(0, Concurrency::known)
        };
        [reads, watches, mutations].into_iter().map(known).sum()
    }
}

/// When to try again what there will be room for nobody knows when: not all at the same moment.
fn soon() -> Duration {
    Duration::from_millis(rand::random_range(1000..2000))
}
