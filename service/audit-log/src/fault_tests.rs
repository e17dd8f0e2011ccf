//! What the log does when the disk doesn't do its part.

mod properties;

use std::fs;
use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tempfile::TempDir;

use crate::faulty_disk::{Faults, FaultyDisk};
use crate::{AppendError, AuditLog, Options, Position, Reader, Record, Report, Retention, Verifier};

struct Fixture {
    _dir: TempDir,
    disk: FaultyDisk,
    options: Options,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new(dir.path().join("log"), dir.path().join("key"));
        Self { _dir: dir, disk: FaultyDisk::default(), options }
    }

    async fn open(&self) -> AuditLog {
        AuditLog::open_on(self.options.clone(), Box::new(self.disk.clone())).await.unwrap()
    }

    fn log_dir(&self) -> &Path {
        &self.options.dir
    }

    fn numbers(&self) -> Vec<u64> {
        let entries = Reader::new(self.log_dir()).entries(1).map(|entry| entry.unwrap());
        entries.filter_map(|entry| entry.record()?.read::<serde_json::Value>().unwrap()["n"].as_u64()).collect()
    }

    /// After the disk has recovered.
    fn report(&self, log: &AuditLog) -> Report {
        Verifier::new(log.public_key()).verify(self.log_dir()).unwrap()
    }
}

async fn append(log: &AuditLog, number: u64) -> Result<Position, AppendError> {
    log.append(Record::new(&json!({ "n": number, "padding": "x".repeat(100) })).unwrap()).await
}

#[tokio::test]
async fn a_full_disk_refuses_records_and_takes_them_again_once_there_is_room() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let first = append(&log, 1).await.unwrap();
    fixture.disk.faults().room = Some(50);
    for _ in 0..3 {
        assert!(matches!(append(&log, 2).await, Err(AppendError::NoSpace(_))));
        assert!(log.health().borrow().append.is_some());
    }
    fixture.disk.faults().room = None;
    assert_eq!(append(&log, 3).await.unwrap().sequence, first.sequence + 1);
    assert!(log.health().borrow().append.is_none());
    assert_eq!(fixture.numbers(), [1, 3]);
    assert!(fixture.report(&log).is_intact());
}

#[tokio::test]
async fn a_read_only_disk_refuses_records_while_reads_go_on() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    append(&log, 1).await.unwrap();
    fixture.disk.faults().read_only = true;
    assert!(matches!(append(&log, 2).await, Err(AppendError::ReadOnly(_))));
    assert_eq!(log.reader().entries(1).filter(|entry| entry.as_ref().unwrap().record().is_some()).count(), 1);
    fixture.disk.faults().read_only = false;
    append(&log, 3).await.unwrap();
    assert_eq!(fixture.numbers(), [1, 3]);
}

#[tokio::test]
async fn a_log_can_be_opened_and_read_on_a_full_disk_though_a_crash_has_torn_it() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    append(&log, 1).await.unwrap();
    log.close().await.unwrap();
    let segment = fixture.log_dir().join("audit-0000000001.jsonl");
    fs::write(&segment, [fs::read(&segment).unwrap(), b"{\"seq\":5,\"ti".to_vec()].concat()).unwrap();

    *fixture.disk.faults() = Faults { room: Some(0), cannot_create: true, ..Faults::default() };
    let log = fixture.open().await;
    assert_eq!(fixture.numbers(), [1]);
    assert!(matches!(append(&log, 2).await, Err(AppendError::NoSpace(_))));
    *fixture.disk.faults() = Faults::default();
    append(&log, 3).await.unwrap();
    assert_eq!(fixture.numbers(), [1, 3]);
    assert_eq!(fixture.report(&log).repairs[0].cut_bytes, 12);
}

#[tokio::test]
async fn what_a_failed_sync_refused_is_not_in_the_log_whether_the_disk_has_it_or_not() {
    for lose in [false, true] {
        let fixture = Fixture::new();
        let log = fixture.open().await;
        append(&log, 1).await.unwrap();
        *fixture.disk.faults() = Faults { failing_syncs: 1, failed_syncs_lose: lose, ..Faults::default() };
        assert!(matches!(append(&log, 2).await, Err(AppendError::Io(_))));
        append(&log, 3).await.unwrap();
        assert_eq!(fixture.numbers(), [1, 3]);
        let report = fixture.report(&log);
        assert!(report.is_intact(), "{report}");
    }
}

#[tokio::test]
async fn nothing_is_written_while_syncs_fail() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    append(&log, 1).await.unwrap();
    fixture.disk.faults().failing_syncs = 9;
    let mut refused = 0;
    while append(&log, 2).await.is_err() {
        refused += 1;
    }
    assert!(refused >= 5, "{refused}");
    assert_eq!(fixture.numbers(), [1, 2]);
    assert!(fixture.report(&log).is_intact());
}

