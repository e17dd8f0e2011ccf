//! What a drain leaves behind for those who look elsewhere than at the operation: audit records of each step, a trace, Events and
//! conditions of the node, and metrics.
//!
//! Records come first: a step whose intent is not on the disk is not made. All else is done as well as it can be, and holds
//! nothing up: Events and conditions are written in a task of their own, in the order in which things happened.

mod mend;
mod metrics;
mod notice;
mod record;
mod teller;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::Span;
use uuid::Uuid;

use self::metrics::Metrics;
use self::notice::Notice;
use self::record::Subject;
use self::teller::Teller;
use super::happening::Happening;
use super::{NodeOperation, OperationStatus};
use crate::audit::{Asked, AuditStep, Auditor, Outcome};
use crate::cluster::Cluster;
use crate::cluster::evict::{PodRemoval, RemovalMethod};
use crate::cluster::lease::Term;
use crate::drain::BudgetOverride;
use crate::error::Error;
use crate::telemetry::{self, OperationTrace};

/// How many notices may wait for Kubernetes. Beyond that the newest are lost, but for the last.
const MOST_NOTICES: usize = 64;

/// How long a server that stops waits for what is still to be told.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Begins the trails of the operations that this server carries out.
#[derive(Clone)]
pub(super) struct Trails {
    cluster: Cluster,
    auditor: Auditor,
    /// What this server is called.
    who: Arc<str>,
    metrics: Arc<Metrics>,
    telling: TaskTracker,
}

impl Trails {
    /// Their records go to this auditor.
    pub fn new(cluster: Cluster, auditor: Auditor, who: &str) -> Self {
        let metrics = Metrics::new(&telemetry::meter());
        Self { cluster, auditor, who: who.into(), metrics, telling: TaskTracker::new() }
    }

    /// The trail of an operation, as far as it is carried out here in this term.
    pub fn of(&self, operation: &NodeOperation, term: &Term) -> Trail {
        let (name, spec) = (operation.name_any(), &operation.spec);
        let status = operation.status.clone().unwrap_or_default();
        let trace = OperationTrace::begin(&name, &status.trace_id, &spec.trace_parent);
        trace.node(&spec.node.name, &spec.node.uid);
        let subject = Arc::new(Subject::new(&name, spec));
        let (notices, told) = mpsc::channel(MOST_NOTICES);
        let teller = Teller::new(self, subject.clone(), trace.id().to_owned(), term.clone());
        self.telling.spawn(teller.run(told));
        let (auditor, metrics, steps) = (self.auditor.clone(), self.metrics.clone(), Mutex::default());
        Trail(Arc::new(Inner { subject, auditor, metrics, trace, notices, steps, telling: self.telling.clone() }))
    }

    /// Waits for what is still to be told, but not for long.
    pub async fn told(&self) {
        self.telling.close();
        if timeout(LAST_WORDS, self.telling.wait()).await.is_err() {
            tracing::warn!("not all that happened in drains could be told to Kubernetes before the end");
        }
        self.telling.reopen();
    }
}

/// Keeps the trail of one drain. Clones keep the same.
#[derive(Clone)]
pub(super) struct Trail(Arc<Inner>);

struct Inner {
    subject: Arc<Subject>,
    auditor: Auditor,
    metrics: Arc<Metrics>,
    trace: OperationTrace,
    notices: mpsc::Sender<Notice>,
    /// The steps that are not answered, by their audit ids. Dropped with the trail, their outcomes are recorded as unknown.
    steps: Mutex<HashMap<Uuid, UnderWay>>,
    telling: TaskTracker,
}

/// A step that is not answered.
struct UnderWay {
    /// Its record, and those of what it does besides.
    records: Vec<AuditStep>,
    span: Span,
}

impl Trail {
    /// The id of the operation's trace. Empty if it has none.
    pub fn trace_id(&self) -> &str {
        self.0.trace.id()
    }

    /// The span of a step that was asked for and is not answered.
    pub fn span(&self, audit_id: Uuid) -> Span {
        self.0.steps().get(&audit_id).map_or_else(Span::none, |step| step.span.clone())
    }

