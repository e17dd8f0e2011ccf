//! May they? Kubernetes' own authorizer is asked, and its answer kept for a few seconds.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use tokio::time::Instant;

use crate::caller::{Caller, Permission, Principal};
use crate::cluster::Reviews;
use crate::error::Error;

/// How long an answer is good for: a right that is taken away is gone by then.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// The most answers that are kept.
const MOST_ANSWERS: u64 = 10_000;

type Question = (Arc<Principal>, Permission);

/// Asks what callers may do.
#[derive(Clone)]
pub struct Authorizer {
    reviews: Reviews,
    answers: Cache<Question, bool>,
}

impl Authorizer {
    /// Asks Kubernetes through these reviews.
    pub fn new(reviews: Reviews) -> Self {
        Self { reviews, answers: Cache::builder().max_capacity(MOST_ANSWERS).time_to_live(GOOD_FOR).build() }
    }

    /// Refuses a caller who has not this right. The answer may be ten seconds old.
    pub async fn require(&self, caller: &Caller, permission: Permission, deadline: Instant) -> Result<(), Error> {
        let Caller::User(user) = caller else { return Ok(()) };
        let question = (user.clone(), permission);
        let ask = Box::pin(self.reviews.allows(user, &question.1, deadline));
        // Callers that ask the same at the same time share one answer.
        let allowed =
            Box::pin(self.answers.try_get_with_by_ref(&question, ask)).await.map_err(|error| (*error).clone())?;
        if allowed { Ok(()) } else { Err(denied(question.1)) }
    }

    /// As `require`, but asks Kubernetes now.
    pub async fn require_now(&self, caller: &Caller, permission: Permission, deadline: Instant) -> Result<(), Error> {
        let Caller::User(user) = caller else { return Ok(()) };
        let allowed = Box::pin(self.reviews.allows(user, &permission, deadline)).await?;
        Box::pin(self.answers.insert((user.clone(), permission.clone()), allowed)).await;
        if allowed { Ok(()) } else { Err(denied(permission)) }
    }
}

fn denied(permission: Permission) -> Error {
    Error::AccessDenied { permission: permission.to_string() }
}
