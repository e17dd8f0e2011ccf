//! One supervised child process.
//!
//! Promises: the child's output goes to its log file; its exit is noticed at once and, if nobody asked for it,
//! reported; it cannot outlive this process, since it ends when its stdin does (see go/leash). Supervision needs no
//! async runtime: it is a thread per child, so a process started under one runtime may be used under another.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::sync::watch;

use crate::error::SandboxError;

/// The variable that makes a child end with its stdin.
pub(crate) const LEASH: &str = "NODEWARD_EXIT_WITH_STDIN";

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) environment: Environment,
    pub(crate) log: PathBuf,
}

/// Which settings reach the child.
#[derive(Debug, Clone)]
pub(crate) enum Environment {
    /// None of the user's: this is its home and working directory.
    Home(PathBuf),
    /// The user's own, but for these variables.
    Users { without: &'static [&'static str] },
}

/// A running (or ended) child.
#[derive(Debug)]
pub(crate) struct Process {
    inner: Arc<Inner>,
    /// Never written to. Dropping it is what ends the child if this process dies.
    _stdin: Option<ChildStdin>,
}

#[derive(Debug)]
struct Inner {
    /// The child is reaped under this lock only, so a signal sent under it can never hit a recycled process id.
    child: Mutex<Child>,
    exit: watch::Sender<Option<ExitStatus>>,
    /// Set before we end the child: its exit is then no death.
    expected: AtomicBool,
}

impl Process {
    /// Starts the child. `on_death` is called, from a thread of its own, if it ends without having been asked to.
    pub(crate) fn spawn(spec: &Spec, on_death: impl FnOnce(ExitStatus) + Send + 'static) -> Result<Self, SandboxError> {
        let log = open_log(&spec.log)?;
        let log_too = log.try_clone().map_err(|e| SandboxError::io("write", &spec.log, e))?;
        let mut command = Command::new(&spec.program);
        command.args(&spec.args);
        match &spec.environment {
            Environment::Home(home) => {
                command.current_dir(home).env_clear().env("HOME", home);
                for kept in ["PATH", "TMPDIR", "GOMAXPROCS", "GODEBUG"] {
                    command.envs(std::env::var_os(kept).map(|value| (kept, value)));
                }
            }
            Environment::Users { without } => {
                for variable in *without {
                    command.env_remove(variable);
                }
            }
        }
        command.env(LEASH, "1");
        // A process group of its own: Ctrl-C in the terminal goes to the sandbox alone, which stops things in order.
        // It also means that the kernel wakes a paused child when the sandbox dies, so that it can end too.
        command.process_group(0).stdin(Stdio::piped()).stdout(log).stderr(log_too);
        let mut child = command.spawn().map_err(|e| SandboxError::io("run", &spec.program, e))?;

        let stdin = child.stdin.take();
        let pid = Pid::from_child(&child);
        let inner = Arc::new(Inner {
            child: Mutex::new(child),
            exit: watch::Sender::new(None),
            expected: AtomicBool::new(false),
        });
        let watched = Arc::clone(&inner);
        thread::Builder::new()
            .name("sandbox-wait".into())
            .spawn(move || {
                watched.wait_and_report(pid, on_death);
            })
            .map_err(|e| SandboxError::io("watch", &spec.program, e))?;
        Ok(Self { inner, _stdin: stdin })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.inner.lock().id()
    }

    /// Whether the child has not ended.
    pub(crate) fn is_running(&self) -> bool {
        self.inner.exit.borrow().is_none()
    }

    /// Sends a signal that the child survives. False if the child has ended.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        let mut child = self.inner.lock();
        match child.try_wait() {
            Ok(None) => rustix::process::kill_process(Pid::from_child(&child), signal).is_ok(),
            _ => false,
        }
    }

    /// Sends a signal that ends the child; its end is then expected.
    pub(crate) fn end(&self, signal: Signal) {
        self.inner.expected.store(true, Ordering::SeqCst);
        self.signal(signal);
    }

    /// Waits until the child has ended.
    pub(crate) async fn ended(&self) {
        // The sender lives as long as self, so waiting cannot fail.
        let _ = self.inner.exit.subscribe().wait_for(Option::is_some).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(Signal::KILL);
        let _ = self.inner.lock().wait();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_and_report(&self, pid: Pid, on_death: impl FnOnce(ExitStatus)) {
        // Waits without reaping and without the lock, so that signals can be sent meanwhile.
        while let Err(rustix::io::Errno::INTR) =
            rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        {}
        let Ok(status) = self.lock().wait() else { return };
        self.exit.send_replace(Some(status));
        if !self.expected.load(Ordering::SeqCst) {
            on_death(status);
        }
    }
}

fn open_log(path: &Path) -> Result<File, SandboxError> {
    OpenOptions::new().create(true).append(true).open(path).map_err(|e| SandboxError::io("write", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn shell(dir: &Path, script: &str) -> Spec {
        Spec {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            environment: Environment::Home(dir.to_path_buf()),
            log: dir.join("log"),
        }
    }

    #[test]
    fn an_exit_that_nobody_asked_for_is_reported_with_its_status() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, receiver) = mpsc::channel();
        let spec = shell(dir.path(), "echo about to fail; exit 7");
        let process = Process::spawn(&spec, move |status| sender.send(status).unwrap()).unwrap();
        let status = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(status.code(), Some(7));
        assert!(!process.is_running());
        assert_eq!(std::fs::read_to_string(&spec.log).unwrap(), "about to fail\n");
    }

    #[tokio::test]
    async fn an_end_that_was_asked_for_is_not_reported() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, receiver) = mpsc::channel();
        let process = Process::spawn(&shell(dir.path(), "cat"), move |status| sender.send(status).unwrap()).unwrap();
        process.end(Signal::KILL);
        process.ended().await;
        drop(process);
        // The sender is dropped unused once the watching thread has ended.
        assert!(
            receiver.recv_timeout(Duration::from_secs(20)).is_err_and(|e| e == mpsc::RecvTimeoutError::Disconnected)
        );
    }

    #[test]
    fn dropping_a_paused_child_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let process = Process::spawn(&shell(dir.path(), "cat"), |_| {}).unwrap();
        let pid = Pid::from_raw(process.id() as i32).unwrap();
        assert!(process.signal(Signal::STOP));
        drop(process);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }
}