    /// Takes in what happens.
    ///
    /// # Errors
    /// It can't be noted. What was only asked for (`CordonAsked`, `RemovalSent`) must then not be done.
    pub async fn tell(&self, happening: Happening<'_>) -> Result<(), Error> {
        let Inner { subject, trace, metrics, .. } = &*self.0;
        let operation = subject.operation();
        match happening {
            Happening::Begun { is_resumed } => {
                tracing::info!(operation, is_resumed, trace_id = trace.id(), "a drain is carried out here");
                self.notice(Notice::begun(subject, is_resumed));
            }
            Happening::CordonAsked { audit_id } => {
                let asked = subject.change_of_node("");
                self.begin(audit_id, vec![(audit_id, asked)], trace.change(), 1).await?;
            }
            Happening::CordonAnswered { audit_id, answer } => self.answered(audit_id, record::of_change(answer)).await,
            Happening::RemovalSent { removal, attempt, overrides } => {
                self.begin_removal(removal, attempt, overrides).await?;
            }
            Happening::RemovalAnswered { removal, answer, .. } => {
                let outcome = record::of_removal(answer);
                metrics.removed(removal.method, &outcome);
                self.answered(removal.audit_id, outcome).await;
            }
            Happening::CordonChanged { state, manager } => {
                tracing::info!(operation, ?state, manager, "the cordon of a drain has changed");
            }
            Happening::StateChanged { status } => {
                tracing::info!(operation, state = ?status.state, message = status.message, "a drain has come further");
                if let Some(notice) = Notice::of_state(subject, status) {
                    self.notice(notice);
                }
            }
            Happening::Ended { status } => self.ended(status).await,
        }
        Ok(())
    }

    /// Takes in where the pods are. That is all the news there is of them.
    pub fn sees(&self, status: &OperationStatus) {
        self.0.metrics.sees(self.0.subject.operation(), status);
    }

    async fn begin_removal(
        &self,
        removal: &PodRemoval,
        attempt: u32,
        overrides: &[BudgetOverride],
    ) -> Result<(), Error> {
        let is_eviction = removal.method == RemovalMethod::Evict;
        let subject = &self.0.subject;
        // Whoever goes past a budget answers for each of them by itself.
        let uses = overrides.iter().map(|it| (Uuid::new_v4(), subject.budget_override(removal, it)));
        let removed = (removal.audit_id, subject.removal(removal, overrides));
        let span = self.0.trace.removal(is_eviction, &removal.namespace, &removal.name);
        self.begin(removal.audit_id, uses.chain([removed]).collect(), span, attempt).await
    }

    /// Records what a step asks for: all of it, before any of it is done.
    async fn begin(&self, step: Uuid, asked: Vec<(Uuid, Asked)>, span: Span, attempt: u32) -> Result<(), Error> {
        let Inner { subject, auditor, .. } = &*self.0;
        telemetry::step_is(&span, &step.to_string(), attempt);
        let mut records = Vec::with_capacity(asked.len());
        for (audit_id, asked) in asked {
            records.push(auditor.begin_step(&subject.step(audit_id, self.trace_id(), asked)).await?);
        }
        self.0.steps().insert(step, UnderWay { records, span });
        Ok(())
    }

    async fn answered(&self, audit_id: Uuid, outcome: Outcome) {
        let step = self.0.steps().remove(&audit_id);
        if let Some(UnderWay { records, span }) = step {
            telemetry::step_ended(&span, &outcome.outcome, &outcome.reason);
            for record in records {
                record.done(outcome.clone()).await;
            }
        }
    }

    async fn ended(&self, status: &OperationStatus) {
        let Inner { subject, trace, metrics, auditor, .. } = &*self.0;
        let operation = subject.operation();
        tracing::info!(operation, state = ?status.state, message = status.message, "a drain has ended");
        trace.ended(status.state.as_str(), status.failure.as_ref().map(|failure| failure.reason.as_str()));
        metrics.ended(status.state);
        self.notice(Notice::ended(subject, status));
        let step = subject.step(Uuid::new_v4(), self.trace_id(), subject.change_of_node(""));
        auditor.note_step(&step, record::of_end(status)).await;
    }

    fn notice(&self, notice: Notice) {
        let Err(mpsc::error::TrySendError::Full(notice)) = self.0.notices.try_send(notice) else { return };
        tracing::warn!(operation = self.0.subject.operation(), "Kubernetes is too slow to be told all of a drain");
        if notice.is_last {
            let notices = self.0.notices.clone();
            self.0.telling.spawn(async move { notices.send(notice).await });
        }
    }
}

impl Inner {
    fn steps(&self) -> MutexGuard<'_, HashMap<Uuid, UnderWay>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.metrics.forgets(self.subject.operation());
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trail").field(&self.0.subject.operation()).finish()
    }
}
