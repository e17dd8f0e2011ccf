//! What can go wrong in the sandbox. Every message says what happened and what to do about it, since its reader wants
//! to try nodeward or run its tests, not to learn how a control plane is put together.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::component::Component;

/// Why the sandbox could not do what it was asked to.
#[derive(thiserror::Error)]
pub enum SandboxError {
    /// There is no Go toolchain on the PATH.
    #[error(
        "Go is not installed, or not on the PATH: the sandbox builds its control plane with it.\n\
         Install Go {needed} or later (https://go.dev/dl/) and run this again; it is needed for the first start only."
    )]
    GoMissing {
        /// The oldest version that works.
        needed: &'static str,
    },
    /// The Go toolchain is older than Kubernetes asks for, and is not allowed to fetch a newer one.
    #[error(
        "the Go toolchain on the PATH is {found}, and Kubernetes asks for Go {needed} or later.\n\
         Install a newer one (https://go.dev/dl/), or let Go fetch it by itself: GOTOOLCHAIN=auto."
    )]
    GoTooOld {
        /// The version that was found.
        found: String,
        /// The oldest version that works.
        needed: &'static str,
    },
    /// The Go modules could not be downloaded.
    #[error(
        "the Go modules of the control plane cannot be downloaded: {detail}\n\
         Check the network, and that GOPROXY names a module proxy that can be reached (it is {proxy:?})."
    )]
    ModulesUnreachable {
        /// The value of GOPROXY, as Go sees it.
        proxy: String,
        /// What Go said.
        detail: String,
    },
    /// A disk, or the user's share of it, is full.
    #[error(
        "the disk is full: {detail}\n\
         A first build needs about 5 GB in Go's caches (`go env GOCACHE GOMODCACHE`) and 0.3 GB in {cache}; \
         a sandbox of 12 nodes needs about 0.2 GB. Free some space and run this again."
    )]
    DiskFull {
        /// What failed.
        detail: String,
        /// The sandbox's cache directory.
        cache: PathBuf,
    },
    /// The Go build failed for a reason that is none of the above.
    #[error(
        "{step} failed ({status}):\n{output}\n\
         If this repeats, empty the caches with `go clean -cache -modcache` and run this again."
    )]
    Build {
        /// What was being done.
        step: &'static str,
        /// How Go ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        output: String,
    },
    /// A file or a process could not be worked with.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The user's home or cache directory is unknown.
    #[error("the user's home directory is unknown: set HOME (or XDG_CACHE_HOME) and run this again")]
    NoHome,
    /// The certificates could not be made.
    #[error("cannot make the certificates of the control plane: {0}")]
    Pki(#[from] rcgen::Error),
    /// A client certificate was to have more groups than can be written into one.
    #[error("a client certificate of the sandbox can have {most} groups at most")]
    TooManyGroups {
        /// How many there can be.
        most: usize,
    },
    /// The manifests of deploy/rbac are not what they should be.
    #[error("the manifests of deploy/rbac cannot be used: {detail}")]
    Manifest {
        /// Why not.
        detail: String,
    },
    /// No free port was found on loopback.
    #[error(
        "no free port was found on 127.0.0.1 between {from} and {to}: stop some other sandboxes and run this again"
    )]
    NoFreePort {
        /// The lowest port tried.
        from: u16,
        /// The highest port tried.
        to: u16,
    },
    /// The address that was asked for cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}\n\
         Stop what uses it (`ss -ltnp` or `lsof -i` names it), or choose another address with --listen, \
         for instance --listen 127.0.0.1:0 for any free port."
    )]
    PortInUse {
        /// The address.
        address: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A component of the control plane, or the server beside it, ended by itself.
    #[error(
        "{component} died ({status}). Its last log lines:\n{tail}\nThe whole log: {log}\nWhat to do: {advice}",
        log = log.display()
    )]
    Died {
        /// Which one.
        component: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Its log file.
        log: PathBuf,
        /// The end of its log.
        tail: String,
        /// What the reader can do.
        advice: &'static str,
    },
    /// A component did not become ready in time.
    #[error(
        "{component} was not ready after {after:.0?} ({last}). Its last log lines:\n{tail}\nThe whole log: {log}\n\
         On a busy machine, try again; if it repeats, start in an empty directory.",
        log = log.display()
    )]
    NotReady {
        /// Which one.
        component: &'static str,
        /// How long it was waited for.
        after: Duration,
        /// Its last answer.
        last: String,
        /// Its log file.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// The component is not running, so it cannot be paused or resumed.
    #[error("{0} is not running: restart it first")]
    NotRunning(Component),
    /// The component already runs, so it cannot be restarted.
    #[error("{0} is running: kill it first")]
    AlreadyRunning(Component),
    /// Something that was waited for did not happen in time.
    #[error("{what} did not happen within {after:.0?}: {state}\nThe logs are in {logs}", logs = logs.display())]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        after: Duration,
        /// How far it got.
        state: String,
        /// Where the logs are.
        logs: PathBuf,
    },
    /// Another sandbox runs in the directory.
    #[error(
        "a sandbox is already running in {dir}{pid}: stop it, or choose another directory with --dir",
        dir = dir.display()
    )]
    DirInUse {
        /// The directory.
        dir: PathBuf,
        /// ` (process N)`, or nothing if it is not known.
        pid: String,
    },
    /// The directory holds something that is not a sandbox's.
    #[error(
        "{dir} is not empty and was not made by a sandbox: it is left alone. \
         Choose an empty or absent directory with --dir",
        dir = dir.display()
    )]
    DirForeign {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory holds data that was to be kept, and that a start without `--keep` would remove.
    #[error(
        "{dir} holds the data of a sandbox that was started with --keep: \
         add --keep to go on with it, or remove the directory to start anew",
        dir = dir.display()
    )]
    DirKept {
        /// The directory.
        dir: PathBuf,
    },
    /// There is no running sandbox to talk to.
    #[error("no sandbox is running{place}: start one with `cargo sandbox` in another terminal and run this again")]
    NoSandbox {
        /// ` in DIR`, or nothing.
        place: String,
    },
    /// There are several running sandboxes to talk to.
    #[error("{} sandboxes are running: say which one with --dir\n{}", dirs.len(), listed(dirs))]
    ManySandboxes {
        /// Their directories.
        dirs: Vec<PathBuf>,
    },
    /// A kubeconfig could not be read.
    #[error("cannot use the kubeconfig {path}: {source}", path = path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<kube::config::KubeconfigError>,
    },
    /// A call to the apiserver failed.
    #[error("cannot {action}: {source}")]
    Kube {
        /// What was tried, as a verb.
        action: String,
        /// Why not.
        source: Box<kube::Error>,
    },
    /// kubectl refused what the sandbox gave it.
    #[error("kubectl {what} failed: {output}")]
    Kubectl {
        /// What it was asked to do.
        what: &'static str,
        /// What it said.
        output: String,
    },
}

