//! Builds the control plane from its Go modules, once per version, into the user's cache.
//!
//! The Go sources are part of this crate's binary, so a program that uses the library can build from any directory.
//! Builds are guarded by a file lock and moved into place when complete: of many callers at once one builds and the
//! others wait, and a build that is interrupted leaves nothing that could be mistaken for a finished one.

mod go;
mod leashed;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::cache;
use crate::error::SandboxError;
use crate::progress::Progress;

/// The version of Kubernetes that is built.
pub const KUBERNETES_VERSION: &str = "v1.36.3";

/// The Go module, file by file.
const SOURCES: [(&str, &str); 5] = [
    ("go.mod", include_str!("../../go/go.mod")),
    ("go.sum", include_str!("../../go/go.sum")),
    ("controlplane/main.go", include_str!("../../go/controlplane/main.go")),
    ("kwok/main.go", include_str!("../../go/kwok/main.go")),
    ("leash/leash.go", include_str!("../../go/leash/leash.go")),
];

/// The commands of the module, which are also the names of their binaries.
const COMMANDS: [&str; 2] = ["controlplane", "kwok"];

/// Debugging information that the linker would strip is not made in the first place: 13 % less work for the compiler.
const COMPILER_FLAGS: &str = "all=-dwarf=false";

/// How the directories of builds that are under way are called.
const WORK_PREFIX: &str = "build-";

/// How often a build by another process is looked after.
const LOCK_EVERY: Duration = Duration::from_millis(200);

/// The built binaries.
#[derive(Debug, Clone)]
pub struct Binaries {
    dir: PathBuf,
}

impl Binaries {
    /// etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubectl: the first argument says which.
    pub fn control_plane(&self) -> PathBuf {
        self.dir.join("controlplane")
    }

    /// kwok.
    pub fn kwok(&self) -> PathBuf {
        self.dir.join("kwok")
    }

    fn complete(&self) -> bool {
        COMMANDS.iter().all(|command| self.dir.join(command).is_file())
    }
}

/// Finds the binaries of this version in the cache, or builds them, which takes minutes. Dropped before, it ends the
/// build.
pub(crate) async fn ensure(progress: Progress) -> Result<Binaries, SandboxError> {
    ensure_in(&cache::root()?, progress).await
}

async fn ensure_in(root: &Path, progress: Progress) -> Result<Binaries, SandboxError> {
    let binaries = Binaries { dir: root.join(version_key()) };
    if binaries.complete() {
        return Ok(binaries);
    }
    cache::make_dir(root)?;
    // A build is always shown: minutes of silence look like a hang.
    let progress = if progress == Progress::Quiet { Progress::auto() } else { progress };
    let _lock = lock(root, progress).await?;
    if binaries.complete() {
        return Ok(binaries);
    }

    remove_interrupted(root);
    let work = tempfile::Builder::new()
        .prefix(WORK_PREFIX)
        .tempdir_in(root)
        .map_err(|e| SandboxError::io("create a directory in", root, e))?;
    let (source, output) = (work.path().join("src"), work.path().join("bin"));
    write_sources(&source)?;
    cache::make_dir(&output)?;
    go::build(&source, &output, &COMMANDS, &version_flags(), progress).await?;

    // What may be there is incomplete, or it would have been used.
    let _ = fs::remove_dir_all(&binaries.dir);
    fs::rename(&output, &binaries.dir).map_err(|e| SandboxError::io("move the build to", &binaries.dir, e))?;
    Ok(binaries)
}

/// Removes what builds left that were killed. The lock is held: none is under way.
fn remove_interrupted(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name().to_string_lossy().starts_with(WORK_PREFIX) {
            let _ = fs::remove_dir_all(path);
        }
    }
}

async fn lock(root: &Path, progress: Progress) -> Result<File, SandboxError> {
    let path = root.join("build.lock");
    let file = File::create(&path).map_err(|e| SandboxError::io("create", &path, e))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(e)) => return Err(SandboxError::io("lock", &path, e)),
    }
    let waiting = progress.step("Waiting for another process that builds the control plane");
    // Asked for again and again, since a thread that blocks on it could not be called off.
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_EVERY).await,
            Err(TryLockError::Error(e)) => return Err(SandboxError::io("lock", &path, e)),
        }
    }
    waiting.done();
    Ok(file)
}

fn write_sources(dir: &Path) -> Result<(), SandboxError> {
    for (name, text) in SOURCES {
        let path = dir.join(name);
        cache::make_dir(path.parent().unwrap_or(dir))?;
        fs::write(&path, text).map_err(|e| SandboxError::io("write", &path, e))?;
    }
    Ok(())
}

/// Names everything that the binaries depend on: another version never meets the binaries of this one.
fn version_key() -> String {
    let mut hash = Sha256::new();
    let linker_flags = version_flags();
    let settings = [std::env::consts::OS, std::env::consts::ARCH, COMPILER_FLAGS, &linker_flags];
    let parts = SOURCES.iter().flat_map(|(name, text)| [*name, *text]).chain(settings);
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Linker flags that give the binaries their version: without them kubectl cannot parse its own.
fn version_flags() -> String {
    let mut parts = KUBERNETES_VERSION.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut flags = String::from("-s -w");
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        for (name, value) in [("gitVersion", KUBERNETES_VERSION), ("gitMajor", major), ("gitMinor", minor)] {
            flags.push_str(&format!(" -X {package}.{name}={value}"));
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_module() {
        assert!(SOURCES[0].1.contains(&format!("k8s.io/kubernetes {KUBERNETES_VERSION}\n")));
        assert!(version_flags().contains("-X k8s.io/component-base/version.gitMinor=36"));
    }

    #[tokio::test]
    async fn a_complete_build_is_used_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join(version_key());
        fs::create_dir(&dir).unwrap();
        for command in COMMANDS {
            fs::write(dir.join(command), "").unwrap();
        }
        let binaries = ensure_in(root.path(), Progress::Quiet).await.unwrap();
        assert_eq!(binaries.control_plane(), dir.join("controlplane"));
    }
}
