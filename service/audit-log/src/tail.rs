//! The end of the log on the disk, which only the writer's thread touches.
//!
//! A batch of lines is written and synced as a whole, or the file is cut back to what it was. Once a sync has failed,
//! nothing is known about the file any more (the kernel may have dropped what it could not write, and say so only once):
//! it is then opened anew, its chain read again, and cut, before anything is added to it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use crate::checkpoint::Checkpoint;
use crate::disk::{Disk, DiskFile};
use crate::entry::{Body, Entry};
use crate::error::{AppendError, Damage, IoFault};
use crate::hash::Position;
use crate::key::SigningKey;
use crate::scan::{Scan, scan};
use crate::segment::{Segment, head_path, new_head_path};

/// How far the log is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Durable {
    /// The last entry.
    pub tip: Position,
    /// The first sequence of the segment it is in.
    pub segment: u64,
    /// Where it ends there.
    pub length: u64,
}

/// Lines that are to be written at once.
pub(crate) struct Batch {
    lines: String,
    tip: Position,
    entries: u64,
}

/// The segment that is written to.
pub(crate) struct Tail {
    disk: Box<dyn Disk>,
    dir: PathBuf,
    segment: Segment,
    /// `None` if nothing is known about the file.
    file: Option<Box<dyn DiskFile>>,
    tip: Position,
    length: u64,
}

impl Batch {
    /// Nothing, as yet, to come after this entry.
    pub(crate) fn after(tip: Position) -> Self {
        Self { lines: String::new(), tip, entries: 0 }
    }

    /// Adds an entry.
    pub(crate) fn push(&mut self, body: Body) -> Position {
        let (sequence, previous) = (self.tip.sequence + 1, self.tip.hash);
        let entry = Entry { sequence, time: now(), previous, body };
        let line = entry.to_line();
        let position = entry.position(&line);
        self.add(&line, position);
        position
    }

    /// Adds a checkpoint.
    pub(crate) fn seal(&mut self, key: &SigningKey, log: Uuid) -> Checkpoint {
        let checkpoint = Checkpoint::seal(key, log, now(), self.tip);
        self.add(checkpoint.line(), checkpoint.position());
        checkpoint
    }

    fn add(&mut self, line: &str, position: Position) {
        self.lines.push_str(line);
        self.tip = position;
        self.entries += 1;
    }

    /// How many entries it has.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// How many bytes it has.
    pub(crate) fn bytes(&self) -> u64 {
        self.lines.len() as u64
    }
}

/// To the microsecond, as entries have it.
fn now() -> Timestamp {
    Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap_or_default()
}

impl Tail {
    /// The end of a log whose last segment was read. Nothing is written before [`Tail::attach`].
    pub(crate) fn new(disk: Box<dyn Disk>, dir: &Path, segment: Segment, scan: &Scan) -> Self {
        Self { disk, dir: dir.to_owned(), segment, file: None, tip: scan.tip, length: scan.length }
    }

    /// The end of a log that is yet to be begun.
    pub(crate) fn none(disk: Box<dyn Disk>, dir: &Path) -> Self {
        let segment = Segment::new(dir, 0);
        Self { disk, dir: dir.to_owned(), segment, file: None, tip: Position::START, length: 0 }
    }

    /// How far the log is durable.
    pub(crate) fn durable(&self) -> Durable {
        Durable { tip: self.tip, segment: self.segment.first, length: self.length }
    }

    /// Whether a batch can be written without [`Tail::recover`] before.
    pub(crate) fn is_ready(&self) -> bool {
        self.file.is_some()
    }

