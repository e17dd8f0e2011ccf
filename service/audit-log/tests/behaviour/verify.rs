//! Verifying: what was done to a log is found, and said with its place.

use std::fs;

use nodeward_audit_log::{Checkpoint, Expected, PublicKey, Verifier, What, Witness};

use crate::support::*;

/// A line of the first segment, as problems name it.
fn line(number: u64) -> String {
    format!("audit-0000000001.jsonl, line {number}, entry {number}")
}

#[tokio::test]
async fn a_report_says_what_the_log_has() {
    let mut fixture = Fixture::new();
    fixture.options.checkpoint_entries = 4;
    let (key, end) = fixture.written(6).await;
    let report = fixture.report(key);
    assert!(report.is_intact(), "{report}");
    assert_eq!((report.records, report.checkpoints, report.segments), (6, 3, 1));
    assert_eq!((report.first_sequence, report.last), (Some(1), Some(end)));
    assert_eq!((report.signed_through, report.unsigned), (Some(end.sequence), 0));
    assert!(report.first_record < report.last_record && report.last_record <= report.signed_at);
    assert!(report.to_string().ends_with("The log is intact.\n"), "{report}");
    serde_json::to_string(&report).unwrap();
}

#[tokio::test]
async fn a_changed_record_is_found() {
    let fixture = Fixture::new();
    let (key, _) = fixture.written(5).await;
    fixture.edit(0, |lines| lines[4] = lines[4].replace("{\"n\":2}", "{\"n\":7}"));
    assert_eq!(problems(&fixture.report(key)), [(line(5), What::Changed)]);
}

#[tokio::test]
async fn removed_entries_are_found() {
    let fixture = Fixture::new();
    let (key, _) = fixture.written(5).await;
    fixture.edit(0, |lines| drop(lines.drain(3..5)));
    let place = "audit-0000000001.jsonl, line 4, entry 6".to_owned();
    assert_eq!(problems(&fixture.report(key)), [(place, What::Missing { from: 4, to: 5 })]);
}

#[tokio::test]
async fn entries_in_another_order_are_found() {
    let fixture = Fixture::new();
    let (key, _) = fixture.written(8).await;
    fixture.edit(0, |lines| lines[3..8].rotate_left(2));
    let place = "audit-0000000001.jsonl, line 7, entry 4".to_owned();
    assert_eq!(problems(&fixture.report(key)), [(place, What::Moved { to: 5 })]);
}

#[tokio::test]
async fn repeated_entries_are_found() {
    let fixture = Fixture::new();
    let (key, _) = fixture.written(8).await;
    fixture.edit(0, |lines| lines.splice(6..6, lines[2..5].to_vec()).for_each(drop));
    let place = "audit-0000000001.jsonl, line 7, entry 3".to_owned();
    assert_eq!(problems(&fixture.report(key)), [(place, What::Repeated { to: 5 })]);
}

#[tokio::test]
async fn a_line_that_was_put_in_is_found() {
    let fixture = Fixture::new();
    let (key, _) = fixture.written(3).await;
    fixture.edit(0, |lines| lines.insert(3, "\n".to_owned()));
    let report = fixture.report(key);
    assert_eq!(report.problems.len(), 1, "{report}");
    assert_eq!(report.problems[0].place.line, Some(4));
    assert!(matches!(report.problems[0].what, What::NotAnEntry { .. }));
}

#[tokio::test]
async fn a_missing_segment_is_found() {
    let fixture = Fixture::with_small_segments();
    let (key, _) = fixture.written(5).await;
    fs::remove_file(fixture.segment(2)).unwrap();
    let report = fixture.report(key);
    assert_eq!(report.problems.len(), 1, "{report}");
    assert_eq!(report.problems[0].what, What::Missing { from: 6, to: 8 });
}

#[tokio::test]
async fn segments_that_were_swapped_are_found() {
    let fixture = Fixture::with_small_segments();
    let (key, _) = fixture.written(5).await;
    let (one, other) = (fixture.segment(1), fixture.segment(2));
    fs::rename(&one, fixture.path("aside")).unwrap();
    fs::rename(&other, &one).unwrap();
    fs::rename(fixture.path("aside"), &other).unwrap();
    let report = fixture.report(key);
    assert!(report.problems.iter().any(|problem| problem.what == What::WrongName), "{report}");
}

