//! The records of what an operation does long after the call that asked for it: of each step its intent and its outcome, in
//! the name of whoever asked.

use uuid::Uuid;

use super::late::Kind;
use super::verdict::Verdict;
use super::{Asked, AuditCall, Auditor, Outcome};
use crate::caller::Caller;
use crate::error::Error;

/// What is known of a step beforehand.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// The id of its records, and of all that it asks of Kubernetes.
    pub audit_id: Uuid,
    /// The RPC that asked for the operation, for example `nodeward.v1.DrainService/DrainNode`.
    pub rpc: &'a str,
    /// In whose name.
    pub caller: &'a Caller,
    /// The trace of the operation.
    pub trace_id: &'a str,
    /// What is to be done.
    pub asked: Asked,
}

/// A step whose intent is on the disk. Dropped before it is [`done`](Self::done), its outcome is recorded as unknown.
pub struct AuditStep(Option<AuditCall>);

impl Auditor {
    /// Records that a step is about to be made. Not before this has returned may anything be sent to Kubernetes.
    ///
    /// # Errors
    /// It can't be recorded: the step must not be made.
    pub async fn begin_step(&self, step: &Step<'_>) -> Result<AuditStep, Error> {
        let call = AuditCall::of_step(self.clone(), step);
        call.begin().await?;
        Ok(AuditStep(Some(call)))
    }

    /// Records what has become of something that needs no intent.
    pub async fn note_step(&self, step: &Step<'_>, outcome: Outcome) {
        AuditCall::of_step(self.clone(), step).end(outcome, "", Kind::Outcome).await;
    }
}

impl AuditStep {
    /// Records what came of it.
    pub async fn done(mut self, outcome: Outcome) {
        // Left in its place until it is recorded: whoever waits for that may leave.
        if let Some(call) = &self.0 {
            call.end(outcome, "", Kind::Outcome).await;
        }
        self.0 = None;
    }
}

impl Drop for AuditStep {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call.end_alone(Verdict::Open("the server stopped carrying the operation out".to_owned()).status());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::testing::{auditor, records};
    use crate::audit::{AuditOptions, Stage};

    fn step() -> Step<'static> {
        Step {
            audit_id: Uuid::from_u128(7),
            rpc: "s/DrainNode",
            caller: &Caller::Server,
            trace_id: "",
            asked: Asked::default(),
        }
    }

    fn done() -> Outcome {
        Outcome { code: "OK".to_owned(), ..Outcome::default() }
    }

    #[tokio::test]
    async fn a_step_has_an_intent_and_an_outcome() {
        let (auditor, _dir) = auditor(AuditOptions::default()).await;
        let begun = auditor.begin_step(&step()).await.unwrap();
        assert_eq!(records(&auditor), [(Stage::RequestReceived, String::new())]);
        begun.done(done()).await;
        assert_eq!(records(&auditor)[1..], [(Stage::ResponseComplete, "OK".to_owned())]);
    }

    #[tokio::test]
    async fn a_step_that_is_given_up_has_an_unknown_outcome() {
        let (auditor, _dir) = auditor(AuditOptions::default()).await;
        drop(auditor.begin_step(&step()).await.unwrap());
        auditor.0.leaving.close();
        auditor.0.leaving.wait().await;
        assert_eq!(records(&auditor)[1..], [(Stage::ResponseComplete, "UNKNOWN".to_owned())]);
    }

    #[tokio::test]
    async fn a_step_that_can_not_be_recorded_is_not_begun() {
        let (auditor, _dir) = auditor(AuditOptions::default()).await;
        auditor.log().unwrap().clone().close().await.unwrap();
        assert!(matches!(auditor.begin_step(&step()).await, Err(Error::AuditUnavailable { .. })));
        assert!(auditor.late().is_empty(), "whoever tries again and again fills no memory");
    }
}
