//! What is written down of a drain: the status of its operation.
//!
//! Each write carries the version that was read or written last, and is sent only while the term lasts. A server that has been
//! replaced finds it out by either, and stops. What was written is known to have been written: a write is tried again until
//! Kubernetes has answered.

#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::Context as _;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use kube::ResourceExt as _;
use tokio::time::{Instant, sleep_until};

use super::happening::Happening;
use super::trail::{Trail, Trails};
use super::{Cancel, Cordon, NodeOperation, OperationSpec, OperationStatus, State};
use crate::cluster::Cluster;
use crate::cluster::lease::Term;
use crate::cluster::observe::View;
use crate::error::Error;

/// How long a request to Kubernetes may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// The shortest time between two writes.
const QUIET: Duration = Duration::from_millis(100);

/// The longest pause before what failed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// The status of an operation, held by the server that carries it out.
pub(super) struct Journal {
    cluster: Cluster,
    /// As it was last read or written.
    operation: NodeOperation,
    operations: View<NodeOperation>,
    /// What was last seen of it besides.
    seen: Option<Option<Cancel>>,
    term: Term,
    trail: Trail,
    /// When it was last written.
    written: Option<Instant>,
}

impl Journal {
    /// Reads the operation of this name, as it is now: what a watch has brought may be behind. None if it is gone or has ended.
    ///
    /// # Errors
    /// The term is over, or it can't be read for a reason that does not pass.
    pub async fn open(
        cluster: Cluster,
        trails: &Trails,
        name: &str,
        operations: View<NodeOperation>,
        term: Term,
    ) -> anyhow::Result<Option<Self>> {
        let read = |deadline| cluster.operations().get(name, deadline);
        let Some(operation) = patiently(&term, read).await? else { return Ok(None) };
        if operation.status.as_ref().is_some_and(|status| status.state.is_final()) {
            return Ok(None);
        }
        let trail = trails.of(&operation, &term);
        Ok(Some(Self { cluster, operation, operations, seen: None, term, trail, written: None }))
    }

    /// Writes down that this server carries it out from now on. Whoever did before can't write any more.
    pub async fn begin(&mut self, holder: &str) -> anyhow::Result<()> {
        let is_resumed = self.status().start_time.is_some();
        loop {
            let mut status = self.status();
            let (epoch, now) = (i64::from(self.term.epoch()), Timestamp::now());
            anyhow::ensure!(status.term <= epoch, "a server of a later term carries it out");
            (status.holder, status.term) = (holder.to_owned(), epoch);
            status.start_time = status.start_time.or(Some(now));
            if status.trace_id.is_empty() {
                status.trace_id = self.trail.trace_id().to_owned();
            }
            if status.state == State::Pending {
                status.enter(State::Running, "", now);
            }
            match self.write(status).await {
                // The one before has written once more before it found out.
                Err(error) if error.is::<Overtaken>() && self.reread().await? => {}
                written => {
                    written?;
                    self.trail.tell(Happening::Begun { is_resumed }).await?;
                    return Ok(());
                }
            }
        }
    }

    /// What is to be done.
    pub fn spec(&self) -> &OperationSpec {
        &self.operation.spec
    }

    /// The name of the operation.
    pub fn name(&self) -> String {
        self.operation.name_any()
    }

    /// All operations, as the watch has them.
    pub fn operations(&self) -> View<NodeOperation> {
        self.operations.clone()
    }

    /// The trail of what happens.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// What is written down.
    pub fn status(&self) -> OperationStatus {
        self.operation.status.clone().unwrap_or_default()
    }

    /// What is written down of the cordon.
    pub fn cordon(&self) -> Cordon {
        self.operation.status.as_ref().map(|status| status.cordon.clone()).unwrap_or_default()
    }

    /// Sees whether somebody has asked for its end.
    ///
    /// # Errors
    /// Somebody has deleted it.
    pub fn look(&mut self) -> anyhow::Result<()> {
        self.seen = self.in_view();
        // Before it has been seen it may only not have come yet.
        let is_deleted = self.written.is_some_and(|written| written.elapsed() > PATIENCE) && self.seen.is_none();
        anyhow::ensure!(!is_deleted, "the operation was deleted");
        Ok(())
    }

    /// That it is to end, if that was seen.
    pub fn cancel(&self) -> Option<&Cancel> {
        self.seen.as_ref().and_then(Option::as_ref).or(self.operation.spec.cancel.as_ref())
    }

    /// Whether somebody has asked for its end by now, whether that was looked at or not.
    pub fn is_cancelled(&self) -> bool {
        self.cancel().is_some() || self.in_view().flatten().is_some()
    }

    /// Waits until there is something new to see. How far it has come is none.
    pub async fn changed(&mut self) {
        while self.in_view() == self.seen {
            self.operations.changed().await;
        }
    }

    /// That it is to end, as the watch has it. None if there is no such operation.
    fn in_view(&self) -> Option<Option<Cancel>> {
        self.operations.get("", &self.name()).map(|operation| operation.spec.cancel.clone())
    }

