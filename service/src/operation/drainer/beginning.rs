//! How a drain begins: it cordons the node, and then waits until all that decides about its pods has been seen. Neither is done
//! for somebody who does not want it any more.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep_until};

use super::{Drainer, LOOK};
use crate::drain::AtDeadline;
use crate::operation::ending::Ending;
use crate::operation::journal::{Overtaken, Unwanted};
use crate::operation::{CordonState, State};

/// After what time it is said that the cluster has not been seen yet.
const SLOW: Duration = Duration::from_secs(5);

/// For how long after the deadline a drain goes on that deletes what is left at it.
const OVERTIME: SignedDuration = SignedDuration::from_secs(30);

/// What it says then.
const NOT_SEEN: &str = "the node, its pods and what decides about them have not all been read yet";

impl Drainer {
    /// Does what comes before the first step. How the drain ends, if it ends with that.
    pub(super) async fn begin(&mut self) -> anyhow::Result<Option<Ending>> {
        match self.cordon_first().await? {
            Some(ending) => Ok(Some(ending)),
            None => self.see_all().await,
        }
    }

    /// Cordons the node before anything else, if that was not done. How the drain ends, if it can't be, or need not be any more.
    async fn cordon_first(&mut self) -> anyhow::Result<Option<Ending>> {
        let is_wanted = || !self.journal.is_cancelled() && !self.is_late();
        let cordoned = match self.journal.cordon().state {
            CordonState::None => self.cordoner.cordon(&is_wanted, false).await,
            _ => self.cordoner.require_right(&is_wanted).await.map(|()| None),
        };
        match cordoned {
            Ok(Some(cordoned)) => self.note_cordon(cordoned, "").await.map(|()| None),
            Ok(None) => Ok(None),
            Err(error) if error.is::<Unwanted>() => {
                self.note_found_cordon().await?;
                Ok(self.ended_early("the node was being cordoned")?)
            }
            Err(error) => Ending::not_cordoned(&error).map(Some).ok_or(error),
        }
    }

    /// What is said of the cordon at the end must be true, also if nobody has written down that it was made.
    async fn note_found_cordon(&mut self) -> anyhow::Result<()> {
        if self.journal.cordon().state != CordonState::None {
            return Ok(());
        }
        match self.cordoner.found().await? {
            Some(cordoned) => self.note_cordon(cordoned, "").await,
            None => Ok(()),
        }
    }

    /// Waits until all has been seen once. How the drain ends, if it is to end before that.
    async fn see_all(&mut self) -> anyhow::Result<Option<Ending>> {
        let slow = Instant::now() + SLOW;
        let mut is_said = false;
        loop {
            if let Some(ending) = self.ended_early("the cluster was being read")? {
                return Ok(Some(ending));
            }
            let late = Instant::now() + self.time_left().map_or(LOOK, |left| left.min(LOOK));
            tokio::select! {
                () = self.term.lost() => return Err(Overtaken.into()),
                () = self.sight.in_sync() => return Ok(None),
                () = self.journal.changed() => {}
                () = sleep_until(late) => {}
                () = sleep_until(slow), if !is_said => {
                    is_said = true;
                    let mut after = self.journal.status();
                    after.enter(State::Running, NOT_SEEN, Timestamp::now());
                    self.journal.write(after).await?;
                }
            }
        }
    }

    /// How the drain ends, if it was cancelled or its deadline has passed.
    fn ended_early(&mut self, meanwhile: &str) -> anyhow::Result<Option<Ending>> {
        self.journal.look()?;
        match self.journal.cancel() {
            Some(cancel) => Ok(Some(Ending::cancelled(cancel))),
            None => Ok(self.is_late().then(|| Ending::late_while(meanwhile))),
        }
    }

    pub(super) fn is_late(&self) -> bool {
        self.time_left().is_some_and(|left| left.is_zero())
    }

    /// How much time is left, if there is an end to it.
    fn time_left(&self) -> Option<Duration> {
        let overtime = if self.policy.at_deadline == AtDeadline::Delete { OVERTIME } else { SignedDuration::ZERO };
        let end = self.deadline()?.saturating_add(overtime).unwrap_or(Timestamp::MAX);
        Some(Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO))
    }
}
