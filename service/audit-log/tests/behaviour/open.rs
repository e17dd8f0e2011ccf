//! Opening: what is gone on with, what is mended, and what is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nodeward_audit_log::{KeyError, OpenError, What, Witness};
use proptest::prelude::*;

use crate::support::*;

#[tokio::test]
async fn a_log_is_begun_once_and_then_gone_on_with() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    assert!(log.is_new());
    append(&log, 1).await.unwrap();
    let (id, key, end) = (log.id(), log.public_key(), log.close().await.unwrap());
    let log = fixture.open().await;
    assert!(!log.is_new());
    assert_eq!((log.id(), log.public_key(), log.position()), (id, key, end));
    append(&log, 2).await.unwrap();
    assert_eq!(fixture.numbers(), [1, 2]);
    assert!(fixture.report(key).is_intact());
}

#[tokio::test]
async fn a_log_that_is_opened_and_closed_does_not_grow() {
    let fixture = Fixture::new();
    let (_, end) = fixture.written(1).await;
    assert_eq!(fixture.open().await.close().await.unwrap(), end);
}

#[tokio::test]
async fn the_log_is_for_its_owner_and_group_and_the_key_for_its_owner() {
    let fixture = Fixture::new();
    fixture.written(1).await;
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777 & !0o027;
    assert_eq!(mode(fixture.log_dir().to_owned()), 0o750);
    assert_eq!(mode(fixture.segment(0)), 0o640);
    assert_eq!(mode(fixture.options.key_file.clone()), 0o600);
}

#[tokio::test]
async fn an_unfinished_line_at_the_end_is_cut_off_and_the_log_says_so() {
    let fixture = Fixture::new();
    let (key, _) = fixture.written(2).await;
    fixture.edit(0, |lines| lines.push("{\"seq\":6,\"time\":\"20".to_owned()));
    let log = fixture.open().await;
    append(&log, 2).await.unwrap();
    assert_eq!(fixture.numbers(), [0, 1, 2]);
    let report = fixture.report(key);
    assert!(report.is_intact() && report.repairs[0].cut_bytes == 19, "{report}");
}

