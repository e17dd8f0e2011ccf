//! What is in the sandbox when it has started: nodes, and something for them to run.

pub(crate) mod nodes;
pub(crate) mod workloads;

use std::time::{Duration, Instant};

use crate::error::SandboxError;

/// Asks `done` again and again until it says that there is nothing left to wait for (`Ok(None)`), or time is up; what
/// `done` says is missing then goes into the error.
pub(crate) async fn wait_for<F>(
    what: &'static str,
    deadline: Duration,
    every: Duration,
    logs: &std::path::Path,
    mut done: impl FnMut() -> F,
) -> Result<(), SandboxError>
where
    F: Future<Output = Result<Option<String>, SandboxError>>,
{
    let begun = Instant::now();
    loop {
        let Some(state) = done().await? else { return Ok(()) };
        if begun.elapsed() >= deadline {
            return Err(SandboxError::TimedOut { what, after: deadline, state, logs: logs.to_path_buf() });
        }
        tokio::time::sleep(every).await;
    }
}
