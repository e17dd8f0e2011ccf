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

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use nodeward_audit_log::Verifier;

    use super::super::testing::auditor;
    use super::super::{AuditCall, AuditOptions, Outcome};
    use super::*;
    use crate::caller::Caller;

    async fn write(auditor: &Auditor, records: usize) {
        for _ in 0..records {
            let call = AuditCall::new(auditor.clone(), "rpc", &Caller::Server, None, &HeaderMap::new(), String::new());
            call.refused(Outcome::default()).await;
        }
    }

    fn first_kept(auditor: &Auditor) -> u64 {
        let report = Verifier::trusting_the_log().verify(auditor.log().unwrap().dir()).unwrap();
        assert!(report.is_intact(), "{report}");
        report.first_sequence.unwrap()
    }

    #[tokio::test]
    async fn a_log_that_becomes_too_large_loses_its_oldest_segments_and_is_whole() {
        let small =
            AuditOptions { audit_segment_bytes: 4096, audit_max_bytes: Some(10_000), ..AuditOptions::default() };
        let (auditor, _dir) = auditor(small).await;
        write(&auditor, 100).await;
        assert_eq!(first_kept(&auditor), 1);
        auditor.remove_old(auditor.log().unwrap()).await;
        assert!(first_kept(&auditor) > 50, "{}", first_kept(&auditor));
    }

    #[tokio::test]
    async fn all_is_kept_unless_options_say_otherwise() {
        let (auditor, _dir) = auditor(AuditOptions { audit_segment_bytes: 4096, ..AuditOptions::default() }).await;
        write(&auditor, 100).await;
        auditor.remove_old(auditor.log().unwrap()).await;
        assert_eq!(first_kept(&auditor), 1);
    }
}
