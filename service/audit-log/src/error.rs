//! Why a log can't be opened, and why a record was not appended.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::hash::Position;
use crate::key::{KeyError, PublicKey};
use crate::problem::Problem;
use crate::scan::ScanError;

/// Something that the operating system refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{action} {path:?}: {source}")]
pub struct IoFault {
    /// What was to be done.
    pub action: &'static str,
    /// With which file.
    pub path: PathBuf,
    /// Why it failed.
    pub source: Arc<io::Error>,
}

impl IoFault {
    /// For `map_err`.
    pub(crate) fn when(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source: Arc::new(source) }
    }
}

/// Why a record was not appended.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The disk or a quota is full. Appends succeed again once there is room.
    #[error("no space is left for the audit log ({0})")]
    NoSpace(IoFault),
    /// The file system is read-only. Appends succeed again once it is not.
    #[error("the audit log is on a read-only file system ({0})")]
    ReadOnly(IoFault),
    /// The log can't be written for another reason. Each append tries again.
    #[error("the audit log can't be written ({0})")]
    Io(IoFault),
    /// What is on the disk is not what was written: the log was tampered with, or the disk lost what it had confirmed.
    /// Nothing is appended while that is so.
    #[error("the audit log on the disk is not what was written ({0})")]
    Damaged(Box<Damage>),
    /// The log was closed.
    #[error("the audit log is closed")]
    Closed,
}

/// In which way a log is not what was written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Damage {
    /// Its chain is broken.
    #[error(transparent)]
    Broken(Problem),
    /// The segment that is written to was removed, replaced, cut or added to by somebody else.
    #[error("somebody else has changed {path:?}: it should have {expected} bytes, and has {}", .found.map_or_else(|| "been replaced".to_owned(), |found| found.to_string()))]
    Meddled {
        /// The segment.
        path: PathBuf,
        /// How many bytes it should have.
        expected: u64,
        /// How many it has, if it is still the same file.
        found: Option<u64>,
    },
    /// It ends elsewhere than where it was durable.
    #[error("{path:?} should end with entry {expected}, but ends with entry {found}")]
    OtherEnd {
        /// The segment.
        path: PathBuf,
        /// Where it should end.
        expected: Position,
        /// Where it ends.
        found: Position,
    },
}

impl From<IoFault> for AppendError {
    fn from(fault: IoFault) -> Self {
        match fault.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::NoSpace(fault)
            }
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(fault),
            _ => Self::Io(fault),
        }
    }
}

impl From<Damage> for AppendError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(Box::new(damage))
    }
}

impl From<ScanError> for AppendError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Read { path, source } => IoFault { action: "read", path, source }.into(),
            ScanError::Broken(problem) => Damage::Broken(*problem).into(),
        }
    }
}

/// Why a log can't be opened. It is never begun anew because of that.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The operating system refused something.
    #[error("the audit log can't be opened ({0})")]
    Io(#[from] IoFault),
    /// Another process, or another part of this one, writes to the log.
    #[error("the audit log in {0:?} is in use by another writer")]
    Locked(PathBuf),
    /// There is no key to sign with.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The log was begun with another key.
    #[error("the audit log in {dir:?} was begun with the key {log}, but the key file holds {file}")]
    OtherKey {
        /// The log's directory.
        dir: PathBuf,
        /// The public key of the log.
        log: PublicKey,
        /// The public key that belongs to the key file.
        file: PublicKey,
    },
    /// The log is damaged or was tampered with: move it away, keep it as evidence, and let an auditor look at it.
    #[error("the audit log in {dir:?} is broken, and will not be continued: {problem}")]
    Broken {
        /// The log's directory.
        dir: PathBuf,
        /// What is wrong.
        problem: Box<Problem>,
    },
}