    /// Writes the batch, and returns when it is durable. If that fails, nothing of it is in the log. Only for a tail that
    /// is ready.
    pub(crate) fn commit(&mut self, batch: &Batch) -> Result<(), AppendError> {
        let path = &self.segment.path;
        // Only put back if all that is in the file is known.
        let Some(mut file) = self.file.take() else { return Err(AppendError::Closed) };
        let found = file.len_at(path).map_err(IoFault::when("look at", path))?;
        if found != Some(self.length) {
            return Err(Damage::Meddled { path: path.clone(), expected: self.length, found }.into());
        }
        if let Err(error) = file.append(batch.lines.as_bytes()) {
            if file.set_len(self.length).is_ok() {
                self.file = Some(file);
            }
            return Err(IoFault::when("write to", path)(error).into());
        }
        if let Err(error) = file.sync() {
            // Done again before the next batch, but there may be none: what was refused should not be found in the log.
            let _ = file.set_len(self.length);
            return Err(IoFault::when("sync", path)(error).into());
        }
        self.file = Some(file);
        self.tip = batch.tip;
        self.length += batch.bytes();
        Ok(())
    }

    /// Reads the segment again, makes sure that it has all that was durable, and cuts off what else it has. Says how much
    /// that was.
    pub(crate) fn recover(&mut self) -> Result<u64, AppendError> {
        self.file = None;
        let found = scan(&self.segment, self.length, 0)?;
        if (found.tip, found.length) != (self.tip, self.length) {
            let (path, expected, found) = (self.segment.path.clone(), self.tip, found.tip);
            return Err(Damage::OtherEnd { path, expected, found }.into());
        }
        Ok(self.attach()?)
    }

    /// Opens the segment, which was just read, and cuts off what comes after the last entry. Says how much that was.
    pub(crate) fn attach(&mut self) -> Result<u64, IoFault> {
        let path = &self.segment.path;
        let mut file = self.disk.append_to(path).map_err(IoFault::when("open", path))?;
        let bytes = file.len_at(path).map_err(IoFault::when("look at", path))?.unwrap_or_default();
        let surplus = bytes.saturating_sub(self.length);
        if surplus > 0 {
            file.set_len(self.length).map_err(IoFault::when("cut", path))?;
        }
        // What was read may have been in memory only.
        file.sync().map_err(IoFault::when("sync", path))?;
        self.disk.sync_dir(&self.dir).map_err(IoFault::when("sync", &self.dir))?;
        self.file = Some(file);
        Ok(surplus)
    }

    /// Begins a new segment with this batch, the first entry of which is a header. It has its name only once all that is
    /// durable, so that no segment is ever without a header.
    pub(crate) fn begin_segment(&mut self, batch: &Batch) -> Result<(), IoFault> {
        let segment = Segment::new(&self.dir, self.tip.sequence + 1);
        let unfinished = segment.unfinished();
        let mut file = self.disk.create(&unfinished).map_err(IoFault::when("make", &unfinished))?;
        let written = file.append(batch.lines.as_bytes()).and_then(|()| file.sync());
        written.map_err(IoFault::when("write", &unfinished))?;
        self.disk.rename(&unfinished, &segment.path).map_err(IoFault::when("rename", &unfinished))?;
        // From here on the log goes on in this segment: were the last one written to, there would be two continuations.
        (self.segment, self.tip, self.length, self.file) = (segment, batch.tip, batch.bytes(), None);
        self.disk.sync_dir(&self.dir).map_err(IoFault::when("sync", &self.dir))?;
        self.file = Some(file);
        Ok(())
    }

    /// Replaces the file `head`.
    pub(crate) fn write_head(&self, checkpoint: &Checkpoint) -> Result<(), IoFault> {
        let (new, head) = (new_head_path(&self.dir), head_path(&self.dir));
        let mut file = self.disk.create(&new).map_err(IoFault::when("make", &new))?;
        let written = file.append(checkpoint.line().as_bytes()).and_then(|()| file.sync());
        written.map_err(IoFault::when("write", &new))?;
        self.disk.rename(&new, &head).map_err(IoFault::when("rename", &new))?;
        self.disk.sync_dir(&self.dir).map_err(IoFault::when("sync", &self.dir))
    }

    /// Removes segments, oldest first.
    pub(crate) fn remove(&self, segments: &[Segment]) -> Result<(), IoFault> {
        for segment in segments {
            self.disk.remove(&segment.path).map_err(IoFault::when("remove", &segment.path))?;
        }
        self.disk.sync_dir(&self.dir).map_err(IoFault::when("sync", &self.dir))
    }
}
