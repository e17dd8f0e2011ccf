//! Leadership by a Lease (coordination.k8s.io/v1): of all servers, one at a time does what must be done by one.
//!
//! The rules are those of client-go's leaderelection: the holder renews the lease every few seconds; who wants it takes it when
//! it has not changed for as long as its holder claimed it. Beyond client-go it promises:
//!
//! - every term has an epoch of its own, greater than all before it, also if the same server holds the lease again. Only
//!   a server that has just started can't know what epochs there were in a lease that was deleted before: whoever keeps
//!   epochs elsewhere tells it (`pass_over`),
//! - a term is valid only until a deadline that is counted from the moment at which the last renewal was *sent*, well before
//!   anybody else may take the lease. It is checked against the monotonic clock, so a process that was stopped for a while
//!   finds its term over as soon as it runs again,
//! - a term that is over stays over, whatever answer still comes.
//!
//! Clocks of different servers are never compared: another's lease is over when this server has seen no change of it for long
//! enough. What a step must still guard against is the time between its check and its effect: writes carry the version of what
//! was read.

mod candidate;
mod record;
mod renewal;
mod term;
#[cfg(test)]
mod tests;

use std::time::Duration;

use kube::Client;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use self::candidate::{Candidate, Decision};
use self::record::{Record, Write};

pub use term::Term;

/// The times of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTiming {
    /// For how long the holder claims it: nobody else takes it before. In whole seconds; what is more is rounded up.
    pub duration: Duration,
    /// For how long a term is valid after the last renewal was sent. It must be shorter.
    pub renew_deadline: Duration,
    /// How often it is renewed, and the longest pause before somebody who waits for it looks again. It must be much shorter.
    pub retry: Duration,
}

impl Default for LeaseTiming {
    /// As client-go has them.
    fn default() -> Self {
        let [duration, renew_deadline, retry] = [15, 10, 2].map(Duration::from_secs);
        Self { duration, renew_deadline, retry }
    }
}

impl LeaseTiming {
    /// How long one request may take: there must be time for another one.
    fn patience(&self) -> Duration {
        self.renew_deadline / 3
    }

    /// The pause before somebody who waits looks again: shorter than `retry`, and differently each time, because there may be
    /// several who wait.
    fn pause(&self) -> Duration {
        self.retry.mul_f64(rand::random_range(0.4..0.8))
    }
}

/// Somebody who wants to hold a lease.
#[derive(Debug)]
pub struct Elector {
    record: Record,
    timing: LeaseTiming,
    candidate: Candidate,
    /// The last term that this one had.
    term: Option<Term>,
}

impl Elector {
    /// One that wants the lease of this name. `who` is for people who look at it: the holder is known by a name that is unique.
    pub(super) fn new(client: Client, namespace: &str, lease: &str, who: &str, timing: LeaseTiming) -> Self {
        let holder = format!("{who}_{}", Uuid::new_v4());
        Self {
            candidate: Candidate::new(&holder, timing.duration),
            record: Record::new(client, namespace, lease, holder, timing.duration),
            timing,
            term: None,
        }
    }

    /// The name by which the lease knows this one.
    pub fn holder(&self) -> &str {
        self.record.holder()
    }

    /// Lets the next terms have epochs beyond this one, which was found in what was written in an earlier term.
    pub fn pass_over(&mut self, epoch: u32) {
        self.candidate.pass_over(epoch);
    }

    /// Waits until this one holds the lease, however long that takes. An earlier term of it is over then. It must be called
    /// within a tokio runtime, where the lease is renewed from then on.
    pub async fn acquire(&mut self) -> Leadership {
        if let Some(term) = self.term.take() {
            term.end();
        }
        loop {
            match timeout(self.timing.patience(), Box::pin(self.try_acquire())).await {
                Ok(Ok(Some(leadership))) => return leadership,
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::warn!(%error, lease = self.record.name(), "the lease can't be acquired"),
                Err(_) => tracing::warn!(lease = self.record.name(), "Kubernetes does not answer for the lease"),
            }
            sleep(self.timing.pause()).await;
        }
    }

    async fn try_acquire(&mut self) -> kube::Result<Option<Leadership>> {
        let lease = self.record.get().await?;
        let spec = lease.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let Decision::Take { epoch } = self.candidate.observe(spec.as_ref(), Instant::now()) else { return Ok(None) };
        let sent = Instant::now();
        match self.record.take(lease, epoch).await? {
            Write::Done(lease) => {
                let term = Term::new(epoch, sent + self.timing.renew_deadline);
                tracing::info!(epoch, lease = self.record.name(), "this server holds the lease");
                self.term = Some(term.clone());
                let renewal = renewal::keep(self.record.clone(), self.timing, term.clone(), *lease);
                let renewal = AbortOnDropHandle::new(tokio::spawn(renewal));
                Ok(Some(Leadership { term, record: self.record.clone(), timing: self.timing, renewal: Some(renewal) }))
            }
            Write::Overtaken => Ok(None),
        }
    }
}

/// A lease that is held. Dropping it ends the term, but leaves the lease to itself: others take it when its time is over.
#[derive(Debug)]
pub struct Leadership {
    term: Term,
    record: Record,
    timing: LeaseTiming,
    renewal: Option<AbortOnDropHandle<()>>,
}

impl Leadership {
    /// The term.
    pub fn term(&self) -> &Term {
        &self.term
    }

    /// Gives the lease up, so that the next one can take it at once. All that is done in this term must have ended.
    pub async fn release(mut self) {
        self.term.end();
        // It must not write any more.
        if let Some(renewal) = self.renewal.take() {
            renewal.abort();
            let _ = renewal.await;
        }
        match timeout(self.timing.patience(), Box::pin(self.record.release(self.term.epoch()))).await {
            Ok(Ok(())) => tracing::info!(epoch = self.term.epoch(), "the lease is given up"),
            Ok(Err(error)) => tracing::warn!(%error, "the lease can't be given up: others wait until its time is over"),
            Err(_) => tracing::warn!("Kubernetes does not answer for the lease: others wait until its time is over"),
        }
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.term.end();
    }
}
