//! Who changed what, when, why, and with which result: the audit record of every change.
//!
//! A change is carried out only after its intent is on the disk; its outcome follows. What is refused before it comes to
//! that is recorded too. If the server crashes in between, the next one records that the outcome is unknown, and then what
//! the cluster shows of it. The log itself, its chain of hashes and its signatures are `nodeward-audit-log`'s; copies of
//! records and checkpoints may be sent elsewhere, which nothing waits for.

mod bounds;
mod call;
mod carry_out;
mod copy;
mod late;
mod layer;
mod metrics;
mod options;
pub mod query;
mod record;
mod settle;
mod step;
#[cfg(test)]
mod testing;
mod unsettled;
mod upkeep;
mod verdict;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Context;
use nodeward_audit_log::{AppendError, AuditLog, Record};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::late::{Kind, Late};
use self::metrics::Metrics;
use self::unsettled::Unsettled;
use self::upkeep::Upkeep;
use self::verdict::Verdict;
use crate::error::Error;
use crate::telemetry::{self, Copies};

pub use call::{AuditCall, Outcome};
pub use carry_out::Done;
pub(crate) use carry_out::failed;
pub use layer::AuditLayer;
pub use options::AuditOptions;
pub use record::{
    Asked, AuditRecord, BUDGETS, NODES, OPERATIONS, ObjectRef, OverriddenBudget, OverrideUse, PODS, ResponseStatus,
    Stage, User,
};
pub use step::{AuditStep, Step};

/// Keeps the records.
#[derive(Clone)]
pub struct Auditor(Arc<Inner>);

struct Inner {
    /// None for development.
    log: Option<AuditLog>,
    metrics: Metrics,
    /// Who sends copies elsewhere, if that is asked for.
    copies: Option<Copies>,
    upkeep: Upkeep,
    /// What an earlier server has left open.
    unsettled: Mutex<Vec<Unsettled>>,
    /// How calls ended, where that could not be written.
    late: Mutex<Late>,
    /// Held by whoever writes them.
    writing_late: tokio::sync::Mutex<()>,
    /// Record that callers have left.
    leaving: TaskTracker,
}

impl Auditor {
    /// Opens the log, as the options say.
    pub async fn open(options: &AuditOptions) -> anyhow::Result<Self> {
        let Some(log) = options.log()? else { return Ok(Self::with(None, None, options, Vec::new())) };
        let copies = match (options.audit_otlp, telemetry::copies()) {
            (true, None) => anyhow::bail!("--audit-otlp sends copies to the endpoint that --otlp-endpoint names"),
            (true, copies) => copies,
            (false, _) => None,
        };
        let log = AuditLog::open(log).await.context("the audit log can't be opened")?;
        let (dir, position) = (log.dir().display(), log.position());
        tracing::info!(%dir, %position, key = %log.public_key(), "keeping audit records");
        let reading = log.clone();
        let open = tokio::task::spawn_blocking(move || unsettled::find(&reading)).await?;
        let open = open.context("the audit log can't be read")?;
        let auditor = Self::with(Some(log), copies, options, open);
        metrics::observe(&auditor.0);
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

    fn with(log: Option<AuditLog>, copies: Option<Copies>, options: &AuditOptions, open: Vec<Unsettled>) -> Self {
        Self(Arc::new(Inner {
            log,
            metrics: Metrics::new(&telemetry::meter()),
            copies,
            upkeep: Upkeep::new(options.retention()),
            unsettled: Mutex::new(open),
            late: Mutex::default(),
            writing_late: tokio::sync::Mutex::default(),
            leaving: TaskTracker::new(),
        }))
    }

    /// Keeps nothing.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self::with(None, None, &AuditOptions::default(), Vec::new())
    }

    /// Records that the outcome of what an earlier server began is unknown.
    async fn note_unknown(&self) -> Result<(), Error> {
        let open: Vec<Unsettled> = self.unsettled().clone();
        for Unsettled { intent, .. } in open.iter().filter(|open| !open.is_noted) {
            tracing::warn!(audit_id = %intent.audit_id, rpc = intent.rpc, "the outcome of a change is unknown");
            let status = Verdict::Open(String::new()).status();
            self.write(&unsettled::outcome(intent, Stage::ResponseComplete, status)).await?;
            let id = intent.audit_id;
            self.unsettled().iter_mut().filter(|open| open.intent.audit_id == id).for_each(|open| open.is_noted = true);
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
        let json = self.json(record)?;
        self.write_json(record, json).await
    }

    /// Writes how a call ended now, or as soon as the log can be written again.
    async fn write_in_the_end(&self, record: AuditRecord, kind: Kind) -> Result<(), Error> {
        // What can't be written whatever the disk is like must not wait for a better one.
        let json = self.json(&record)?;
        let written = self.write_json(&record, json.clone()).await;
        if written.is_err() && self.log().is_some() {
            let lost = self.late().push(kind, json);
            (0..lost).for_each(|_| self.0.metrics.failed("late_full"));
        }
        written
    }

    async fn write_json(&self, record: &AuditRecord, json: Record) -> Result<(), Error> {
        let written = self.append(record, json).await;
        if written.is_ok() && !self.late().is_empty() {
            // In a task of its own: whoever waits for this record may leave.
            let auditor = self.clone();
            tokio::spawn(async move { auditor.write_late().await });
        }
        written
    }

    async fn write_late(&self) {
        let _alone = self.0.writing_late.lock().await;
        loop {
            let Some((kind, json)) = self.late().pop() else { return };
            let Ok(record) = json.read() else { continue };
            if self.append(&record, json.clone()).await.is_err() {
                self.late().put_back(kind, json);
                return;
            }
        }
    }

    fn late(&self) -> MutexGuard<'_, Late> {
        self.0.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn json(&self, record: &AuditRecord) -> Result<Record, Error> {
        Record::new(record).map_err(|error| self.failed("other", &error))
    }

    async fn append(&self, record: &AuditRecord, json: Record) -> Result<(), Error> {
        let Some(log) = self.log() else { return Ok(()) };
        let begun = Instant::now();
        let copy = self.0.copies.is_some().then(|| json.json().to_owned());
        log.append(json).await.map_err(|error| self.failed(metrics::kind(&error), &error))?;
        self.0.metrics.appended(begun.elapsed());
        if let (Some(copies), Some(json)) = (&self.0.copies, copy) {
            copies.send(copy::of_record(record, json));
        }
        Ok(())
    }

    fn failed(&self, kind: &'static str, error: &dyn std::fmt::Display) -> Error {
        self.0.metrics.failed(kind);
        Error::AuditUnavailable { detail: error.to_string() }
    }

    /// Ends the log in good order.
    pub async fn close(&self) {
        let Some(log) = self.log() else { return };
        self.0.leaving.close();
        self.0.leaving.wait().await;
        self.write_late().await;
        match log.clone().close().await {
            // By another clone.
            Ok(_) | Err(AppendError::Closed) => self.hand_out_checkpoint(),
            Err(error) => tracing::warn!(%error, "the audit log did not end in good order"),
        }
    }
}
