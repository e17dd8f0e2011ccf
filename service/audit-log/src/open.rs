//! Opens a log: begins it, or finds out where it goes on. What doesn't fit together is refused, never mended in silence.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use uuid::Uuid;

use crate::back_lines::BackLines;
use crate::checkpoint::Checkpoint;
use crate::disk::{self, Access, Disk};
use crate::entry::{Body, Entry, FORMAT_VERSION, Header};
use crate::error::{IoFault, OpenError};
use crate::hash::{LineHash, Position};
use crate::key::SigningKey;
use crate::options::Options;
use crate::problem::{Place, Problem, What, Witness};
use crate::rules::Rules;
use crate::scan::{Scan, ScanError, scan};
use crate::segment::{Segment, file_name, head_path, holding, lock_path, new_head_path, segments};
use crate::tail::{Batch, Tail};

/// A log that can be gone on with.
pub(crate) struct Opened {
    pub tail: Tail,
    pub key: SigningKey,
    pub log: Uuid,
    /// The last checkpoint that is known.
    pub checkpoint: Checkpoint,
    /// Whether the file `head` has an older one.
    pub head_is_old: bool,
    /// How many entries come after the last checkpoint.
    pub unsigned: u64,
    /// Whether the log was begun just now.
    pub created: bool,
    /// Held for as long as the log is open.
    pub lock: File,
}

/// Opens the log, and begins it if there is none.
pub(crate) fn open(options: &Options, disk: Box<dyn Disk>) -> Result<Opened, OpenError> {
    let dir = &options.dir;
    disk::create_dir(dir).map_err(IoFault::when("make", dir))?;
    let lock = lock(dir)?;
    let segments = segments(dir).map_err(IoFault::when("list", dir))?;
    let opened = match segments.last() {
        None => begin(options, disk, lock),
        Some(last) => go_on(options, disk, lock, &segments, last),
    }?;
    remove_unfinished(dir);
    Ok(opened)
}

/// Two writers would continue the log in two ways.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = lock_path(dir);
    let mut file = Access::Group.apply(OpenOptions::new().write(true).create(true).truncate(false)).open(&path);
    if file.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem) {
        // The log can still be read, and refuse to be written.
        file = File::open(&path);
    }
    let file = file.map_err(IoFault::when("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(IoFault::when("lock", &path)(error).into()),
    }
}

/// Removes what a crash has left of files that were being made. If that fails they take up room, nothing else.
fn remove_unfinished(dir: &Path) {
    let names = dir.read_dir().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let unfinished = names.filter(|path| {
        let name = file_name(path);
        *path == new_head_path(dir) || (name.starts_with("audit-") && name.ends_with(".jsonl.new"))
    });
    for path in unfinished {
        let _ = fs::remove_file(path);
    }
}

fn begin(options: &Options, disk: Box<dyn Disk>, lock: File) -> Result<Opened, OpenError> {
    let dir = &options.dir;
    if head_path(dir).exists() {
        return Err(broken(dir, Place { file: "head".to_owned(), line: None, sequence: None }, What::Empty));
    }
    let key = SigningKey::load_or_create(&options.key_file)?;
    let log = Uuid::new_v4();
    let mut batch = Batch::after(Position::START);
    batch.push(Body::Header(Header { version: FORMAT_VERSION, log, key: key.public_key() }));
    let checkpoint = batch.seal(&key, log);
    let mut tail = Tail::none(disk, dir);
    tail.begin_segment(&batch)?;
    tail.write_head(&checkpoint)?;
    Ok(Opened { tail, key, log, checkpoint, head_is_old: false, unsigned: 0, created: true, lock })
}

fn go_on(
    options: &Options,
    disk: Box<dyn Disk>,
    lock: File,
    segments: &[Segment],
    last: &Segment,
) -> Result<Opened, OpenError> {
    let dir = &options.dir;
    let refused = |error| match error {
        ScanError::Read { path, source } => IoFault { action: "read", path, source }.into(),
        ScanError::Broken(problem) => OpenError::Broken { dir: dir.clone(), problem },
    };
    let key = SigningKey::load(&options.key_file)?;
    let head = read_head(dir)?;
    let wanted = head.as_ref().map_or(0, |head| head.position().sequence);
    let scan = scan(last, u64::MAX, wanted).map_err(refused)?;
    if scan.header.key != key.public_key() {
        return Err(OpenError::OtherKey { dir: dir.clone(), log: scan.header.key, file: key.public_key() });
    }
    check_link(dir, segments, &scan)?;
    match &head {
        Some(head) => check_head(dir, segments, &scan, head).map_err(refused)?,
        None if is_just_begun(last, &scan) => {}
        None => return Err(head_missing(dir)),
    }
    let checkpoint = scan.checkpoint.clone().or_else(|| head.clone()).ok_or_else(|| head_missing(dir))?;
    let head_is_old = head.is_none_or(|head| head.position() != checkpoint.position());
    let (log, unsigned) = (scan.header.log, scan.unsigned);
    let tail = Tail::new(disk, dir, last.clone(), &scan);
    Ok(Opened { tail, key, log, checkpoint, head_is_old, unsigned, created: false, lock })
}

