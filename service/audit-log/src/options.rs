//! How a log is kept.

use std::path::PathBuf;
use std::time::Duration;

/// How a log is kept. The defaults fit an audit log: change what a test or a small disk needs otherwise.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of the log. Made if it is missing.
    pub dir: PathBuf,
    /// The file of the private key. Made with the log if it is missing; a log that is there needs the key it was begun with.
    pub key_file: PathBuf,
    /// A segment that has this many bytes is closed, and another begun. 64 MiB.
    pub segment_bytes: u64,
    /// At most this many entries stay without a signature. 1000.
    pub checkpoint_entries: u64,
    /// An entry stays without a signature for at most this long. One minute.
    pub checkpoint_interval: Duration,
    /// How many bytes of records may wait to be written; who comes then waits in line. 16 MiB.
    pub queue_bytes: u32,
}

impl Options {
    /// The log in this directory, with this key.
    pub fn new(dir: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            key_file: key_file.into(),
            segment_bytes: 64 << 20,
            checkpoint_entries: 1000,
            checkpoint_interval: Duration::from_secs(60),
            queue_bytes: 16 << 20,
        }
    }
}

/// What is to stay when old segments are removed. Whole segments go, never the one that is written to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    /// Segments go if all their entries are older.
    pub max_age: Option<Duration>,
    /// The oldest segments go until the rest has no more bytes than this.
    pub max_bytes: Option<u64>,
}