impl SandboxError {
    /// An I/O error on `path`; a full disk or an exhausted quota becomes [`SandboxError::DiskFull`].
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            let cache = crate::cache::root().unwrap_or_else(|_| path.to_path_buf());
            return Self::DiskFull { detail: format!("cannot {action} {}: {source}", path.display()), cache };
        }
        Self::Io { action, path: path.to_path_buf(), source }
    }

    /// A failed call to the apiserver.
    pub(crate) fn kube(action: impl Into<String>, source: kube::Error) -> Self {
        Self::Kube { action: action.into(), source: Box::new(source) }
    }
}

fn listed(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|dir| format!("  {}", dir.display())).collect::<Vec<_>>().join("\n")
}

/// What `unwrap` and `expect` print in a test, where the message helps and the fields do not.
impl fmt::Debug for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_unwraps_an_error_shows_its_message() {
        let error = SandboxError::GoMissing { needed: "1.26" };
        assert_eq!(format!("{error:?}"), error.to_string());
        assert!(error.to_string().contains("Install Go 1.26 or later"), "{error}");
    }

    #[test]
    fn a_full_disk_and_an_exhausted_quota_say_what_the_sandbox_needs() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let error = SandboxError::io("write", Path::new("/data/etcd"), kind.into());
            assert!(matches!(error, SandboxError::DiskFull { .. }), "{error}");
            assert!(error.to_string().contains("cannot write /data/etcd"), "{error}");
        }
    }
}
