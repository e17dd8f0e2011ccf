//! A writer that is killed, and one whose files may not grow: this test runs itself as the writer, in another process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nodeward_audit_log::{AppendError, AuditLog, Options, Position, Reader, Record, Verifier};
use rand::Rng;
use serde_json::{Value, json};

/// Tells this program that it is the writer, and of which log.
const WRITER: &str = "AUDIT_LOG_WRITER";

/// How many records the writer appends at once.
const CALLERS: u64 = 8;

fn options(dir: &Path) -> Options {
    let mut options = Options::new(dir.join("log"), dir.join("key"));
    // So that kills hit the work on segments, checkpoints and the head as well.
    options.segment_bytes = 8000;
    options.checkpoint_entries = 5;
    options
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Appends without end, and says for each record that was acknowledged where it is.
async fn write_until_killed(dir: OsString) {
    let log = AuditLog::open(options(Path::new(&dir))).await.unwrap();
    let callers = (0..CALLERS).map(|caller| {
        let log = log.clone();
        async move {
            for number in 0_u64.. {
                let record =
                    json!({ "caller": caller, "number": number, "padding": "x".repeat((number % 300) as usize) });
                match log.append(Record::new(&record).unwrap()).await {
                    Ok(position) => say(&format!("{position} {caller} {number}")),
                    Err(error) => {
                        assert!(matches!(error, AppendError::NoSpace(_)), "{error}");
                        say("refused");
                        return;
                    }
                }
            }
        }
    });
    futures::future::join_all(callers).await;
}

/// In one write, past the test harness.
fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// What the writer of this test is run with: its arguments, in a shell that may set limits before.
fn writer(test: &str, dir: &Path, limits: &str) -> Child {
    let program = std::env::current_exe().unwrap();
    Command::new("sh")
        .args(["-c", &format!("{limits} exec \"$0\" \"$@\"")])
        .arg(program)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(WRITER, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The acknowledgement in this line, if it is a whole one.
fn acknowledgement(line: &str) -> Option<(u64, (Position, u64, u64))> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    let position: Position = words.next()?.parse().ok()?;
    Some((position.sequence, (position, words.next()?.parse().ok()?, words.next()?.parse().ok()?)))
}

#[test]
fn what_was_acknowledged_is_there_after_kill_9_at_any_moment() {
    if let Some(dir) = std::env::var_os(WRITER) {
        return run(write_until_killed(dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    for _ in 0..50 {
        let mut writer = writer("what_was_acknowledged_is_there_after_kill_9_at_any_moment", dir.path(), "");
        let mut said = BufReader::new(writer.stderr.take().unwrap());
        let mut line = String::new();
        // Some are killed at the first record, before it, or while they open the log.
        for _ in 0..rand::rng().random_range(0..60) {
            line.clear();
            said.read_line(&mut line).unwrap();
            acknowledged.extend(acknowledgement(&line));
        }
        std::thread::sleep(Duration::from_micros(rand::rng().random_range(0..3000)));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        acknowledged.extend(rest.split_inclusive('\n').filter_map(acknowledgement));
        check(dir.path(), &acknowledged);
    }
    assert!(acknowledged.len() > 500, "{}", acknowledged.len());
}

/// Opens the log as the next writer would, and looks for all that was acknowledged.
fn check(dir: &Path, acknowledged: &BTreeMap<u64, (Position, u64, u64)>) {
    let key = run(async {
        let log = AuditLog::open(options(dir)).await.unwrap();
        let key = log.public_key();
        log.close().await.unwrap();
        key
    });
    let report = Verifier::new(key).verify(&dir.join("log")).unwrap();
    assert!(report.is_intact(), "{report}");
    let mut missing = acknowledged.clone();
    for entry in Reader::new(dir.join("log")).entries(1) {
        let entry = entry.unwrap();
        if let Some((position, caller, number)) = missing.remove(&entry.sequence) {
            let record: Value = entry.record().unwrap().read().unwrap();
            assert_eq!((record["caller"].as_u64(), record["number"].as_u64()), (Some(caller), Some(number)));
            assert_eq!(nodeward_audit_log::LineHash::of(entry.to_line().as_bytes()), position.hash);
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_writer_whose_files_may_not_grow_refuses_records_and_keeps_what_it_acknowledged() {
    if let Some(dir) = std::env::var_os(WRITER) {
        return run(write_until_killed(dir));
    }
    let dir = tempfile::tempdir().unwrap();
    // Of 512 or 1024 bytes each, by the shell: less than a segment. Without the trap the kernel would end the writer.
    let limits = "trap '' XFSZ; ulimit -f 6;";
    let test = "a_writer_whose_files_may_not_grow_refuses_records_and_keeps_what_it_acknowledged";
    let output = writer(test, dir.path(), limits).wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().filter(|line| *line == "refused").count() as u64, CALLERS, "{said}");
    let acknowledged: BTreeMap<_, _> = said.split_inclusive('\n').filter_map(acknowledgement).collect();
    assert!(acknowledged.len() > 3, "{said}");
    // And here, where there is room again, the log goes on.
    check(dir.path(), &acknowledged);
}