#[tokio::test]
async fn a_segment_of_another_log_is_found() {
    let (fixture, other) = (Fixture::with_small_segments(), Fixture::with_small_segments());
    let (key, _) = fixture.written(5).await;
    fs::copy(&fixture.options.key_file, &other.options.key_file).unwrap();
    other.written(5).await;
    fs::copy(other.segment(2), fixture.segment(2)).unwrap();
    let report = fixture.report(key);
    assert!(report.problems.iter().any(|problem| matches!(problem.what, What::OtherLog { .. })), "{report}");
}

#[tokio::test]
async fn who_mends_the_chain_after_a_change_is_found_by_the_signature() {
    let fixture = Fixture::new();
    let (key, _) = fixture.written(3).await;
    fixture.edit(0, |lines| {
        lines[2] = lines[2].replace("{\"n\":0}", "{\"n\":7}");
        mend(lines);
    });
    fs::remove_file(fixture.log_dir().join("head")).unwrap();
    let problems = problems(&fixture.report(key));
    assert_eq!(problems, [(line(6), What::BadSignature), ("head".to_owned(), What::HeadMissing)]);
}

/// Makes each line name the hash of the one before.
fn mend(lines: &mut [String]) {
    for number in 1..lines.len() {
        let hash = nodeward_audit_log::LineHash::of(lines[number - 1].as_bytes()).to_string();
        let at = lines[number].find("\"prev\":\"").unwrap() + 8;
        lines[number].replace_range(at..at + 64, &hash);
    }
}

#[tokio::test]
async fn a_log_that_was_truncated_is_found_by_its_head() {
    let fixture = Fixture::new();
    let (key, position) = fixture.written(3).await;
    fixture.edit(0, |lines| lines.truncate(4));
    let found = problems(&fixture.report(key));
    assert_eq!(found, [(line(4), What::Truncated { position, witness: Witness::Head })]);
}

#[tokio::test]
async fn a_log_that_was_truncated_with_its_head_is_found_by_a_checkpoint_kept_elsewhere() {
    let fixture = Fixture::new();
    fixture.written(3).await;
    let past = fixture.backup();
    let (key, position) = fixture.written(3).await;
    let kept = fs::read_to_string(fixture.log_dir().join("head")).unwrap();
    fixture.restore(&past);
    assert!(fixture.report(key).is_intact());
    let report = fixture.report_with(key, Expected::parse_lines(&kept).unwrap());
    assert_eq!(report.problems[0].what, What::Truncated { position, witness: Witness::Kept });
}

#[tokio::test]
async fn a_log_that_goes_on_after_a_restore_is_found_forked_by_a_checkpoint_kept_elsewhere() {
    let fixture = Fixture::new();
    fixture.written(3).await;
    let past = fixture.backup();
    let (key, position) = fixture.written(3).await;
    fixture.restore(&past);
    fixture.written(10).await;
    assert!(fixture.report(key).is_intact());
    let report = fixture.report_with(key, [Expected::Position(position)]);
    let place = format!("audit-0000000001.jsonl, entry {}", position.sequence);
    assert_eq!(problems(&report), [(place, What::Differs { position, witness: Witness::Kept })]);
}

#[tokio::test]
async fn two_continuations_of_a_log_in_one_directory_are_found() {
    let fixture = Fixture::with_small_segments();
    fixture.written(2).await;
    let past = fixture.backup();
    let (key, _) = fixture.written(3).await;
    let forked = fixture.segments().pop().unwrap();
    let lines = fs::read_to_string(&forked).unwrap();
    fixture.restore(&past);
    fixture.written(8).await;
    let last = fixture.segments().len() - 1;
    fixture.edit(last, |own| own.push(lines));
    let report = fixture.report(key);
    assert!(report.problems.iter().any(|problem| matches!(problem.what, What::Forked { .. })), "{report}");
}

#[tokio::test]
async fn a_position_from_an_answer_is_held_against_the_log() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let position = append(&log, 1).await.unwrap();
    let text = position.to_string();
    append(&log, 2).await.unwrap();
    assert!(fixture.report_with(log.public_key(), [text.parse().unwrap()]).is_intact());
    let other = text.replace(":", ":0").split_at(text.len()).0.parse().unwrap();
    let report = fixture.report_with(log.public_key(), [other]);
    assert!(matches!(report.problems[0].what, What::Differs { witness: Witness::Kept, .. }), "{report}");
}

