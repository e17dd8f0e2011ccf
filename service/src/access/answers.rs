//! Kubernetes' answers to questions about callers: kept for a few seconds, and asked for once by all who want to know the
//! same at the same time.
//!
//! It promises that nobody waits beyond their own deadline, and that nobody's short deadline ends the question of another.

use std::hash::Hash;
use std::time::Duration;

use moka::future::Cache;
use tokio::time::{Instant, timeout_at};

use crate::error::Error;

/// The most answers that are kept.
pub(super) const MOST_ANSWERS: u64 = 10_000;

/// How long Kubernetes is asked, whoever still waits for the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers to questions of one kind.
#[derive(Clone)]
pub(super) struct Answers<Q, A> {
    kept: Cache<Q, A>,
    /// What is being done while somebody waits for one.
    stage: &'static str,
}

impl<Q, A> Answers<Q, A>
where
    Q: Hash + Eq + Send + Sync + 'static,
    A: Clone + Send + Sync + 'static,
{
    /// Answers that are good for so long.
    pub fn new(stage: &'static str, good_for: Duration) -> Self {
        Self { kept: Cache::builder().max_capacity(MOST_ANSWERS).time_to_live(good_for).build(), stage }
    }

    /// The answer that is known, or else that of Kubernetes, which is asked until the deadline that `ask` is given.
    pub async fn get<F>(&self, question: Q, deadline: Instant, ask: impl FnOnce(Instant) -> F) -> Result<A, Error>
    where
        F: Future<Output = Result<A, Error>>,
    {
        if let Some(answer) = self.kept.get(&question).await {
            return Ok(answer);
        }
        // If whoever asks gives up, another who waits asks instead.
        let asked = Box::pin(self.kept.try_get_with(question, Box::pin(ask(Instant::now() + PATIENCE))));
        let answer = timeout_at(deadline, asked).await.map_err(|_| Error::DeadlineExceeded { stage: self.stage })?;
        answer.map_err(|error| (*error).clone())
    }

    /// Keeps an answer that was got otherwise.
    pub async fn keep(&self, question: Q, answer: A) {
        Box::pin(self.kept.insert(question, answer)).await;
    }
}
