//! Where the sandbox keeps things between runs, all under the user's cache directory: the built binaries, the data of
//! sandboxes that were given no directory, and a list of those that run.
//!
//! Everything here may be deleted at any time while no sandbox runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};

use crate::error::SandboxError;

/// The root of the cache, `~/.cache/nodeward/sandbox` unless XDG_CACHE_HOME says otherwise.
pub fn root() -> Result<PathBuf, SandboxError> {
    let strategy = choose_base_strategy().map_err(|_| SandboxError::NoHome)?;
    Ok(strategy.cache_dir().join("nodeward").join("sandbox"))
}

/// The folder in which sandboxes without a directory of their own keep their data.
pub(crate) fn runs() -> Result<PathBuf, SandboxError> {
    Ok(root()?.join("runs"))
}

/// Makes a directory with its parents.
pub(crate) fn make_dir(path: &Path) -> Result<(), SandboxError> {
    fs::create_dir_all(path).map_err(|e| SandboxError::io("create the directory", path, e))
}

/// Waits for a lock, which lasts as long as the file that is returned.
pub(crate) fn lock(path: &Path) -> Result<File, SandboxError> {
    let file = File::create(path).map_err(|e| SandboxError::io("create", path, e))?;
    file.lock().map_err(|e| SandboxError::io("lock", path, e))?;
    Ok(file)
}

/// Writes a file so that a reader sees the old text or the new one, never a part.
pub(crate) fn write_atomically(path: &Path, text: &str) -> Result<(), SandboxError> {
    let wrap = |e| SandboxError::io("write", path, e);
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let file = tempfile::NamedTempFile::new_in(dir).map_err(wrap)?;
    fs::write(file.path(), text).map_err(wrap)?;
    file.persist(path).map_err(|e| wrap(e.error))?;
    Ok(())
}
