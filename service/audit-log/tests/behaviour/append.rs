//! Appending, signing, closing.

use std::fs;
use std::time::Duration;

use futures::future::join_all;
use nodeward_audit_log::{AppendError, Damage, Expected, OpenError};
use tokio::time::timeout;

use crate::support::*;

#[tokio::test]
async fn records_are_appended_in_order_each_with_the_next_sequence() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    // A header and a checkpoint come first.
    for number in 0..5 {
        assert_eq!(append(&log, number).await.unwrap().sequence, number + 3);
    }
    assert_eq!(log.position().sequence, 7);
    assert_eq!(fixture.numbers(), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn an_acknowledged_record_is_in_the_file_by_its_position() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let position = append(&log, 7).await.unwrap();
    let report = fixture.report_with(log.public_key(), [Expected::Position(position)]);
    assert!(report.is_intact() && report.records == 1, "{report}");
}

#[tokio::test]
async fn many_callers_at_once_are_all_served_and_each_is_told_where_its_record_is() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let positions = join_all((0..1000).map(|number| append(&log, number))).await;
    let mut sequences: Vec<u64> = positions.into_iter().map(|position| position.unwrap().sequence).collect();
    for (number, sequence) in sequences.iter().enumerate().step_by(97) {
        let entry = log.reader().entries(*sequence).next().unwrap().unwrap();
        assert_eq!(crate::support::number(&entry), Some(number as u64));
    }
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!((sequences.len(), fixture.numbers().len()), (1000, 1000));
}

#[tokio::test]
async fn callers_wait_in_line_while_too_much_waits_to_be_written() {
    let mut fixture = Fixture::new();
    fixture.options.queue_bytes = 10;
    let log = fixture.open().await;
    // Each takes up the whole queue.
    let positions = join_all((1000..1100).map(|number| append(&log, number))).await;
    assert!(positions.into_iter().all(|position| position.is_ok()));
    let mut numbers = fixture.numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, Vec::from_iter(1000..1100));
}

#[tokio::test]
async fn a_record_whose_caller_has_gone_away_is_written_all_the_same() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let mut gone = Box::pin(append(&log, 1));
    assert!(futures::poll!(&mut gone).is_pending());
    drop(gone);
    append(&log, 2).await.unwrap();
    assert_eq!(fixture.numbers(), [1, 2]);
}

#[tokio::test]
async fn after_so_many_entries_the_log_is_signed() {
    let mut fixture = Fixture::new();
    fixture.options.checkpoint_entries = 5;
    let log = fixture.open().await;
    append_all(&log, 0..12).await;
    let report = fixture.report(log.public_key());
    assert_eq!((report.checkpoints, report.unsigned), (3, 2));
}

#[tokio::test]
async fn after_some_time_the_log_is_signed() {
    let mut fixture = Fixture::new();
    fixture.options.checkpoint_interval = Duration::from_millis(20);
    let log = fixture.open().await;
    let mut checkpoints = log.checkpoints();
    let record = append(&log, 1).await.unwrap().sequence;
    let signed = checkpoints.wait_for(|checkpoint| checkpoint.position().sequence > record);
    timeout(LONG, signed).await.unwrap().unwrap();
    assert_eq!(fixture.report(log.public_key()).unsigned, 0);
}

#[tokio::test]
async fn a_checkpoint_can_be_asked_for_and_is_made_only_if_something_was_written() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let record = append(&log, 1).await.unwrap();
    let checkpoint = log.checkpoint().await.unwrap();
    assert_eq!(checkpoint.position().sequence, record.sequence + 1);
    assert!(checkpoint.is_signed_by(&log.public_key()));
    assert_eq!(log.checkpoint().await.unwrap().position(), checkpoint.position());
}

#[tokio::test]
async fn a_log_that_was_closed_is_signed_to_its_end() {
    let fixture = Fixture::new();
    let (key, end) = fixture.written(3).await;
    let report = fixture.report(key);
    assert_eq!((report.unsigned, report.last), (0, Some(end)));
    assert!(report.is_intact(), "{report}");
}

#[tokio::test]
async fn a_log_whose_last_handle_is_dropped_is_closed() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let other = log.clone();
    drop(log);
    append(&other, 1).await.unwrap();
    let key = other.public_key();
    let mut checkpoints = other.checkpoints();
    drop(other);
    // Its thread is gone once nobody sends news any more.
    timeout(LONG, async { while checkpoints.changed().await.is_ok() {} }).await.unwrap();
    assert_eq!(fixture.report(key).unsigned, 0);
}

#[tokio::test]
async fn a_closed_log_takes_no_records_whoever_has_a_handle() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let other = log.clone();
    log.close().await.unwrap();
    assert!(matches!(append(&other, 1).await, Err(AppendError::Closed)));
    assert!(matches!(other.checkpoint().await, Err(AppendError::Closed)));
    assert!(matches!(other.close().await, Err(AppendError::Closed)));
}

#[tokio::test]
async fn a_log_has_one_writer_at_a_time() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    assert!(matches!(fixture.try_open().await, Err(OpenError::Locked(_))));
    log.close().await.unwrap();
    fixture.open().await;
}

#[tokio::test]
async fn nothing_is_appended_to_a_segment_that_somebody_else_has_cut() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    append_all(&log, 0..2).await;
    fixture.edit(0, |lines| drop(lines.pop()));
    for _ in 0..2 {
        assert!(matches!(append(&log, 2).await, Err(AppendError::Damaged(_))));
    }
}

#[tokio::test]
async fn nothing_is_appended_to_a_segment_that_was_moved_away() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    append(&log, 0).await.unwrap();
    let (segment, away) = (fixture.segment(0), fixture.path("away"));
    fs::rename(&segment, &away).unwrap();
    match append(&log, 1).await {
        Err(AppendError::Damaged(damage)) => assert!(matches!(*damage, Damage::Meddled { found: None, .. })),
        other => panic!("{other:?}"),
    }
    assert!(matches!(append(&log, 1).await, Err(AppendError::Io(_))));
    // It goes on once it is back.
    fs::rename(&away, &segment).unwrap();
    append(&log, 1).await.unwrap();
    assert_eq!(fixture.numbers(), [0, 1]);
}

#[tokio::test]
async fn what_somebody_else_has_added_is_cut_off_and_the_log_says_so() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    append(&log, 0).await.unwrap();
    fixture.edit(0, |lines| lines.push("hello\n".to_owned()));
    assert!(matches!(append(&log, 1).await, Err(AppendError::Damaged(_))));
    append(&log, 2).await.unwrap();
    let report = fixture.report(log.public_key());
    assert!(report.is_intact() && report.repairs[0].cut_bytes == 6, "{report}");
}
