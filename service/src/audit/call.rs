//! The records of one call.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use http::header::USER_AGENT;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::time::Instant;
use uuid::Uuid;

use super::Auditor;
use super::late::Kind;
use super::record::{Asked, AuditRecord, ResponseStatus, Stage, User};
use super::step::Step;
use crate::caller::Caller;
use crate::error::Error;
use crate::grpc_timeout;

/// The longest text that is taken over from a header, in bytes.
const MAX_TEXT: usize = 256;

/// The longest filter that is taken over, in characters. No request holds one that is much longer.
const MAX_SELECTION: usize = 4096;

/// A call that changes something, from the request to the outcome. Clones are the same call.
#[derive(Clone)]
pub struct AuditCall(Arc<Inner>);

struct Inner {
    auditor: Auditor,
    id: Uuid,
    rpc: String,
    user: User,
    source: Option<SocketAddr>,
    user_agent: String,
    trace_id: String,
    received: Timestamp,
    asked: Mutex<Asked>,
    /// When the caller no longer waits.
    gives_up: Option<Instant>,
    /// Whether somebody carries it out, and sees to the outcome.
    is_taken_over: AtomicBool,
}

/// What came of a change.
pub type Outcome = ResponseStatus;

impl AuditCall {
    pub(super) fn new(
        auditor: Auditor,
        rpc: &str,
        caller: &Caller,
        source: Option<SocketAddr>,
        headers: &HeaderMap,
        trace_id: String,
    ) -> Self {
        let user_agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self(Arc::new(Inner {
            auditor,
            id: Uuid::new_v4(),
            rpc: rpc.trim_start_matches('/').to_owned(),
            user: User::of(caller),
            source,
            user_agent: user_agent.chars().take(MAX_TEXT).collect(),
            trace_id,
            received: Timestamp::now(),
            asked: Mutex::default(),
            gives_up: grpc_timeout::of(headers).and_then(|timeout| Instant::now().checked_add(timeout)),
            is_taken_over: AtomicBool::new(false),
        }))
    }

    /// A step of an operation, which nobody calls by now.
    pub(super) fn of_step(auditor: Auditor, step: &Step<'_>) -> Self {
        Self(Arc::new(Inner {
            auditor,
            id: step.audit_id,
            rpc: step.rpc.to_owned(),
            user: User::of(step.caller),
            source: None,
            user_agent: String::new(),
            trace_id: step.trace_id.to_owned(),
            received: Timestamp::now(),
            asked: Mutex::new(step.asked.clone()),
            gives_up: None,
            is_taken_over: AtomicBool::new(true),
        }))
    }

    /// A call of which nothing is recorded.
    #[cfg(test)]
    pub(crate) fn of_nothing() -> Self {
        Self::new(Auditor::nowhere(), "", &Caller::Server, None, &HeaderMap::new(), String::new())
    }

    /// The id of the call's records, here and in Kubernetes.
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// What it asks for.
    pub fn asks(&self, asked: Asked) {
        *self.asked() = asked;
    }

    /// It is about all nodes that match these.
    pub fn is_about_all(&self, filter: &str, label_selector: &str) {
        let short = |text: &str| text.chars().take(MAX_SELECTION).collect();
        let mut asked = self.asked();
        (asked.filter, asked.label_selector) = (short(filter), short(label_selector));
    }

    /// The node that it is about has this uid.
    pub fn is_about(&self, uid: &str) {
        if let Some(object) = self.asked().object_ref.as_mut() {
            object.uid = uid.to_owned();
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on whoever carries it out records how it ends.
    pub(super) fn is_taken_over(&self) {
        self.0.is_taken_over.store(true, Ordering::Relaxed);
    }

    /// Records that it is about to be carried out. Not before this has returned may anything be sent to Kubernetes.
    pub(super) async fn begin(&self) -> Result<(), Error> {
        self.0.auditor.write(&self.record(Stage::RequestReceived, None)).await
    }

    /// Records what came of it, in a task that nobody waits for but the end of the server.
    pub(super) fn end_alone(self, outcome: Outcome) {
        // Without a runtime nothing is left that could be waited for.
        if let Ok(runtime) = Handle::try_current() {
            let leaving = self.0.auditor.0.leaving.clone();
            let record = async move { self.end(outcome, "", Kind::Outcome).await };
            leaving.spawn_on(record, &runtime);
        }
    }

    /// Records what came of it.
    pub(super) async fn end(&self, outcome: Outcome, uid: &str, kind: Kind) {
        let mut record = self.record(Stage::ResponseComplete, Some(outcome));
        if let Some(object) = record.request.object_ref.as_mut().filter(|_| !uid.is_empty()) {
            object.uid = uid.to_owned();
        }
        if let Err(error) = self.0.auditor.write_in_the_end(record, kind).await {
            // It is written later; or, if the server ends before that, the next start finds the intent without it.
            tracing::error!(%error, audit_id = %self.0.id, "how a call ended could not be recorded");
        }
    }

    /// Records how it ended, unless somebody carries it out.
    pub(super) async fn refused(&self, outcome: Outcome) {
        if !self.0.is_taken_over.load(Ordering::Relaxed) {
            self.end(outcome, "", Kind::Refusal).await;
        }
    }

    /// Records that its caller has left before it was answered, or that it took longer than he waits. Nobody waits for that.
    pub(super) fn left(self) {
        if self.0.is_taken_over.load(Ordering::Relaxed) {
            return;
        }
        let (code, reason) = match self.0.gives_up {
            Some(gives_up) if gives_up <= Instant::now() => ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
            _ => ("CANCELLED", "CANCELLED"),
        };
        let [code, reason] = [code, reason].map(str::to_owned);
        // Without a runtime nothing is left that could be waited for.
        if let Ok(runtime) = Handle::try_current() {
            let leaving = self.0.auditor.0.leaving.clone();
            let record = async move { self.refused(Outcome { code, reason, ..Outcome::default() }).await };
            leaving.spawn_on(record, &runtime);
        }
    }

    fn record(&self, stage: Stage, response_status: Option<ResponseStatus>) -> AuditRecord {
        let inner = &*self.0;
        AuditRecord {
            audit_id: inner.id,
            stage,
            rpc: inner.rpc.clone(),
            user: inner.user.clone(),
            source_ips: inner.source.iter().map(|source| source.ip().to_string()).collect(),
            user_agent: inner.user_agent.clone(),
            request_received_timestamp: inner.received,
            stage_timestamp: Timestamp::now(),
            request: self.asked().clone(),
            trace_id: inner.trace_id.clone(),
            response_status,
        }
        .bounded()
    }
}