#[tokio::test]
async fn a_checkpoint_that_the_key_has_not_signed_proves_nothing() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    let (key, _) = fixture.written(1).await;
    other.written(9).await;
    let forged: Checkpoint = fs::read_to_string(other.log_dir().join("head")).unwrap().parse().unwrap();
    let report = fixture.report_with(key, [Expected::Checkpoint(forged)]);
    assert!(
        matches!(report.problems[..], [ref problem] if matches!(problem.what, What::NoCheckpoint { .. })),
        "{report}"
    );
}

#[tokio::test]
async fn expected_states_from_before_the_beginning_are_said_to_be_unchecked() {
    let fixture = Fixture::with_small_segments();
    let log = fixture.open().await;
    let position = append(&log, 1).await.unwrap();
    append_all(&log, 2..5).await;
    log.prune(nodeward_audit_log::Retention { max_bytes: Some(1), ..Default::default() }).await.unwrap();
    let report = fixture.report_with(log.public_key(), [Expected::Position(position)]);
    assert!(report.is_intact() && report.unchecked == 1, "{report}");
}

#[tokio::test]
async fn a_log_that_was_made_with_another_key_is_found_only_by_who_has_the_right_one() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    let (key, _) = fixture.written(3).await;
    let (forger, _) = other.written(3).await;
    fixture.restore(other.log_dir());
    assert_eq!(fixture.report(key).problems[0].what, What::OtherKey { key: forger });
    let trusting = Verifier::trusting_the_log().verify(fixture.log_dir()).unwrap();
    assert!(trusting.is_intact() && !trusting.key_was_given);
    assert!(trusting.to_string().contains("with the log's own key"), "{trusting}");
}

#[tokio::test]
async fn entries_that_are_not_signed_yet_are_said_to_be() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    append_all(&log, 0..3).await;
    let report = fixture.report(log.public_key());
    assert_eq!((report.signed_through, report.unsigned), (Some(2), 3));
    assert!(report.to_string().contains("Not signed yet: the last 3 entries"), "{report}");
}

#[tokio::test]
async fn an_unfinished_line_at_the_end_is_no_tampering_but_said() {
    let fixture = Fixture::new();
    let (key, _) = fixture.written(3).await;
    fixture.edit(0, |lines| lines.push("{\"seq\"".to_owned()));
    let report = fixture.report(key);
    assert!(report.is_intact() && report.unfinished_bytes == 6, "{report}");
}

#[tokio::test]
async fn an_unfinished_line_elsewhere_is_tampering() {
    let fixture = Fixture::with_small_segments();
    let (key, _) = fixture.written(3).await;
    fixture.edit(1, |lines| {
        lines.truncate(2);
        lines[1].truncate(20);
    });
    assert_eq!(fixture.report(key).problems[0].what, What::Unfinished);
}

#[tokio::test]
async fn an_empty_directory_is_no_log() {
    let fixture = Fixture::new();
    let (key, _) = fixture.written(0).await;
    fs::remove_file(fixture.segment(0)).unwrap();
    assert_eq!(fixture.report(key).problems[0].what, What::Empty);
    assert!(Verifier::new(key).verify(&fixture.path("nowhere")).is_err());
}

#[tokio::test]
async fn a_log_that_is_being_written_and_pruned_is_never_found_broken() {
    let mut fixture = Fixture::new();
    (fixture.options.segment_bytes, fixture.options.checkpoint_entries) = (3000, 5);
    let log = fixture.open().await;
    let (key, dir) = (log.public_key(), fixture.log_dir().to_owned());
    let writing = tokio::spawn(async move {
        for round in 0..100 {
            let appended = futures::future::join_all((0..5).map(|number| append(&log, number))).await;
            assert!(appended.iter().all(Result::is_ok));
            if round % 10 == 0 {
                log.prune(nodeward_audit_log::Retention { max_bytes: Some(5000), ..Default::default() }).await.unwrap();
            }
        }
    });
    while !writing.is_finished() {
        let (key, dir): (PublicKey, _) = (key, dir.clone());
        let verified = tokio::task::spawn_blocking(move || Verifier::new(key).verify(&dir));
        let report = verified.await.unwrap().unwrap();
        assert!(report.is_intact(), "{report}");
    }
    writing.await.unwrap();
}
