//! Which sandboxes run, for other processes that look for one.
//!
//! A sandbox that runs holds the lock of its directory, and says there how to reach it. Those of `cargo sandbox` are on
//! a list besides, the current one first: it is the one that is meant if nobody says which.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cache;
use crate::error::SandboxError;
use crate::layout::{LOCK, STATE};

/// What a running sandbox tells other processes about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// The process that runs it.
    pub pid: u32,
    /// The address of its apiserver.
    pub apiserver_url: String,
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The binary that is kubectl when its first argument says so.
    pub control_plane: PathBuf,
}

impl State {
    /// Reads it, whether or not the sandbox still runs.
    pub(crate) fn read(dir: &Path) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(dir.join(STATE)).ok()?).ok()
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<(), SandboxError> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        cache::write_atomically(&dir.join(STATE), &text)
    }

    fn running(dir: &Path) -> Option<Self> {
        let lock = File::open(dir.join(LOCK)).ok()?;
        // Shared, so that two who look at the same time do not take each other for the sandbox.
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Self::read(dir),
            _ => None,
        }
    }
}

/// The sandbox that runs in `dir`; or else the current one; or else, if that has ended, the only other one.
pub fn find(dir: Option<&Path>) -> Result<State, SandboxError> {
    match dir {
        Some(dir) => {
            let none = || SandboxError::NoSandbox { place: format!(" in {}", dir.display()) };
            State::running(dir).ok_or_else(none)
        }
        None => List::at(&cache::root()?).find(),
    }
}

/// Whether a sandbox runs in `dir`.
pub(crate) fn is_running(dir: &Path) -> bool {
    State::running(dir).is_some()
}

/// Puts the sandbox that runs in `dir` on the list. It becomes the current one if [`find`] would find none.
pub fn announce(dir: &Path) -> Result<(), SandboxError> {
    let root = cache::root()?;
    cache::make_dir(&root)?;
    List::at(&root).add(dir)
}

/// The directories of the sandboxes that `cargo sandbox` has started, those that have ended since included.
struct List {
    file: PathBuf,
    lock: PathBuf,
}

impl List {
    fn at(root: &Path) -> Self {
        Self { file: root.join("sandboxes.json"), lock: root.join("sandboxes.lock") }
    }

    fn read(&self) -> Result<Vec<PathBuf>, SandboxError> {
        match fs::read_to_string(&self.file) {
            Ok(text) => Ok(serde_json::from_str(&text).unwrap_or_default()),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(SandboxError::io("read", &self.file, e)),
        }
    }

    fn find(&self) -> Result<State, SandboxError> {
        let dirs = self.read()?;
        if let Some(current) = dirs.first().and_then(|dir| State::running(dir)) {
            return Ok(current);
        }
        let mut running: Vec<_> = dirs.into_iter().filter_map(|dir| State::running(&dir).zip(Some(dir))).collect();
        match running.len() {
            0 => Err(SandboxError::NoSandbox { place: String::new() }),
            1 => Ok(running.remove(0).0),
            _ => Err(SandboxError::ManySandboxes { dirs: running.into_iter().map(|(_, dir)| dir).collect() }),
        }
    }

    fn add(&self, dir: &Path) -> Result<(), SandboxError> {
        let _lock = cache::lock(&self.lock)?;
        let has_current = self.find().is_ok();
        let mut dirs = self.read()?;
        dirs.retain(|known| known != dir && State::running(known).is_some());
        dirs.insert(if has_current { dirs.len() } else { 0 }, dir.to_path_buf());
        cache::write_atomically(&self.file, &serde_json::to_string(&dirs).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Directory;
    use tempfile::TempDir;

    /// Some sandboxes, which tell themselves apart by their process ids.
    struct Sandboxes {
        root: TempDir,
        list: List,
    }

    impl Sandboxes {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let list = List::at(root.path());
            Self { root, list }
        }

        fn start(&self, pid: u32) -> Directory {
            let path = self.root.path().join(pid.to_string());
            let directory = Directory::take(Some(&path), false).unwrap();
            let (apiserver_url, kubeconfig, control_plane) = Default::default();
            directory.publish(&State { pid, apiserver_url, kubeconfig, control_plane }).unwrap();
            self.list.add(directory.path()).unwrap();
            directory
        }

        fn found(&self) -> Result<u32, SandboxError> {
            self.list.find().map(|state| state.pid)
        }
    }

    #[test]
    fn a_running_sandbox_is_found_and_one_that_ended_is_not() {
        let sandboxes = Sandboxes::new();
        let directory = sandboxes.start(42);
        let dir = directory.path().to_path_buf();
        assert_eq!(find(Some(&dir)).unwrap().pid, 42);
        // Dropped without being released, as if its process had been killed.
        drop(directory);
        assert!(matches!(find(Some(&dir)), Err(SandboxError::NoSandbox { .. })));
        assert!(matches!(sandboxes.found(), Err(SandboxError::NoSandbox { .. })));
    }

    #[test]
    fn one_that_looks_does_not_take_another_that_looks_for_the_sandbox() {
        let sandboxes = Sandboxes::new();
        let directory = sandboxes.start(42);
        let dir = directory.path().to_path_buf();
        drop(directory);
        let looking = File::open(dir.join(LOCK)).unwrap();
        looking.lock_shared().unwrap();
        assert!(matches!(find(Some(&dir)), Err(SandboxError::NoSandbox { .. })));
    }

    #[test]
    fn a_second_sandbox_is_found_without_being_named_only_once_the_first_has_ended() {
        let sandboxes = Sandboxes::new();
        let first = sandboxes.start(1);
        let _second = sandboxes.start(2);
        assert_eq!(sandboxes.found().unwrap(), 1);
        drop(first);
        assert_eq!(sandboxes.found().unwrap(), 2);
        let _third = sandboxes.start(3);
        assert_eq!(sandboxes.found().unwrap(), 2);
    }

    #[test]
    fn of_several_that_are_not_the_current_one_none_is_guessed() {
        let sandboxes = Sandboxes::new();
        let first = sandboxes.start(1);
        let (second, _third) = (sandboxes.start(2), sandboxes.start(3));
        drop(first);
        let error = sandboxes.found().unwrap_err().to_string();
        assert!(error.contains(&second.path().display().to_string()) && error.contains("--dir"), "{error}");
        let _fourth = sandboxes.start(4);
        assert_eq!(sandboxes.found().unwrap(), 4);
    }
}