/// What a crash leaves of a batch: a part of it, in which some sectors were not written.
fn torn(batch: &[u8], offset: usize, keep: usize, lost: &[bool]) -> Vec<u8> {
    let mut bytes = batch[..keep.min(batch.len())].to_vec();
    for (at, byte) in bytes.iter_mut().enumerate() {
        if lost.get(((offset + at) / 512) % lost.len()) == Some(&true) {
            *byte = 0;
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn whatever_a_crash_leaves_of_a_batch_the_log_goes_on_with_all_that_was_acknowledged(
        keep in 0..3000_usize,
        lost in prop::collection::vec(any::<bool>(), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new();
            let (key, _) = fixture.written(2).await;
            let acknowledged = fs::read(fixture.segment(0)).unwrap();
            let log = fixture.open().await;
            append_all(&log, 2..20).await;
            log.close().await.unwrap();
            // As if those had been one batch, and the crash had come before it was synced.
            let whole = fs::read(fixture.segment(0)).unwrap();
            let rest = torn(&whole[acknowledged.len()..], acknowledged.len(), keep, &lost);
            fs::write(fixture.segment(0), [acknowledged.clone(), rest].concat()).unwrap();
            let head = acknowledged.split_inclusive(|byte| *byte == b'\n').next_back().unwrap();
            fs::write(fixture.log_dir().join("head"), head).unwrap();

            let log = fixture.open().await;
            append(&log, 99).await.unwrap();
            let numbers = fixture.numbers();
            assert!(numbers.starts_with(&[0, 1]) && numbers.ends_with(&[99]), "{numbers:?}");
            let report = fixture.report(key);
            assert!(report.is_intact(), "{report}");
        });
    }
}

#[tokio::test]
async fn a_crash_before_the_first_head_was_written_does_no_harm() {
    let fixture = Fixture::new();
    let (key, end) = fixture.written(0).await;
    fs::remove_file(fixture.log_dir().join("head")).unwrap();
    assert_eq!(fixture.open().await.close().await.unwrap(), end);
    assert!(fixture.log_dir().join("head").exists());
    assert!(fixture.report(key).is_intact());
}

#[tokio::test]
async fn files_that_a_crash_left_unfinished_are_removed() {
    let fixture = Fixture::new();
    fixture.written(1).await;
    let left = ["audit-0000000009.jsonl.new", "head.new"].map(|name| fixture.log_dir().join(name));
    left.iter().for_each(|path| fs::write(path, "{").unwrap());
    fixture.open().await;
    assert!(left.iter().all(|path| !path.exists()));
}

#[tokio::test]
async fn a_changed_record_is_refused_with_its_place() {
    let fixture = Fixture::new();
    fixture.written(3).await;
    fixture.edit(0, |lines| lines[3] = lines[3].replace("{\"n\":1}", "{\"n\":7}"));
    assert_eq!(fixture.refusal().await, ("audit-0000000001.jsonl, line 4, entry 4".to_owned(), What::Changed));
}

#[tokio::test]
async fn a_line_that_is_no_entry_is_refused_with_its_place_unless_it_is_an_unfinished_end() {
    let fixture = Fixture::new();
    fixture.written(3).await;
    fixture.edit(0, |lines| lines[3] = lines[3].replace("record", "recrod"));
    let (place, what) = fixture.refusal().await;
    assert_eq!(place, "audit-0000000001.jsonl, line 4");
    assert!(matches!(what, What::NotAnEntry { .. }));
}

#[tokio::test]
async fn a_log_that_was_cut_behind_its_head_is_refused() {
    let fixture = Fixture::new();
    let (_, position) = fixture.written(3).await;
    fixture.edit(0, |lines| drop(lines.pop()));
    let what = What::Truncated { position, witness: Witness::Head };
    assert_eq!(fixture.refusal().await, ("audit-0000000001.jsonl, entry 5".to_owned(), what));
}

#[tokio::test]
async fn a_log_that_is_not_the_one_of_its_head_is_refused() {
    let fixture = Fixture::new();
    fixture.written(3).await;
    let backup = fixture.backup();
    fixture.written(3).await;
    let head = fs::read(fixture.log_dir().join("head")).unwrap();
    fixture.restore(&backup);
    // Goes on in another way than before, and further.
    fixture.written(5).await;
    fs::write(fixture.log_dir().join("head"), head).unwrap();
    let (_, what) = fixture.refusal().await;
    assert!(matches!(what, What::Differs { witness: Witness::Head, .. }), "{what}");
}

#[tokio::test]
async fn a_log_without_its_head_is_refused() {
    let fixture = Fixture::new();
    fixture.written(1).await;
    fs::remove_file(fixture.log_dir().join("head")).unwrap();
    assert_eq!(fixture.refusal().await, ("head".to_owned(), What::HeadMissing));
}

#[tokio::test]
async fn a_head_without_its_log_is_refused_and_no_log_is_begun() {
    let fixture = Fixture::new();
    fixture.written(1).await;
    fs::remove_file(fixture.segment(0)).unwrap();
    assert_eq!(fixture.refusal().await, ("head".to_owned(), What::Empty));
    assert!(fixture.segments().is_empty());
}

#[tokio::test]
async fn a_head_that_the_key_has_not_signed_is_refused() {
    let fixture = Fixture::new();
    fixture.written(1).await;
    let other = Fixture::new();
    other.written(1).await;
    fs::copy(other.log_dir().join("head"), fixture.log_dir().join("head")).unwrap();
    let (_, what) = fixture.refusal().await;
    assert!(matches!(what, What::NoCheckpoint { witness: Witness::Head, .. }), "{what}");
}

#[tokio::test]
async fn a_log_whose_last_segment_was_removed_is_refused() {
    let fixture = Fixture::with_small_segments();
    fixture.written(3).await;
    fs::remove_file(fixture.segments().pop().unwrap()).unwrap();
    let (_, what) = fixture.refusal().await;
    assert!(matches!(what, What::Truncated { witness: Witness::Head, .. }), "{what}");
}

#[tokio::test]
async fn a_last_segment_that_does_not_continue_the_one_before_it_is_refused() {
    let fixture = Fixture::with_small_segments();
    fixture.written(3).await;
    let before_last = fixture.segments().len() - 2;
    fs::remove_file(fixture.segment(before_last)).unwrap();
    let (_, what) = fixture.refusal().await;
    assert!(matches!(what, What::Missing { .. }), "{what}");
}

#[tokio::test]
async fn a_log_is_gone_on_with_only_with_the_key_that_it_was_begun_with() {
    let mut fixture = Fixture::new();
    let (key, _) = fixture.written(1).await;
    fixture.options.key_file = fixture.path("other.pem");
    assert!(matches!(fixture.try_open().await, Err(OpenError::Key(KeyError::Io { .. }))));
    assert!(!fixture.options.key_file.exists());

    let other = Fixture::new();
    other.written(0).await;
    fs::copy(&other.options.key_file, &fixture.options.key_file).unwrap();
    match fixture.try_open().await {
        Err(OpenError::OtherKey { log, .. }) => assert_eq!(log, key),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_log_in_a_later_format_is_refused() {
    let fixture = Fixture::new();
    fixture.written(1).await;
    fixture.edit(0, |lines| lines[0] = lines[0].replace("\"version\":1", "\"version\":2"));
    assert_eq!(fixture.refusal().await.1, What::UnknownVersion { version: 2 });
}
