//! What the writer does to files, behind a seam: so that tests can let a disk be full, fail, or lose what was not synced.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A file system, as far as the writer needs one.
pub(crate) trait Disk: Send {
    /// Makes a file to append to, or empties the one that is there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file, to append to it.
    fn append_to(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name. A file that has that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open file.
pub(crate) trait DiskFile: Send {
    /// Writes at the end of the file.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// The file's length, if it is still the one at this path; `None` if that is another file, or none.
    fn len_at(&self, path: &Path) -> io::Result<Option<u64>>;
}

/// The real one.
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = Access::Group.apply(OpenOptions::new().append(true).create(true)).open(path)?;
        file.set_len(0)?;
        Ok(Box::new(file))
    }

    fn append_to(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().append(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        sync_dir(dir)
    }
}

impl DiskFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn len_at(&self, path: &Path) -> io::Result<Option<u64>> {
        let there = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            there => there?,
        };
        let here = self.metadata()?;
        Ok(((here.dev(), here.ino()) == (there.dev(), there.ino())).then_some(here.len()))
    }
}

/// Who may use a file that is made.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// Its owner alone.
    Owner,
    /// Its group may read it: auditors, and programs that send logs elsewhere.
    Group,
}

impl Access {
    /// These options, with the mode for this access.
    pub(crate) fn apply(self, options: &mut OpenOptions) -> &mut OpenOptions {
        options.mode(match self {
            Self::Owner => 0o600,
            Self::Group => 0o640,
        })
    }
}

/// The permission bits of a file.
pub(crate) fn mode(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o777
}

/// Makes a directory for the log, and what it is in, unless it is there.
pub(crate) fn create_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_dir(parent)?;
    }
    DirBuilder::new().mode(0o750).create(dir)?;
    sync_dir_of(dir)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes the name of this file durable.
pub(crate) fn sync_dir_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => sync_dir(dir),
        _ => sync_dir(Path::new(".")),
    }
}
