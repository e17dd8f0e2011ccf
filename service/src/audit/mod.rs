//! Who changed what, when, why, and with which result: the audit record of every change.
//!
//! A change is carried out only after its intent is on the disk; its outcome follows. What is refused before it comes to
//! that is recorded too. If the server crashes in between, the next one records that the outcome is unknown, and then what
//! the cluster shows of it. The log itself, its chain of hashes and its signatures are `nodeward-audit-log`'s.

mod call;
mod layer;
mod options;
pub mod query;
mod record;
mod settle;
mod unsettled;
mod verdict;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use nodeward_audit_log::{AuditLog, Options, Record};
use uuid::Uuid;

use self::unsettled::Unsettled;
use self::verdict::Verdict;
use crate::error::Error;

pub use call::{AuditCall, Outcome};
pub use layer::AuditLayer;
pub use options::AuditOptions;
pub use record::{Asked, AuditRecord, ObjectRef, ResponseStatus, Stage, User};

/// Keeps the records.
#[derive(Clone, Default)]
pub struct Auditor(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// None for development.
    log: Option<AuditLog>,
    /// What an earlier server has left open.
    unsettled: Mutex<Vec<Unsettled>>,
}

impl Auditor {
    /// Opens the log, as the options say.
    pub async fn open(options: &AuditOptions) -> anyhow::Result<Self> {
        let dir = match (&options.audit_dir, options.no_audit) {
            (Some(dir), _) => dir,
            (None, true) => return Ok(Self::default()),
            (None, false) => anyhow::bail!("say where audit records are kept: --audit-dir DIR, or --no-audit"),
        };
        let key = options.audit_key.clone().unwrap_or_else(|| dir.with_file_name("audit-key.pem"));
        let log = AuditLog::open(Options::new(dir, key)).await.context("the audit log can't be opened")?;
        tracing::info!(dir = %dir.display(), position = %log.position(), key = %log.public_key(), "keeping audit records");
        let reading = log.clone();
        let open = tokio::task::spawn_blocking(move || unsettled::find(&reading)).await?;
        let open = open.context("the audit log can't be read")?;
        let auditor = Self(Arc::new(Inner { log: Some(log), unsettled: Mutex::new(open) }));
        if let Err(error) = auditor.note_unknown().await {
            // Reads go on without the log, and changes once it can be written.
            tracing::error!(%error, "that the outcomes of changes are unknown can't be recorded yet");
        }
        Ok(auditor)
    }

    /// Reads the log. None if nothing is kept.
    pub fn reader(&self) -> Option<query::AuditReader> {
        self.log().map(|log| query::AuditReader::new(log.clone()))
    }

    /// Keeps nothing.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self::default()
    }

    /// Records that the outcome of what an earlier server began is unknown.
    async fn note_unknown(&self) -> Result<(), Error> {
        let open: Vec<Unsettled> = self.unsettled().clone();
        for Unsettled { intent, sequence, .. } in open.iter().filter(|open| !open.is_noted) {
            tracing::warn!(audit_id = %intent.audit_id, rpc = intent.rpc, "the outcome of a change is unknown");
            let status = Verdict::Open(String::new()).status();
            self.write(&unsettled::outcome(intent, Stage::ResponseComplete, status)).await?;
            self.unsettled().iter_mut().filter(|open| open.sequence == *sequence).for_each(|open| open.is_noted = true);
        }
        Ok(())
    }

    /// What an earlier server has left open, and nothing has settled yet.
    fn unsettled(&self) -> MutexGuard<'_, Vec<Unsettled>> {
        self.0.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This change is open no more.
    fn is_settled(&self, audit_id: Uuid) {
        self.unsettled().retain(|open| open.intent.audit_id != audit_id);
    }

    fn log(&self) -> Option<&AuditLog> {
        self.0.log.as_ref()
    }

    /// Writes a record. It is on the disk when this returns.
    async fn write(&self, record: &AuditRecord) -> Result<(), Error> {
        let Some(log) = self.log() else { return Ok(()) };
        let unavailable = |error: &dyn std::fmt::Display| Error::AuditUnavailable { detail: error.to_string() };
        let record = Record::new(record).map_err(|error| unavailable(&error))?;
        log.append(record).await.map(drop).map_err(|error| unavailable(&error))
    }

    /// Ends the log in good order.
    pub async fn close(&self) {
        if let Some(log) = self.log()
            && let Err(error) = log.clone().close().await
        {
            tracing::warn!(%error, "the audit log did not end in good order");
        }
    }
}