#[tokio::test]
async fn what_can_not_be_cut_back_at_once_is_cut_before_the_next_record() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    append(&log, 1).await.unwrap();
    *fixture.disk.faults() = Faults { room: Some(50), cannot_cut: true, ..Faults::default() };
    assert!(matches!(append(&log, 2).await, Err(AppendError::NoSpace(_))));
    *fixture.disk.faults() = Faults { cannot_cut: true, ..Faults::default() };
    assert!(matches!(append(&log, 3).await, Err(AppendError::Io(_))));
    *fixture.disk.faults() = Faults::default();
    append(&log, 4).await.unwrap();
    assert_eq!(fixture.numbers(), [1, 4]);
    let report = fixture.report(&log);
    assert!(report.is_intact() && report.repairs[0].cut_bytes == 50, "{report}");
}

#[tokio::test]
async fn records_go_on_in_the_old_segment_while_no_new_one_can_be_begun() {
    let mut fixture = Fixture::new();
    fixture.options.segment_bytes = 2000;
    let log = fixture.open().await;
    fixture.disk.faults().cannot_create = true;
    for number in 0..20 {
        append(&log, number).await.unwrap();
    }
    assert_eq!(fixture.report(&log).segments, 1);
    let mut health = log.health();
    assert!(health.borrow().upkeep.is_some());
    fixture.disk.faults().cannot_create = false;
    append(&log, 20).await.unwrap();
    health.wait_for(|health| health.upkeep.is_none()).await.unwrap();
    let report = fixture.report(&log);
    assert!(report.is_intact() && report.segments == 2, "{report}");
    assert_eq!(fixture.numbers(), Vec::from_iter(0..=20));
}

#[tokio::test]
async fn a_segment_whose_name_may_not_be_durable_does_not_fork_the_log() {
    let mut fixture = Fixture::new();
    fixture.options.segment_bytes = 1;
    fixture.options.checkpoint_entries = 1000;
    let log = fixture.open().await;
    for number in 0..20 {
        // One for the head, one for the segment, one for the next record, which is refused then.
        fixture.disk.faults().failing_dir_syncs = (number % 4) as usize;
        let _ = append(&log, number).await;
    }
    fixture.disk.faults().failing_dir_syncs = 0;
    append(&log, 20).await.unwrap();
    let report = fixture.report(&log);
    assert!(report.is_intact() && report.segments > 5, "{report}");
}

#[tokio::test]
async fn nothing_is_removed_while_the_head_can_not_be_replaced() {
    let mut fixture = Fixture::new();
    fixture.options.segment_bytes = 1;
    let log = fixture.open().await;
    for number in 0..5 {
        append(&log, number).await.unwrap();
    }
    let everything = Retention { max_bytes: Some(0), ..Retention::default() };
    fixture.disk.faults().cannot_create = true;
    assert!(log.prune(everything).await.is_err());
    assert_eq!(fixture.numbers(), [0, 1, 2, 3, 4]);
    fixture.disk.faults().cannot_create = false;
    assert!(log.prune(everything).await.unwrap().segments > 3);
    assert!(fixture.report(&log).is_intact());
    log.close().await.unwrap();
    fixture.open().await;
}

#[tokio::test]
async fn a_reader_never_sees_what_was_not_durable() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    append(&log, 1).await.unwrap();
    // The whole record is in the file, and can't be cut off at once.
    *fixture.disk.faults() = Faults { failing_syncs: 1, cannot_cut: true, ..Faults::default() };
    assert!(append(&log, 2).await.is_err());
    let mut entries = log.reader().entries(1);
    assert_eq!(entries.by_ref().map(Result::unwrap).last().unwrap().sequence, log.position().sequence);
    *fixture.disk.faults() = Faults::default();
    append(&log, 3).await.unwrap();
    let rest: Vec<_> = entries.map(|entry| entry.unwrap().record().map(|record| record.json().to_owned())).collect();
    assert!(rest.iter().flatten().all(|record| record.contains("\"n\":3")), "{rest:?}");
    assert_eq!(rest.iter().flatten().count(), 1);
}

#[tokio::test]
async fn one_sync_makes_all_durable_that_waits() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let before = fixture.disk.faults().syncs;
    fixture.disk.faults().held = true;
    let first = tokio::spawn({
        let log = log.clone();
        async move { append(&log, 0).await }
    });
    let is_syncing = async {
        while fixture.disk.faults().syncs == before {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(Duration::from_secs(30), is_syncing).await.unwrap();
    let others = (1..500).map(|number| Box::pin(tokio::task::unconstrained(append(&log, number))));
    let mut others: Vec<_> = others.collect();
    for other in &mut others {
        assert!(futures::poll!(other).is_pending());
    }
    fixture.disk.release();
    first.await.unwrap().unwrap();
    assert!(join_all(others).await.into_iter().all(|position| position.is_ok()));
    assert_eq!(fixture.disk.faults().syncs, before + 2);
}
