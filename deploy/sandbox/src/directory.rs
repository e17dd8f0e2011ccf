//! The directory of a sandbox: whose it is, what is kept, what is swept away.
//!
//! A lock in the directory is held for as long as its sandbox lives; the kernel releases it however the sandbox ends.
//! So "is it running" needs no guess about process ids, and the data of a sandbox that was killed, or that lived in a
//! test's static, is removed by the next start.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cache;
use crate::error::SandboxError;

const LOCK: &str = "sandbox.lock";
const STATE: &str = "sandbox.json";
const KEEP: &str = "keep";

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

/// A directory that belongs to this process.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Made by us, under a name of our own, so the directory itself can go too.
    anonymous: bool,
    keep: bool,
    _lock: File,
}

impl Directory {
    /// Takes `dir`, or a new directory of our own. Without `keep`, what an earlier sandbox left in it is removed.
    pub(crate) fn take(dir: Option<&Path>, keep: bool) -> Result<Self, SandboxError> {
        // Held until the new directory is locked, or a sandbox that starts beside this one would sweep it away.
        let mut _sweeping = None;
        let (path, anonymous) = match dir {
            Some(dir) => (dir.to_path_buf(), false),
            None => {
                let runs = cache::runs()?;
                _sweeping = Some(lock_runs(&runs)?);
                sweep(&runs);
                (new_run(&runs)?, true)
            }
        };
        cache::make_dir(&path)?;
        // The components get paths on their command lines, and work elsewhere.
        let path = path.canonicalize().map_err(|e| SandboxError::io("resolve", &path, e))?;
        let lock_path = path.join(LOCK);
        if !lock_path.exists() && !is_empty(&path)? {
            return Err(SandboxError::DirForeign { dir: path });
        }
        let lock = File::create(&lock_path).map_err(|e| SandboxError::io("create", &lock_path, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = read_state(&path).map(|state| format!(" (process {})", state.pid)).unwrap_or_default();
                return Err(SandboxError::DirInUse { dir: path, pid });
            }
            Err(TryLockError::Error(e)) => return Err(SandboxError::io("lock", &lock_path, e)),
        }
        let directory = Self { path, anonymous, keep, _lock: lock };
        if !keep {
            directory.empty()?;
        } else {
            cache::write_atomically(&directory.path.join(KEEP), "")?;
        }
        // It described the sandbox before this one.
        let _ = fs::remove_file(directory.path.join(STATE));
        Ok(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells other processes how to reach the sandbox.
    pub(crate) fn publish(&self, state: &State) -> Result<(), SandboxError> {
        let text = serde_json::to_string_pretty(state).unwrap_or_default();
        cache::write_atomically(&self.path.join(STATE), &text)
    }

    /// Ends the use of the directory in good order.
    pub(crate) fn release(self) -> Result<(), SandboxError> {
        let _ = fs::remove_file(self.path.join(STATE));
        if self.keep {
            return Ok(());
        }
        if self.anonymous {
            return fs::remove_dir_all(&self.path).map_err(|e| SandboxError::io("remove", &self.path, e));
        }
        self.empty()?;
        let _ = fs::remove_file(self.path.join(LOCK));
        Ok(())
    }

    fn empty(&self) -> Result<(), SandboxError> {
        let wrap = |e| SandboxError::io("empty", &self.path, e);
        for entry in fs::read_dir(&self.path).map_err(wrap)? {
            let entry = entry.map_err(wrap)?;
            if entry.file_name() == LOCK {
                continue;
            }
            let is_dir = entry.file_type().map_err(wrap)?.is_dir();
            if is_dir { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }.map_err(wrap)?;
        }
        Ok(())
    }
}

/// Makes a directory of our own.
fn new_run(runs: &Path) -> Result<PathBuf, SandboxError> {
    let made = tempfile::Builder::new().prefix("run-").rand_bytes(8).tempdir_in(runs);
    Ok(made.map_err(|e| SandboxError::io("create a directory in", runs, e))?.keep())
}

fn lock_runs(runs: &Path) -> Result<File, SandboxError> {
    cache::make_dir(runs)?;
    let path = runs.join("runs.lock");
    let file = File::create(&path).map_err(|e| SandboxError::io("create", &path, e))?;
    file.lock().map_err(|e| SandboxError::io("lock", &path, e))?;
    Ok(file)
}

/// Removes what sandboxes left that did not end in good order. Best effort: it is not why anybody started one.
fn sweep(runs: &Path) {
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let path = entry.path();
        // What has no lock is not a sandbox's.
        let Ok(lock) = File::open(path.join(LOCK)) else { continue };
        if !path.join(KEEP).exists() && lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn is_empty(dir: &Path) -> Result<bool, SandboxError> {
    Ok(fs::read_dir(dir).map_err(|e| SandboxError::io("read", dir, e))?.next().is_none())
}

fn read_state(dir: &Path) -> Option<State> {
    serde_json::from_str(&fs::read_to_string(dir.join(STATE)).ok()?).ok()
}

/// Makes `dir` the sandbox that [`find`] finds when no directory is named.
pub fn make_current(dir: &Path) -> Result<(), SandboxError> {
    cache::write_atomically(&cache::current_pointer()?, &dir.display().to_string())
}

/// The state of the sandbox that runs in `dir`, or of the one that was started last.
pub fn find(dir: Option<&Path>) -> Result<State, SandboxError> {
    let place = dir.map(|dir| format!(" in {}", dir.display())).unwrap_or_default();
    let none = || SandboxError::NoSandbox { place: place.clone() };
    let dir = match dir {
        Some(dir) => dir.to_path_buf(),
        None => match fs::read_to_string(cache::current_pointer()?) {
            Ok(dir) => PathBuf::from(dir),
            Err(e) if e.kind() == ErrorKind::NotFound => return Err(none()),
            Err(e) => return Err(SandboxError::io("read", &cache::current_pointer()?, e)),
        },
    };
    let lock = File::open(dir.join(LOCK)).map_err(|_| none())?;
    if lock.try_lock().is_ok() {
        return Err(none());
    }
    read_state(&dir).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            pid: 42,
            apiserver_url: "https://127.0.0.1:1".into(),
            kubeconfig: "/k".into(),
            control_plane: "/c".into(),
        }
    }

    #[test]
    fn a_running_sandbox_is_found_and_one_that_ended_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::take(Some(dir.path()), false).unwrap();
        directory.publish(&state()).unwrap();
        assert_eq!(find(Some(dir.path())).unwrap().pid, 42);
        // Dropped without being released, as if its process had been killed.
        drop(directory);
        assert!(matches!(find(Some(dir.path())), Err(SandboxError::NoSandbox { .. })));
    }

