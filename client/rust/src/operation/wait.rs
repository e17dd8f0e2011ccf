//! Waiting for the end of an operation.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::error::Error;
use crate::longrunning::{Operation, WaitOperationRequest};
use crate::name::operation_name;
use crate::retry::pause;

/// How long a server is asked to wait at a time.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

impl Client {
    /// Waits until an operation has ended, over all interruptions, or until the timeout: then it is not done.
    ///
    /// # Errors
    /// The server's, if waiting longer would not mend it, or the one that lasted until the timeout.
    pub async fn wait_operation(&self, name: &str, timeout: Option<Duration>) -> Result<Operation, Error> {
        let name = operation_name(name);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut delays = self.retry_policy().endless_delays();
        loop {
            let left = deadline.map_or(LONGEST_WAIT, |deadline| deadline.saturating_duration_since(Instant::now()));
            let began = Instant::now();
            let step = self.wait_step(left);
            let answer = self.wait_once(&name, step).await;
            let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            let delay = match answer {
                Ok(operation) if operation.done || is_over => return Ok(operation),
                Ok(_) if began.elapsed() * 2 >= step => {
                    delays = self.retry_policy().endless_delays();
                    continue;
                }
                // A server that answers before its time must not make a busy loop.
                Ok(_) => delays.next().unwrap_or(LONGEST_WAIT),
                Err(error) if is_over || !error.is_interruption() => return Err(error),
                Err(error) => {
                    let own = delays.next().unwrap_or(LONGEST_WAIT);
                    pause(own, &error).unwrap_or(LONGEST_WAIT)
                }
            };
            sleep(deadline.map_or(delay, |deadline| delay.min(deadline.saturating_duration_since(Instant::now()))))
                .await;
        }
    }

    /// How long to ask for, so that the answer comes within the timeout of a request.
    fn wait_step(&self, left: Duration) -> Duration {
        left.min(LONGEST_WAIT).min(self.timeout().map_or(LONGEST_WAIT, |timeout| timeout / 2))
    }

    async fn wait_once(&self, name: &str, step: Duration) -> Result<Operation, Error> {
        let request = WaitOperationRequest { name: name.to_owned(), timeout: step.try_into().ok() };
        let operations = self.operations_service();
        let send = |_, request| {
            let mut operations = operations.clone();
            async move { operations.wait_operation(request).await }
        };
        Ok(self.call(request, send).await?.into_inner())
    }
}
