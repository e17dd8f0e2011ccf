//! Segments: the log goes on from one to the next, and loses old ones only if it says so.

use std::fs;
use std::time::Duration;

use nodeward_audit_log::{Retention, What};

use crate::support::*;

#[tokio::test]
async fn a_full_segment_is_closed_signed_and_another_begun_that_continues_it() {
    let mut fixture = Fixture::new();
    fixture.options.segment_bytes = 1500;
    let (key, _) = fixture.written(20).await;
    assert!(fixture.segments().len() >= 3);
    for segment in fixture.segments() {
        let text = fs::read_to_string(segment).unwrap();
        assert!(text.lines().next().unwrap().contains("\"header\":"));
        assert!(text.lines().next_back().unwrap().contains("\"checkpoint\":"));
    }
    assert!(fixture.report(key).is_intact());
    assert_eq!(fixture.numbers(), Vec::from_iter(0..20));
}

#[tokio::test]
async fn a_log_says_that_old_segments_were_removed_and_where_it_begins() {
    let fixture = Fixture::with_small_segments();
    let log = fixture.open().await;
    append_all(&log, 0..10).await;
    let before = fixture.segments();
    let pruned = log.prune(Retention { max_bytes: Some(2000), ..Retention::default() }).await.unwrap();
    assert!(pruned.segments > 2);
    assert_eq!(fixture.segment(0), before[pruned.segments]);

    append(&log, 10).await.unwrap();
    let report = fixture.report(log.public_key());
    assert_eq!(report.first_sequence, pruned.first_kept);
    assert!(report.is_intact() && report.first_sequence > Some(1), "{report}");
    assert!(report.to_string().contains("older segments were removed"));
}

#[tokio::test]
async fn old_segments_are_removed_by_the_age_of_their_last_entry() {
    let fixture = Fixture::with_small_segments();
    let log = fixture.open().await;
    append_all(&log, 0..3).await;
    let hour = Retention { max_age: Some(Duration::from_secs(3600)), ..Retention::default() };
    assert_eq!(log.prune(hour).await.unwrap().segments, 0);
    let none = Retention { max_age: Some(Duration::ZERO), ..Retention::default() };
    assert!(log.prune(none).await.unwrap().segments >= 3);
    assert!(fixture.report(log.public_key()).is_intact());
}

#[tokio::test]
async fn the_segment_that_is_written_to_always_stays() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    append_all(&log, 0..3).await;
    let nothing = Retention { max_age: Some(Duration::ZERO), max_bytes: Some(0) };
    assert_eq!(log.prune(nothing).await.unwrap().segments, 0);
    append(&log, 3).await.unwrap();
    assert_eq!(fixture.numbers(), [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_log_can_be_opened_after_it_was_pruned_again_and_again() {
    let fixture = Fixture::with_small_segments();
    for round in 0..4 {
        let log = fixture.open().await;
        append_all(&log, round * 5..round * 5 + 5).await;
        log.prune(Retention { max_bytes: Some(1), ..Retention::default() }).await.unwrap();
        let key = log.public_key();
        log.close().await.unwrap();
        let report = fixture.report(key);
        assert!(report.is_intact(), "{report}");
    }
}

#[tokio::test]
async fn a_crash_while_segments_were_removed_leaves_a_log_that_is_whole() {
    let fixture = Fixture::with_small_segments();
    let log = fixture.open().await;
    append_all(&log, 0..5).await;
    let backup = fixture.backup();
    log.prune(Retention { max_bytes: Some(1), ..Retention::default() }).await.unwrap();
    // The last one of those that were to go is still there.
    let first = fixture.segment(0);
    let files = fs::read_dir(&backup).unwrap().map(|file| file.unwrap().file_name());
    let before =
        files.filter(|name| name.to_string_lossy().starts_with("audit-") && *name < *first.file_name().unwrap());
    let last = before.max().unwrap();
    fs::copy(backup.join(&last), fixture.log_dir().join(&last)).unwrap();
    assert!(fixture.report(log.public_key()).is_intact());
}

#[tokio::test]
async fn segments_that_were_removed_without_a_word_are_missed() {
    let fixture = Fixture::with_small_segments();
    let (key, _) = fixture.written(5).await;
    let second = fixture.segment(1);
    fs::remove_file(fixture.segment(0)).unwrap();
    let report = fixture.report(key);
    let place = format!("{}, line 1, entry 3", second.file_name().unwrap().display());
    assert_eq!(problems(&report), [(place, What::Missing { from: 1, to: 2 })]);
}

#[tokio::test]
async fn who_has_no_key_can_not_make_the_log_say_that_it_was_pruned() {
    let fixture = Fixture::with_small_segments();
    let (key, end) = fixture.written(5).await;
    fs::remove_file(fixture.segment(0)).unwrap();
    let last = fixture.segments().len() - 1;
    let line = fs::read_to_string(fixture.segment(last)).unwrap();
    let time = line.split('"').nth(5).unwrap();
    let forged = format!(
        "{{\"seq\":{},\"time\":\"{time}\",\"prev\":\"{}\",\"prune\":{{\"before\":4}}}}\n",
        end.sequence + 1,
        end.hash
    );
    fixture.edit(last, |lines| lines.push(forged));
    let report = fixture.report(key);
    assert_eq!(report.problems.len(), 1, "{report}");
    assert!(matches!(report.problems[0].what, What::Missing { from: 1, .. }));
}
