//! A process beside the sandbox, such as the nodeward server, that ends with it.
//!
//! Unlike the components it lives in the user's environment, since its settings come from there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::sync::watch;

use crate::error::SandboxError;
use crate::log_end::LogEnd;
use crate::process::{Environment, Process, Spec};

/// A running companion. Dropping it kills it.
#[derive(Debug)]
pub struct Companion {
    name: &'static str,
    process: Process,
    death: watch::Sender<Option<ExitStatus>>,
    log: PathBuf,
}

impl Companion {
    /// Starts `program`, which promises to end when its stdin does, with `NODEWARD_EXIT_WITH_STDIN=1` in its
    /// environment, and the user's variables but for those in `without`. Its output goes to `log`.
    pub fn start(
        name: &'static str,
        program: &Path,
        args: impl IntoIterator<Item = OsString>,
        without: &'static [&'static str],
        log: &Path,
    ) -> Result<Self, SandboxError> {
        let spec = Spec {
            program: program.to_path_buf(),
            args: args.into_iter().collect(),
            environment: Environment::Users { without },
            log: log.to_path_buf(),
        };
        let death = watch::Sender::new(None);
        let deaths = death.clone();
        let process = Process::spawn(&spec, move |status| {
            deaths.send_replace(Some(status));
        })?;
        Ok(Self { name, process, death, log: spec.log })
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the companion is ready by its own word, or dies, or time is up. Each question should be over soon,
    /// with why it is not ready, and is put again then.
    pub async fn ready(
        &self,
        ask: impl AsyncFn() -> Result<(), String>,
        deadline: Duration,
    ) -> Result<(), SandboxError> {
        let poll = async {
            let begun = Instant::now();
            loop {
                let Err(last) = ask().await else { return Ok(()) };
                if begun.elapsed() >= deadline {
                    let (log, tail) = (self.log.clone(), LogEnd::read(&self.log).shown());
                    return Err(SandboxError::NotReady { component: self.name, after: deadline, last, log, tail });
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            ready = poll => ready,
            death = self.died() => Err(death),
        }
    }

    /// Waits until the companion dies without having been stopped, and says why.
    pub async fn died(&self) -> SandboxError {
        let mut deaths = self.death.subscribe();
        let status = deaths.wait_for(Option::is_some).await.ok().and_then(|status| *status);
        match status {
            Some(status) => SandboxError::Died {
                component: self.name,
                status,
                log: self.log.clone(),
                tail: LogEnd::read(&self.log).shown(),
                advice: "the log says why; --no-server starts the sandbox without it.",
            },
            // The sender is part of self, so there is always a death to have been waited for.
            None => std::future::pending().await,
        }
    }

    /// Asks the companion to end (SIGTERM), and kills it if it has not after `grace`.
    pub async fn stop(self, grace: Duration) {
        self.process.end(Signal::TERM);
        // Dropping self kills it if it is still there.
        let _ = tokio::time::timeout(grace, self.process.ended()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn shell(dir: &Path, script: &str) -> Companion {
        let args = ["-c".into(), script.into()];
        Companion::start("nodeward-server", Path::new("/bin/sh"), args, &["CARGO_PKG_NAME"], &dir.join("log")).unwrap()
    }

    #[tokio::test]
    async fn a_companion_that_dies_before_it_is_ready_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let companion = shell(dir.path(), "echo no such cluster >&2; exit 3");
        let never = async || Err("not yet".to_owned());
        let error = companion.ready(never, Duration::from_secs(60)).await.unwrap_err().to_string();
        assert!(error.contains("nodeward-server died (exit status: 3)"), "{error}");
        assert!(error.contains("no such cluster") && error.contains("--no-server"), "{error}");
    }

    #[tokio::test]
    async fn a_companion_has_the_users_settings_but_for_some() {
        let dir = tempfile::tempdir().unwrap();
        let companion = shell(dir.path(), "echo ${CARGO_PKG_NAME-none} ${CARGO_MANIFEST_DIR-none}");
        companion.died().await;
        let settings = std::fs::read_to_string(dir.path().join("log")).unwrap();
        assert_eq!(settings, format!("none {}\n", env!("CARGO_MANIFEST_DIR")));
    }

    #[tokio::test]
    async fn a_companion_is_asked_until_it_is_ready() {
        let dir = tempfile::tempdir().unwrap();
        let (companion, asked) = (shell(dir.path(), "cat"), AtomicUsize::new(0));
        let third =
            async || if asked.fetch_add(1, Ordering::Relaxed) == 2 { Ok(()) } else { Err("not yet".to_owned()) };
        companion.ready(third, Duration::from_secs(60)).await.unwrap();
        assert_eq!(asked.into_inner(), 3);
    }

    #[tokio::test]
    async fn a_companion_that_is_not_ready_in_time_is_named_with_its_last_answer() {
        let dir = tempfile::tempdir().unwrap();
        let companion = shell(dir.path(), "cat");
        let never = async || Err("it is NOT_SERVING".to_owned());
        let error = companion.ready(never, Duration::ZERO).await.unwrap_err().to_string();
        assert!(error.contains("nodeward-server was not ready") && error.contains("(it is NOT_SERVING)"), "{error}");
    }

    #[tokio::test]
    async fn a_companion_that_does_not_stop_in_time_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let companion = shell(dir.path(), "trap '' TERM; echo ready; while :; do read line || :; done");
        let pid = rustix::process::Pid::from_raw(companion.process.id() as i32).unwrap();
        while std::fs::read(dir.path().join("log")).unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        companion.stop(Duration::from_millis(100)).await;
        assert!(rustix::process::test_kill_process(pid).is_err());
    }
}
