//! A log to try things with.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nodeward_audit_log::{
    AppendError, AuditLog, Entry, Expected, OpenError, Options, Position, PublicKey, Reader, Record, Report, Verifier,
    What,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(30);

/// The place of a log, and how it is to be kept.
pub struct Fixture {
    dir: TempDir,
    pub options: Options,
}

impl Fixture {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new(dir.path().join("log"), dir.path().join("key.pem"));
        Self { dir, options }
    }

    /// Segments are closed after each batch.
    pub fn with_small_segments() -> Self {
        let mut fixture = Self::new();
        fixture.options.segment_bytes = 1;
        fixture
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn log_dir(&self) -> &Path {
        &self.options.dir
    }

    pub async fn open(&self) -> AuditLog {
        self.try_open().await.unwrap()
    }

    pub async fn try_open(&self) -> Result<AuditLog, OpenError> {
        AuditLog::open(self.options.clone()).await
    }

    /// What is wrong with the log, by the refusal to open it.
    pub async fn refusal(&self) -> (String, What) {
        match self.try_open().await.unwrap_err() {
            OpenError::Broken { problem, .. } => (problem.place.to_string(), problem.what),
            error => panic!("{error}"),
        }
    }

    /// Begins the log, appends that many records, and closes it.
    pub async fn written(&self, records: u64) -> (PublicKey, Position) {
        let log = self.open().await;
        append_all(&log, 0..records).await;
        (log.public_key(), log.close().await.unwrap())
    }

    pub fn report(&self, key: PublicKey) -> Report {
        Verifier::new(key).verify(self.log_dir()).unwrap()
    }

    pub fn report_with(&self, key: PublicKey, expected: impl IntoIterator<Item = Expected>) -> Report {
        Verifier::new(key).expect(expected).verify(self.log_dir()).unwrap()
    }

    /// The numbers of the records in the log.
    pub fn numbers(&self) -> Vec<u64> {
        Reader::new(self.log_dir()).entries(1).filter_map(|entry| number(&entry.unwrap())).collect()
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.log_dir()).unwrap().map(|file| file.unwrap().path());
        let mut segments: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect();
        segments.sort();
        segments
    }

    pub fn segment(&self, number: usize) -> PathBuf {
        self.segments()[number].clone()
    }

    /// Changes the lines of a segment.
    pub fn edit(&self, segment: usize, edit: impl FnOnce(&mut Vec<String>)) {
        let path = self.segment(segment);
        let mut lines = fs::read_to_string(&path).unwrap().split_inclusive('\n').map(str::to_owned).collect();
        edit(&mut lines);
        fs::write(path, lines.concat()).unwrap();
    }

    /// Copies the log's directory, as a backup does.
    pub fn backup(&self) -> PathBuf {
        let backup = self.path("backup");
        copy(self.log_dir(), &backup);
        backup
    }

    /// Puts a backup back.
    pub fn restore(&self, backup: &Path) {
        fs::remove_dir_all(self.log_dir()).unwrap();
        copy(backup, self.log_dir());
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        match fs::copy(file.path(), to.join(file.file_name())) {
            // A file that was being made has got its name.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            copied => drop(copied.unwrap()),
        }
    }
}

pub fn record(number: u64) -> Record {
    Record::new(&json!({ "n": number })).unwrap()
}

pub async fn append(log: &AuditLog, number: u64) -> Result<Position, AppendError> {
    log.append(record(number)).await
}

/// Appends these, each when the one before is durable.
pub async fn append_all(log: &AuditLog, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        append(log, number).await.unwrap();
    }
}

/// The number of a record made by `record`.
pub fn number(entry: &Entry) -> Option<u64> {
    entry.record()?.read::<Value>().unwrap()["n"].as_u64()
}

/// The problems of a report, in short.
pub fn problems(report: &Report) -> Vec<(String, What)> {
    report.problems.iter().map(|problem| (problem.place.to_string(), problem.what.clone())).collect()
}
