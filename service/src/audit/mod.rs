//! Who changed what, when, why, and with which result: the audit record of every change.
//!
//! A change is carried out only after its intent is on the disk; its outcome follows. What is refused before it comes to
//! that is recorded too. The log itself, its chain of hashes and its signatures are `nodeward-audit-log`'s.

mod call;
mod layer;
mod options;
pub mod query;
mod record;
mod unsettled;

use std::sync::Arc;

use anyhow::Context;
use nodeward_audit_log::{AuditLog, Options, Record};

use crate::error::Error;

pub use call::{AuditCall, Outcome};
pub use layer::AuditLayer;
pub use options::AuditOptions;
pub use record::{Asked, AuditRecord, ObjectRef, ResponseStatus, Stage, User};

/// Keeps the records.
#[derive(Clone)]
pub struct Auditor(Arc<Sink>);

enum Sink {
    /// For development.
    Nowhere,
    Log(AuditLog),
}

impl Auditor {
    /// Opens the log, as the options say.
    pub async fn open(options: &AuditOptions) -> anyhow::Result<Self> {
        let dir = match (&options.audit_dir, options.no_audit) {
            (Some(dir), _) => dir,
            (None, true) => return Ok(Self(Arc::new(Sink::Nowhere))),
            (None, false) => anyhow::bail!("say where audit records are kept: --audit-dir DIR, or --no-audit"),
        };
        let key = options.audit_key.clone().unwrap_or_else(|| dir.with_file_name("audit-key.pem"));
        let log = AuditLog::open(Options::new(dir, key)).await.context("the audit log can't be opened")?;
        tracing::info!(dir = %dir.display(), position = %log.position(), key = %log.public_key(), "keeping audit records");
        let auditor = Self(Arc::new(Sink::Log(log.clone())));
        auditor.settle(log).await?;
        Ok(auditor)
    }

    /// Reads the log. None if nothing is kept.
    pub fn reader(&self) -> Option<query::AuditReader> {
        match &*self.0 {
            Sink::Nowhere => None,
            Sink::Log(log) => Some(query::AuditReader::new(log.clone())),
        }
    }

    /// Keeps nothing.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self(Arc::new(Sink::Nowhere))
    }

    /// Records that the outcome of what an earlier server began is unknown.
    async fn settle(&self, log: AuditLog) -> anyhow::Result<()> {
        let outcomes = tokio::task::spawn_blocking(move || unsettled::outcomes(&log)).await?;
        for outcome in outcomes.context("the audit log can't be read")? {
            tracing::warn!(audit_id = %outcome.audit_id, rpc = outcome.rpc, "the outcome of a change is unknown");
            self.write(&outcome).await?;
        }
        Ok(())
    }

    /// Writes a record. It is on the disk when this returns.
    async fn write(&self, record: &AuditRecord) -> Result<(), Error> {
        let Sink::Log(log) = &*self.0 else { return Ok(()) };
        let unavailable = |error: &dyn std::fmt::Display| Error::AuditUnavailable { detail: error.to_string() };
        let record = Record::new(record).map_err(|error| unavailable(&error))?;
        log.append(record).await.map(drop).map_err(|error| unavailable(&error))
    }

    /// Ends the log in good order.
    pub async fn close(&self) {
        if let Sink::Log(log) = &*self.0
            && let Err(error) = log.clone().close().await
        {
            tracing::warn!(%error, "the audit log did not end in good order");
        }
    }
}