/// Whether the last segment continues the one before it.
fn check_link(dir: &Path, segments: &[Segment], scan: &Scan) -> Result<(), OpenError> {
    let [.., before, last] = segments else { return Ok(()) };
    let end = last_entry(before).map_err(IoFault::when("read", &before.path))?;
    let place = |segment: &Segment, line, sequence| Place { file: segment.name(), line, sequence: Some(sequence) };
    match end {
        Some(end) if end.sequence + 1 == last.first && end.hash == scan.previous => Ok(()),
        Some(end) if end.sequence + 1 == last.first => {
            Err(broken(dir, place(before, None, end.sequence), What::Changed))
        }
        end => {
            let from = end.map_or(before.first, |end| end.sequence + 1);
            Err(broken(dir, place(last, Some(1), last.first), What::Missing { from, to: last.first - 1 }))
        }
    }
}

fn last_entry(segment: &Segment) -> io::Result<Option<Position>> {
    let line = BackLines::open(&segment.path)?.next()?;
    let text = line.and_then(|line| String::from_utf8(line).ok());
    Ok(text.and_then(|text| Some(Entry::parse(&text).ok()?.position(&text))))
}

/// Whether the log has what the file `head` says it had.
fn check_head(dir: &Path, segments: &[Segment], last: &Scan, head: &Checkpoint) -> Result<(), ScanError> {
    let in_head = Place { file: "head".to_owned(), line: None, sequence: Some(head.position().sequence) };
    let problem = |place, what| Err(ScanError::Broken(Box::new(Problem { place, what })));
    let (position, witness) = (head.position(), Witness::Head);
    if let Err(reason) = Rules::of(&last.header).vouch_for(head) {
        return problem(in_head, What::NoCheckpoint { witness, reason });
    }
    let segment = holding(segments, position.sequence);
    let file = segment.map_or_else(|| dir.display().to_string(), Segment::name);
    if position.sequence > last.tip.sequence {
        let place = Place { file, line: None, sequence: Some(last.tip.sequence) };
        return problem(place, What::Truncated { position, witness });
    }
    let found = match (last.wanted, segment) {
        // The head is of an older segment: it could not be replaced since.
        (None, Some(segment)) => scan(segment, u64::MAX, position.sequence)?.wanted,
        (found, _) => found,
    };
    if found == Some(position.hash) {
        return Ok(());
    }
    problem(Place { file, line: None, sequence: Some(position.sequence) }, What::Differs { position, witness })
}

/// Whether a crash can have come before the first `head` was written.
fn is_just_begun(segment: &Segment, scan: &Scan) -> bool {
    (segment.first, scan.previous, scan.tip.sequence, scan.unsigned) == (1, LineHash::NONE, 2, 0)
}

fn head_missing(dir: &Path) -> OpenError {
    broken(dir, Place { file: "head".to_owned(), line: None, sequence: None }, What::HeadMissing)
}

fn read_head(dir: &Path) -> Result<Option<Checkpoint>, OpenError> {
    let path = head_path(dir);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(IoFault::when("read", &path))?,
    };
    let checkpoint = str::from_utf8(&text).map_err(|error| error.to_string());
    let checkpoint = checkpoint.and_then(|text| text.parse::<Checkpoint>().map_err(|error| error.to_string()));
    checkpoint.map(Some).map_err(|reason| {
        let place = Place { file: "head".to_owned(), line: None, sequence: None };
        broken(dir, place, What::NoCheckpoint { witness: Witness::Head, reason })
    })
}

fn broken(dir: &Path, place: Place, what: What) -> OpenError {
    OpenError::Broken { dir: dir.to_owned(), problem: Box::new(Problem { place, what }) }
}
