//! The directory of a sandbox: whose it is, what is kept, what is swept away.
//!
//! A lock in the directory is held for as long as its sandbox lives; the kernel releases it however the sandbox ends.
//! So "is it running" needs no guess about process ids, and the data of a sandbox that was killed, or that lived in a
//! test's static, is removed by the next start. What somebody else has put into the directory is never removed, unless
//! we made the directory under a name of our own.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::cache;
use crate::error::SandboxError;
use crate::layout::{ENTRIES, ETCD, KEEP, LOCK, STATE};
use crate::running::State;

/// For how long a lock that is taken may be that of somebody who only looks whether a sandbox runs.
const LOOK: Duration = Duration::from_secs(1);

/// How often it is tried until then.
const LOCK_EVERY: Duration = Duration::from_millis(20);

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
                cache::make_dir(&runs)?;
                _sweeping = Some(cache::lock(&runs.join("runs.lock"))?);
                sweep(&runs);
                (new_run(&runs)?, true)
            }
        };
        cache::make_dir(&path)?;
        // The components get paths on their command lines, and work elsewhere.
        let path = path.canonicalize().map_err(|e| SandboxError::io("resolve", &path, e))?;
        let lock = lock(&path)?;
        if !keep && keeps_data(&path) {
            return Err(SandboxError::DirKept { dir: path });
        }
        let directory = Self { path, anonymous, keep, _lock: lock };
        if keep {
            cache::write_atomically(&directory.path.join(KEEP), "")?;
        } else {
            directory.empty(&[])?;
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
        state.write(&self.path)
    }

    /// Ends the use of the directory in good order. Without `keep`, nothing stays but the entries in `leaving`, and those
    /// until the next start.
    pub(crate) fn release(self, leaving: &[&str]) -> Result<(), SandboxError> {
        let _ = fs::remove_file(self.path.join(STATE));
        if self.keep {
            return Ok(());
        }
        if self.anonymous && leaving.is_empty() {
            return fs::remove_dir_all(&self.path).map_err(|e| SandboxError::io("remove", &self.path, e));
        }
        self.empty(leaving)?;
        // Beside other files it stays, and says that a sandbox may start here again.
        if entries(&self.path)? == 1 {
            let _ = fs::remove_file(self.path.join(LOCK));
        }
        Ok(())
    }

    /// Removes what sandboxes put here, but for the entries in `leaving`.
    fn empty(&self, leaving: &[&str]) -> Result<(), SandboxError> {
        for name in ENTRIES.iter().filter(|name| !leaving.contains(name)) {
            let path = self.path.join(name);
            let removed = fs::symlink_metadata(&path).and_then(|found| match found.is_dir() {
                true => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            });
            match removed {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(SandboxError::io("remove", &path, e)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Locks a directory that is a sandbox's or empty.
fn lock(dir: &Path) -> Result<File, SandboxError> {
    let path = dir.join(LOCK);
    if !path.exists() && entries(dir)? > 0 {
        return Err(SandboxError::DirForeign { dir: dir.to_path_buf() });
    }
    let begun = Instant::now();
    loop {
        let lock = File::create(&path).map_err(|e| SandboxError::io("create", &path, e))?;
        match lock.try_lock() {
            Ok(()) if is_at(&lock, &path) => return Ok(lock),
            // The sandbox that had it has ended, and removed it.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOOK => thread::sleep(LOCK_EVERY),
            Err(TryLockError::WouldBlock) => {
                let pid = State::read(dir).map(|state| format!(" (process {})", state.pid)).unwrap_or_default();
                return Err(SandboxError::DirInUse { dir: dir.to_path_buf(), pid });
            }
            Err(TryLockError::Error(e)) => return Err(SandboxError::io("lock", &path, e)),
        }
    }
}

/// Whether this is the file that others find at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let id = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
    matches!((file.metadata(), fs::metadata(path)), (Ok(file), Ok(found)) if id(&file) == id(&found))
}

/// Whether there is data that is to be kept. A start that failed before there was any has nothing to lose.
fn keeps_data(dir: &Path) -> bool {
    dir.join(KEEP).exists() && dir.join(ETCD).exists()
}

fn entries(dir: &Path) -> Result<usize, SandboxError> {
    Ok(fs::read_dir(dir).map_err(|e| SandboxError::io("read", dir, e))?.count())
}

/// Makes a directory of our own.
fn new_run(runs: &Path) -> Result<PathBuf, SandboxError> {
    let made = tempfile::Builder::new().prefix("run-").rand_bytes(8).tempdir_in(runs);
    Ok(made.map_err(|e| SandboxError::io("create a directory in", runs, e))?.keep())
}

/// Removes what sandboxes left that did not end in good order. Best effort: it is not why anybody started one.
fn sweep(runs: &Path) {
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let path = entry.path();
        // What has no lock is not a sandbox's.
        let Ok(lock) = File::open(path.join(LOCK)) else { continue };
        if !keeps_data(&path) && lock.try_lock_shared().is_ok() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::LOGS;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tempfile::TempDir;

    fn take(dir: &TempDir, keep: bool) -> Result<Directory, SandboxError> {
        Directory::take(Some(dir.path()), keep)
    }

    /// Puts into the directory what a sandbox would.
    fn fill(directory: &Directory) {
        for name in [ETCD, LOGS] {
            fs::create_dir(directory.path().join(name)).unwrap();
            fs::write(directory.path().join(name).join("file"), "").unwrap();
        }
    }

    fn names(dir: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_directory_has_one_sandbox_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = take(&dir, false).unwrap();
        let (apiserver_url, kubeconfig, control_plane) = Default::default();
        first.publish(&State { pid: 42, apiserver_url, kubeconfig, control_plane }).unwrap();
        let error = take(&dir, false).unwrap_err().to_string();
        assert!(error.contains("process 42") && error.contains("--dir"), "{error}");
    }

    #[test]
    fn those_who_look_whether_a_sandbox_runs_do_not_hinder_one_that_starts() {
        let dir = tempfile::tempdir().unwrap();
        take(&dir, false).unwrap();
        let started = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !started.load(Ordering::Relaxed) {
                    assert!(crate::running::find(Some(dir.path())).is_err());
                }
            });
            let taken: Vec<_> = (0..100).map(|_| take(&dir, false).map(drop)).collect();
            started.store(true, Ordering::Relaxed);
            assert!(taken.iter().all(Result::is_ok), "{taken:?}");
        });
    }

    #[test]
    fn the_lock_of_a_sandbox_that_ended_and_removed_it_is_worth_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let first = take(&dir, false).unwrap();
        let path = dir.path().join(LOCK);
        let old = File::open(&path).unwrap();
        assert!(is_at(&old, &path));
        first.release(&[]).unwrap();
        assert!(!is_at(&old, &path));
        let _second = take(&dir, false).unwrap();
        assert!(!is_at(&old, &path));
    }

    #[test]
    fn a_directory_with_other_files_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
        assert!(matches!(take(&dir, false), Err(SandboxError::DirForeign { .. })));
        assert_eq!(names(&dir), ["thesis.txt"]);
    }

    #[test]
    fn files_that_are_put_beside_the_data_stay_and_do_not_hinder_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let directory = take(&dir, false).unwrap();
        fill(&directory);
        fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
        directory.release(&[]).unwrap();
        assert_eq!(names(&dir), [LOCK, "thesis.txt"]);
        // Dropped without being released, as if its process had been killed.
        fill(&take(&dir, false).unwrap());
        let _next = take(&dir, false).unwrap();
        assert_eq!(names(&dir), [LOCK, "thesis.txt"]);
    }

    #[test]
    fn a_directory_without_other_files_is_empty_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let directory = take(&dir, false).unwrap();
        fill(&directory);
        directory.release(&[]).unwrap();
        assert_eq!(names(&dir), [""; 0]);
    }

    #[test]
    fn what_is_left_stays_until_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let directory = take(&dir, false).unwrap();
        fill(&directory);
        directory.release(&[LOGS]).unwrap();
        assert_eq!(names(&dir), [LOGS, LOCK]);
        let _next = take(&dir, false).unwrap();
        assert_eq!(names(&dir), [LOCK]);
    }

    #[test]
    fn kept_data_is_there_again_and_nobody_removes_it_by_mistake() {
        let dir = tempfile::tempdir().unwrap();
        let kept = take(&dir, true).unwrap();
        fill(&kept);
        kept.release(&[]).unwrap();
        let error = take(&dir, false).unwrap_err().to_string();
        assert!(error.contains("add --keep") && error.contains(&dir.path().display().to_string()), "{error}");
        take(&dir, true).unwrap();
        assert!(dir.path().join(ETCD).join("file").exists());
    }

    #[test]
    fn a_start_that_failed_before_there_was_data_keeps_none() {
        let dir = tempfile::tempdir().unwrap();
        drop(take(&dir, true).unwrap());
        drop(take(&dir, false).unwrap());
        assert_eq!(names(&dir), [LOCK]);
    }

    #[test]
    fn what_a_killed_sandbox_left_is_swept_and_what_is_kept_or_running_stays() {
        let runs = tempfile::tempdir().unwrap();
        let run = |name: &str, keep: bool| {
            let directory = Directory::take(Some(&runs.path().join(name)), keep).unwrap();
            fill(&directory);
            directory
        };
        let alive = run("alive", false);
        let [dead, kept] = [run("dead", false), run("kept", true)].map(|run| run.path().to_path_buf());
        sweep(runs.path());
        assert!(!dead.exists());
        assert!(kept.exists() && alive.path().exists());
    }
}
