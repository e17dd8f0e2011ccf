//! May they? Kubernetes' own authorizer is asked, and its answer kept for a few seconds.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::answers::Answers;
use crate::caller::{Caller, Permission, Principal};
use crate::cluster::Reviews;
use crate::error::Error;

/// How long an answer is good for: a right that is taken away is gone by then.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// Asks what callers may do.
#[derive(Clone)]
pub struct Authorizer {
    reviews: Reviews,
    answers: Answers<(Arc<Principal>, Permission), bool>,
}

impl Authorizer {
    /// Asks Kubernetes through these reviews.
    pub fn new(reviews: Reviews) -> Self {
        Self { reviews, answers: Answers::new("asking what the caller may do", GOOD_FOR) }
    }

    /// Refuses a caller who has not this right. The answer may be ten seconds old.
    pub async fn require(&self, caller: &Caller, permission: Permission, deadline: Instant) -> Result<(), Error> {
        let Caller::User(user) = caller else { return Ok(()) };
        let question = (user.clone(), permission.clone());
        let ask = |until| self.reviews.allows(user, &permission, until);
        let allowed = self.answers.get(question, deadline, ask).await?;
        if allowed { Ok(()) } else { Err(denied(permission)) }
    }

    /// As `require`, but asks Kubernetes now.
    pub async fn require_now(&self, caller: &Caller, permission: Permission, deadline: Instant) -> Result<(), Error> {
        let Caller::User(user) = caller else { return Ok(()) };
        let allowed = Box::pin(self.reviews.allows(user, &permission, deadline)).await?;
        self.answers.keep((user.clone(), permission.clone()), allowed).await;
        if allowed { Ok(()) } else { Err(denied(permission)) }
    }
}

fn denied(permission: Permission) -> Error {
    Error::AccessDenied { permission: permission.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::time::sleep;

    use super::*;
    use crate::caller::{Credential, Details};
    use crate::cluster::{Cluster, Connection};

    /// Kubernetes allows everything, and takes a second to say so.
    fn slow() -> Authorizer {
        let answer = async |_, _| {
            sleep(Duration::from_secs(1)).await;
            json!({ "metadata": {}, "spec": {}, "status": { "allowed": true } })
        };
        let connection = Connection::answering(answer);
        Authorizer::new(Cluster::new(connection).reviews().clone())
    }

    #[tokio::test]
    async fn kubernetes_is_told_all_that_is_known_of_the_caller() {
        let answer = async |_, review: serde_json::Value| {
            let extra = json!({ "authentication.kubernetes.io/pod-name": ["backend-1"] });
            let is_complete = review["spec"]["uid"] == "7" && review["spec"]["extra"] == extra;
            json!({ "metadata": {}, "spec": {}, "status": { "allowed": is_complete } })
        };
        let authorizer = Authorizer::new(Cluster::new(Connection::answering(answer)).reviews().clone());
        let Caller::User(alice) = alice() else { panic!() };
        let pod = ("authentication.kubernetes.io/pod-name".to_owned(), vec!["backend-1".to_owned()]);
        let details = Details { uid: "7".to_owned(), extra: [pod].into() };
        let in_a_pod = Caller::User(Arc::new(Principal { details, ..(*alice).clone() }));
        ask(&authorizer, in_a_pod, Duration::from_secs(10)).await.unwrap();
        // Who is the same but for these is asked about anew.
        let elsewhere = ask(&authorizer, Caller::User(alice), Duration::from_secs(10)).await;
        assert!(matches!(elsewhere, Err(Error::AccessDenied { .. })), "{elsewhere:?}");
    }

    fn alice() -> Caller {
        let (username, credential) = ("alice".to_owned(), Credential::Certificate);
        Caller::User(Arc::new(Principal {
            username,
            groups: Vec::new(),
            details: Details::default(),
            credential,
            expires: None,
        }))
    }

    async fn ask(authorizer: &Authorizer, caller: Caller, patience: Duration) -> Result<(), Error> {
        let get = Permission { verb: "get", group: "", resource: "nodes", subresource: "", name: String::new() };
        authorizer.require(&caller, get, Instant::now() + patience).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_impatient_call_does_not_end_the_question_of_a_patient_one() {
        let authorizer = slow();
        let (impatient, patient) = tokio::join!(
            ask(&authorizer, alice(), Duration::from_millis(10)),
            ask(&authorizer, alice(), Duration::from_secs(10)),
        );
        assert!(matches!(impatient, Err(Error::DeadlineExceeded { .. })), "{impatient:?}");
        patient.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_impatient_call_does_not_wait_for_the_question_of_a_patient_one() {
        let authorizer = slow();
        let begun = Instant::now();
        let impatient = async {
            tokio::task::yield_now().await;
            let answer = ask(&authorizer, alice(), Duration::from_millis(10)).await;
            (answer, begun.elapsed())
        };
        let (patient, (impatient, waited)) =
            tokio::join!(ask(&authorizer, alice(), Duration::from_secs(10)), impatient);
        patient.unwrap();
        assert!(matches!(impatient, Err(Error::DeadlineExceeded { .. })), "{impatient:?}");
        assert!(waited < Duration::from_secs(1), "{waited:?}");
    }
}
