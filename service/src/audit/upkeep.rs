//! Hands out the log's checkpoints, and removes what is no longer to be kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nodeward_audit_log::{AppendError, AuditLog, Retention};
use tokio::time::{MissedTickBehavior, interval};

use super::{Auditor, copy};

/// How often is looked for what is to be removed.
const INTERVAL: Duration = Duration::from_secs(60);

/// What there is to do, and how far it is done.
pub(super) struct Upkeep {
    /// None if all is kept.
    retention: Option<Retention>,
    /// The sequence of the last checkpoint that was handed out.
    handed_out: AtomicU64,
}

impl Upkeep {
    pub fn new(retention: Option<Retention>) -> Self {
        Self { retention, handed_out: AtomicU64::new(0) }
    }
}

impl Auditor {
    /// Does it as long as the log is open.
    pub async fn keep_up(&self) {
        let Some(log) = self.log() else { return };
        let mut checkpoints = log.checkpoints();
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.hand_out_checkpoint();
            tokio::select! {
                changed = checkpoints.changed() => if changed.is_err() { return },
                _ = ticks.tick() => self.remove_old(log).await,
            }
        }
    }

    /// Says the last checkpoint where it is kept by others, if it was not said before.
    pub(super) fn hand_out_checkpoint(&self) {
        let Some(log) = self.log() else { return };
        let checkpoint = log.checkpoints().borrow().clone();
        let sequence = checkpoint.position().sequence;
        if self.0.upkeep.handed_out.fetch_max(sequence, Ordering::Relaxed) >= sequence {
            return;
        }
        tracing::info!(target: "nodeward_server::audit::checkpoint", %checkpoint, "the audit log is signed");
        if let Some(copies) = &self.0.copies {
            copies.send(copy::of_checkpoint(&checkpoint));
        }
    }

    async fn remove_old(&self, log: &AuditLog) {
        let Some(retention) = self.0.upkeep.retention else { return };
        match log.prune(retention).await {
            Ok(removed) if removed.segments == 0 => {}
            Ok(removed) => {
                let (segments, first_kept) = (removed.segments, removed.first_kept);
                tracing::info!(segments, first_kept, "removed what is too old of the audit log");
            }
            Err(AppendError::Closed) => {}
            Err(error) => tracing::warn!(%error, "could not remove what is too old of the audit log"),
        }
    }
}