    #[test]
    fn a_directory_has_one_sandbox_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Directory::take(Some(dir.path()), false).unwrap();
        first.publish(&state()).unwrap();
        let error = Directory::take(Some(dir.path()), false).unwrap_err().to_string();
        assert!(error.contains("process 42") && error.contains("--dir"), "{error}");
    }

    #[test]
    fn a_directory_with_other_files_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
        assert!(matches!(Directory::take(Some(dir.path()), false), Err(SandboxError::DirForeign { .. })));
        assert!(dir.path().join("thesis.txt").exists());
    }

    #[test]
    fn data_is_kept_only_if_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Directory::take(Some(dir.path()), true).unwrap();
        fs::write(kept.path().join("data"), "").unwrap();
        kept.release().unwrap();
        let again = Directory::take(Some(dir.path()), true).unwrap();
        assert!(again.path().join("data").exists());
        drop(again);
        let fresh = Directory::take(Some(dir.path()), false).unwrap();
        assert!(!fresh.path().join("data").exists());
    }

    #[test]
    fn what_a_killed_sandbox_left_is_swept_and_what_is_kept_or_running_stays() {
        let runs = tempfile::tempdir().unwrap();
        let run = |name: &str| {
            let path = runs.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join(LOCK), "").unwrap();
            path
        };
        let (dead, kept, alive) = (run("dead"), run("kept"), run("alive"));
        fs::write(kept.join(KEEP), "").unwrap();
        let lock = File::open(alive.join(LOCK)).unwrap();
        lock.lock().unwrap();
        sweep(runs.path());
        assert!(!dead.exists());
        assert!(kept.exists() && alive.exists());
    }
}
