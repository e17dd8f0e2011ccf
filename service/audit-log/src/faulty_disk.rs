//! A disk that fails when it is told to, on top of a real one. Nothing is really synced: the machine won't crash.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::disk::{Disk, DiskFile, RealDisk};

/// How a disk fails.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// How many more bytes fit, if it is limited. What doesn't fit is written in part.
    pub room: Option<usize>,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// How many syncs of files fail from now on.
    pub failing_syncs: usize,
    /// Whether what a failed sync should have made durable is gone. Linux may do that, and does not say so again.
    pub failed_syncs_lose: bool,
    /// Whether files can't be cut.
    pub cannot_cut: bool,
    /// Whether files can't be made.
    pub cannot_create: bool,
    /// How many syncs of directories fail from now on.
    pub failing_dir_syncs: usize,
    /// How many syncs of files were begun.
    pub syncs: usize,
    /// Whether they take until [`FaultyDisk::release`].
    pub held: bool,
}

/// The disk. Clones share their faults.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyDisk(Arc<(Mutex<Faults>, Condvar)>);

struct FaultyFile {
    file: Box<dyn DiskFile>,
    len: u64,
    unsynced: u64,
    disk: FaultyDisk,
}

fn error(kind: io::ErrorKind) -> io::Error {
    io::Error::from(kind)
}

impl FaultyDisk {
    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.0.0.lock().unwrap()
    }

    /// Lets the syncs go on that are held.
    pub(crate) fn release(&self) {
        self.faults().held = false;
        self.0.1.notify_all();
    }

    fn writable(&self) -> io::Result<()> {
        if self.faults().read_only { Err(error(io::ErrorKind::ReadOnlyFilesystem)) } else { Ok(()) }
    }

    fn wrap(&self, path: &Path, file: Box<dyn DiskFile>) -> io::Result<Box<dyn DiskFile>> {
        let len = file.len_at(path)?.unwrap_or_default();
        Ok(Box::new(FaultyFile { file, len, unsynced: 0, disk: self.clone() }))
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.writable()?;
        if self.faults().cannot_create {
            return Err(error(io::ErrorKind::PermissionDenied));
        }
        self.wrap(path, RealDisk.create(path)?)
    }

    fn append_to(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.writable()?;
        self.wrap(path, RealDisk.append_to(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.writable()?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.writable()?;
        RealDisk.remove(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut faults = self.faults();
        if faults.failing_dir_syncs > 0 {
            faults.failing_dir_syncs -= 1;
            return Err(error(io::ErrorKind::Other));
        }
        Ok(())
    }
}

impl DiskFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.writable()?;
        let mut faults = self.disk.faults();
        let fits = faults.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        self.file.append(&bytes[..fits])?;
        faults.room = faults.room.map(|room| room - fits);
        self.unsynced += fits as u64;
        self.len += fits as u64;
        if fits < bytes.len() { Err(error(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut faults = self.disk.faults();
        faults.syncs += 1;
        faults = self.disk.0.1.wait_while(faults, |faults| faults.held).unwrap();
        if faults.failing_syncs > 0 {
            faults.failing_syncs -= 1;
            if faults.failed_syncs_lose {
                self.file.set_len(self.len - self.unsynced)?;
                self.file.set_len(self.len)?;
            }
            return Err(error(io::ErrorKind::Other));
        }
        self.unsynced = 0;
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.disk.writable()?;
        if self.disk.faults().cannot_cut {
            return Err(error(io::ErrorKind::Other));
        }
        let freed = self.len.saturating_sub(len);
        if let Some(room) = &mut self.disk.faults().room {
            *room += freed as usize;
        }
        self.unsynced = self.unsynced.saturating_sub(freed);
        self.len = len;
        self.file.set_len(len)
    }

    fn len_at(&self, path: &Path) -> io::Result<Option<u64>> {
        self.file.len_at(path)
    }
}