    /// Before when the next write is not to be made.
    pub fn quiet_until(&self) -> Option<Instant> {
        self.written.map(|written| written + QUIET)
    }

    /// Writes this down, if it differs from what is written down already.
    ///
    /// # Errors
    /// The term is over, or somebody else has written it: an [`Overtaken`].
    pub async fn write(&mut self, after: OperationStatus) -> anyhow::Result<()> {
        let before = self.operation.status.clone();
        if before.as_ref() == Some(&after) {
            return Ok(());
        }
        let mut pauses = pauses();
        let mut next = NodeOperation { status: Some(after), ..self.operation.clone() };
        self.operation = loop {
            let deadline = deadline(&self.term)?;
            match self.cluster.operations().write_status(&next, deadline).await {
                Ok(Some(written)) => break written,
                Ok(None) => {
                    // Somebody who wants it to end has written that down, or this write arrived before and its answer did not.
                    // Otherwise another server has taken it over.
                    let now = self.read().await?;
                    if now.status == next.status {
                        break now;
                    }
                    anyhow::ensure!(now.status == before, Overtaken);
                    next = NodeOperation { status: next.status, ..now };
                }
                Err(error) if passes(&error) => pause(&self.term, &mut pauses, &error).await,
                Err(error) => return Err(error.into()),
            }
        };
        self.written = Some(Instant::now());
        self.tell_news(&before.unwrap_or_default()).await;
        Ok(())
    }

    /// What is written down is told. That it can't be noted undoes nothing.
    async fn tell_news(&self, before: &OperationStatus) {
        let status = &self.status();
        self.trail.sees(status);
        let cordon = &status.cordon;
        let mut news = Vec::new();
        if cordon.sequence != before.cordon.sequence {
            news.push(Happening::CordonChanged { state: cordon.state, manager: &cordon.manager });
        }
        if status.state_sequence != before.state_sequence {
            news.push(match status.state.is_final() {
                true => Happening::Ended { status },
                false => Happening::StateChanged { status },
            });
        }
        for happening in news {
            if let Err(error) = self.trail.tell(happening).await {
                tracing::warn!(%error, operation = self.name(), "what happened in a drain can't be noted");
            }
        }
    }

    /// Takes in what another has written. Whether it has not ended.
    async fn reread(&mut self) -> anyhow::Result<bool> {
        self.operation = self.read().await?;
        Ok(!self.status().state.is_final())
    }

    async fn read(&self) -> anyhow::Result<NodeOperation> {
        let name = self.name();
        let read = |deadline| self.cluster.operations().get(&name, deadline);
        patiently(&self.term, read).await?.context("the operation was deleted")
    }
}

/// Another server has written the status.
#[derive(Debug, thiserror::Error)]
#[error("another server carries it out by now")]
pub(super) struct Overtaken;

/// Nobody wants it done any more.
#[derive(Debug, thiserror::Error)]
#[error("the drain is to end before that")]
pub(super) struct Unwanted;

/// Says whether something that does not succeed at once is to be tried again.
pub(super) type IsWanted<'a> = &'a (dyn Fn() -> bool + Sync);

/// Calls Kubernetes until it answers, for as long as the term lasts.
///
/// # Errors
/// The term is over, or what does not pass with time.
pub(super) async fn patiently<T, F>(term: &Term, call: impl FnMut(Instant) -> F) -> anyhow::Result<T>
where
    F: Future<Output = Result<T, Error>>,
{
    patiently_while(&|| true, term, call).await
}

/// The same, for as long as it is wanted: that is asked before each call.
///
/// # Errors
/// As for [`patiently`]; that it is [`Unwanted`].
pub(super) async fn patiently_while<T, F>(
    is_wanted: IsWanted<'_>,
    term: &Term,
    mut call: impl FnMut(Instant) -> F,
) -> anyhow::Result<T>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pauses = pauses();
    loop {
        anyhow::ensure!(is_wanted(), Unwanted);
        match call(deadline(term)?).await {
            Err(error) if passes(&error) => pause(term, &mut pauses, &error).await,
            answer => return Ok(answer?),
        }
    }
}

/// By when a request that is sent now must be answered: never after the end of the term.
///
/// # Errors
/// The term is over.
pub(super) fn deadline(term: &Term) -> anyhow::Result<Instant> {
    let until = term.valid_until().ok_or(Overtaken)?;
    Ok(until.min(Instant::now() + PATIENCE))
}

/// Whether the same request may succeed later.
fn passes(error: &Error) -> bool {
    use Error::*;
    matches!(
        error,
        Unreachable { .. } | DeadlineExceeded { .. } | Throttled { .. } | Conflict { .. } | AuditUnavailable { .. }
    )
}

type Pauses = Box<dyn Iterator<Item = Duration> + Send>;

fn pauses() -> Pauses {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter();
    Box::new(pauses.build())
}

async fn pause(term: &Term, pauses: &mut Pauses, error: &Error) {
    let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
    tracing::warn!(%error, ?pause, "Kubernetes does not carry out what a drain needs, trying again");
    tokio::select! {
        () = term.lost() => {}
        () = sleep_until(Instant::now() + pause) => {}
    }
}
