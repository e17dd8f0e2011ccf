//! A change with its records: the intent before it, and the outcome after it, whatever happens in between.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::time::Instant;
use tonic::Status;

use super::late::Kind;
use super::{AuditCall, Outcome};
use crate::error::Error;
use crate::telemetry::{self, with_audit_id};

/// What a change has come to, for its record.
pub trait Done {
    /// The outcome, and the uid of the node, if it was one.
    fn record(&self) -> (Outcome, String);
}

impl AuditCall {
    /// Carries out a change between its records. The future is to be run in a task that nobody drops: from this call on,
    /// not from the first poll on, it is the one who records how the call ends.
    ///
    /// Nothing is done if the intent can't be written, or is so late that nobody waits for the change any more.
    pub fn carry_out<T: Done>(
        self,
        deadline: Instant,
        work: impl Future<Output = Result<T, Error>>,
    ) -> impl Future<Output = Result<T, Error>> {
        self.is_taken_over();
        async move {
            if let Err(error) = self.begin().await {
                self.end(failed(&error), "", Kind::Refusal).await;
                return Err(error);
            }
            let result = if Instant::now() < deadline {
                // A panic must not keep the outcome from being recorded. What it has left half done is dropped with it.
                let work = AssertUnwindSafe(with_audit_id(self.id(), work)).catch_unwind().await;
                work.unwrap_or_else(|_| Err(Error::Internal { detail: "the change panicked".to_owned() }))
            } else {
                Err(Error::DeadlineExceeded { stage: "recording that the change was asked for" })
            };
            let (outcome, uid) = match &result {
                Ok(done) => done.record(),
                Err(error) => (failed(error), String::new()),
            };
            self.end(outcome, &uid, Kind::Outcome).await;
            result
        }
    }
}

/// The outcome of what failed so.
pub(crate) fn failed(error: &Error) -> Outcome {
    let code = telemetry::code_name(Status::from(error.clone()).code()).to_owned();
    Outcome { code, reason: error.reason().to_owned(), ..Outcome::default() }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use http::HeaderMap;
    use serde_json::json;

    use super::*;
    use crate::audit::testing::{auditor, records};
    use crate::audit::{AuditOptions, Auditor, Stage};
    use crate::caller::Caller;

    /// A change of this size.
    struct Changed(usize);

    impl Done for Changed {
        fn record(&self) -> (Outcome, String) {
            let after = json!({"metadata": {"annotations": {"a": "x".repeat(self.0)}}});
            (Outcome { code: "OK".to_owned(), after, ..Outcome::default() }, String::new())
        }
    }

    fn call(auditor: &Auditor) -> AuditCall {
        AuditCall::new(auditor.clone(), "s/CordonNode", &Caller::Server, None, &HeaderMap::new(), String::new())
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    fn intent_and(code: &str) -> [(Stage, String); 2] {
        [(Stage::RequestReceived, String::new()), (Stage::ResponseComplete, code.to_owned())]
    }

    #[tokio::test]
    async fn a_change_that_panics_has_an_outcome() {
        let (auditor, _dir) = auditor(AuditOptions::default()).await;
        let work = async { if soon() > Instant::now() { panic!("a bug") } else { Ok(Changed(0)) } };
        let result = call(&auditor).carry_out(soon(), work).await;
        assert!(matches!(result, Err(Error::Internal { .. })));
        assert_eq!(records(&auditor), intent_and("INTERNAL"));
    }

    #[tokio::test]
    async fn a_change_whose_intent_is_written_too_late_is_not_made() {
        let (auditor, _dir) = auditor(AuditOptions::default()).await;
        let result = call(&auditor).carry_out(Instant::now(), pending::<Result<Changed, Error>>()).await;
        assert!(matches!(result, Err(Error::DeadlineExceeded { .. })));
        assert_eq!(records(&auditor), intent_and("DEADLINE_EXCEEDED"));
    }

    #[tokio::test]
    async fn a_change_whose_caller_has_left_is_recorded_once() {
        let (auditor, _dir) = auditor(AuditOptions::default()).await;
        let call = call(&auditor);
        let work = call.clone().carry_out(soon(), async { Ok(Changed(0)) });
        call.refused(Outcome { code: "CANCELLED".to_owned(), ..Outcome::default() }).await;
        work.await.unwrap();
        assert_eq!(records(&auditor), intent_and("OK"));
    }

    #[tokio::test]
    async fn a_change_of_large_fields_does_not_keep_others_from_being_recorded() {
        let (auditor, _dir) = auditor(AuditOptions::default()).await;
        call(&auditor).carry_out(soon(), async { Ok(Changed(2 << 20)) }).await.unwrap();
        call(&auditor).carry_out(soon(), async { Ok(Changed(1)) }).await.unwrap();
        assert_eq!(records(&auditor), [intent_and("OK"), intent_and("OK")].concat());
        assert!(auditor.late().is_empty());
    }

    #[tokio::test]
    async fn what_can_not_be_recorded_is_not_done() {
        let (auditor, _dir) = auditor(AuditOptions::default()).await;
        auditor.log().unwrap().clone().close().await.unwrap();
        let result = call(&auditor).carry_out(soon(), pending::<Result<Changed, Error>>()).await;
        assert!(matches!(result, Err(Error::AuditUnavailable { .. })));
        assert_eq!(records(&auditor), []);
    }
}
