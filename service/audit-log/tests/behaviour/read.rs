//! Reading: from anywhere, in both directions.

use nodeward_audit_log::{Body, Entry, ReadError, Reader, Retention, What};

use crate::support::*;

fn sequences(entries: impl Iterator<Item = Result<Entry, ReadError>>) -> Vec<u64> {
    entries.map(|entry| entry.unwrap().sequence).collect()
}

#[tokio::test]
async fn entries_are_read_from_any_sequence_on_across_segments() {
    let mut fixture = Fixture::new();
    fixture.options.segment_bytes = 1500;
    let (_, end) = fixture.written(20).await;
    let reader = Reader::new(fixture.log_dir());
    for from in 1..=end.sequence + 1 {
        assert_eq!(sequences(reader.entries(from)), Vec::from_iter(from..=end.sequence));
    }
    assert_eq!(sequences(reader.entries(0)), Vec::from_iter(1..=end.sequence));
    assert!(sequences(reader.entries(u64::MAX)).is_empty());
}

#[tokio::test]
async fn entries_are_read_backwards_from_any_sequence_across_segments() {
    let mut fixture = Fixture::new();
    fixture.options.segment_bytes = 1500;
    let (_, end) = fixture.written(20).await;
    let reader = Reader::new(fixture.log_dir());
    for from in 0..=end.sequence {
        assert_eq!(sequences(reader.entries_back(from)), Vec::from_iter((1..=from).rev()));
    }
    assert_eq!(sequences(reader.entries_back(u64::MAX)), Vec::from_iter((1..=end.sequence).rev()));
}

#[tokio::test]
async fn a_record_is_read_as_the_bytes_that_were_given() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let json = r#"{"z":1.0,"a":"é\u00e9","nested":{"y":[1, 2]}}"#;
    let raw: Box<serde_json::value::RawValue> = serde_json::from_str(json).unwrap();
    let position = log.append(nodeward_audit_log::Record::new(&raw).unwrap()).await.unwrap();
    let entry = log.reader().entries(position.sequence).next().unwrap().unwrap();
    assert_eq!(entry.record().unwrap().json(), json);
}

#[tokio::test]
async fn a_reader_at_the_end_goes_on_once_there_is_more() {
    for fixture in [Fixture::new(), Fixture::with_small_segments()] {
        let log = fixture.open().await;
        let mut readers = [log.reader().entries(1), Reader::new(fixture.log_dir()).entries(1)];
        for number in 0..5 {
            append(&log, number).await.unwrap();
            for entries in &mut readers {
                let found: Vec<u64> = entries.filter_map(|entry| crate::support::number(&entry.unwrap())).collect();
                assert_eq!(found, [number]);
            }
        }
    }
}

#[tokio::test]
async fn a_log_can_be_read_while_it_is_written() {
    let fixture = Fixture::with_small_segments();
    let log = fixture.open().await;
    let readers = [log.reader(), Reader::new(fixture.log_dir())].map(|reader| {
        tokio::task::spawn_blocking(move || {
            let (mut entries, mut found) = (reader.entries(1), Vec::new());
            while found.len() < 300 {
                found.extend(entries.by_ref().filter_map(|entry| crate::support::number(&entry.unwrap())));
                assert!(reader.entries_back(u64::MAX).take(5).all(|entry| entry.is_ok()));
            }
            found
        })
    });
    append_all(&log, 0..300).await;
    for reader in readers {
        assert_eq!(reader.await.unwrap(), Vec::from_iter(0..300));
    }
}

#[tokio::test]
async fn a_line_that_is_being_written_is_not_read_before_it_is_whole() {
    let fixture = Fixture::new();
    let (_, end) = fixture.written(2).await;
    let mut last = String::new();
    fixture.edit(0, |lines| last = lines.pop().unwrap());
    let (half, rest) = last.split_at(40);
    fixture.edit(0, |lines| lines.push(half.to_owned()));
    let reader = Reader::new(fixture.log_dir());
    let mut entries = reader.entries(1);
    assert_eq!(sequences(entries.by_ref()), Vec::from_iter(1..end.sequence));
    assert_eq!(sequences(reader.entries_back(u64::MAX)), Vec::from_iter((1..end.sequence).rev()));
    fixture.edit(0, |lines| lines.push(rest.to_owned()));
    assert_eq!(sequences(entries), [end.sequence]);
}

#[tokio::test]
async fn entries_that_were_pruned_are_said_to_be() {
    let fixture = Fixture::with_small_segments();
    let log = fixture.open().await;
    append_all(&log, 0..5).await;
    let first = log.prune(Retention { max_bytes: Some(1), ..Retention::default() }).await.unwrap().first_kept.unwrap();
    let reader = log.reader();
    assert_eq!(reader.first_sequence().unwrap(), Some(first));
    let mut entries = reader.entries(first - 1);
    assert!(matches!(entries.next(), Some(Err(ReadError::Pruned { first: found })) if found == first));
    assert!(entries.next().is_none());
    assert!(matches!(reader.entries(first).next().unwrap().unwrap().body, Body::Header(_)));
    assert_eq!(sequences(reader.entries_back(u64::MAX)).last(), Some(&first));
}

#[tokio::test]
async fn a_damaged_entry_ends_reading_with_its_place() {
    let fixture = Fixture::new();
    fixture.written(3).await;
    fixture.edit(0, |lines| lines[3] = "hello\n".to_owned());
    let mut entries = Reader::new(fixture.log_dir()).entries(1);
    assert_eq!(entries.by_ref().take_while(Result::is_ok).count(), 3);
    let error = Reader::new(fixture.log_dir()).entries(4).next().unwrap().unwrap_err();
    assert!(error.to_string().contains("audit-0000000001.jsonl, line 4"), "{error}");
    assert!(entries.next().is_none());
}

#[tokio::test]
async fn a_missing_segment_ends_reading_in_both_directions() {
    let fixture = Fixture::with_small_segments();
    fixture.written(5).await;
    std::fs::remove_file(fixture.segment(2)).unwrap();
    let reader = Reader::new(fixture.log_dir());
    let what = |entry: Option<Result<Entry, ReadError>>| match entry {
        Some(Err(ReadError::Damaged(problem))) => problem.what,
        other => panic!("{other:?}"),
    };
    let missing = What::Missing { from: 6, to: 8 };
    assert_eq!(what(reader.entries(1).find(Result::is_err)), missing);
    assert_eq!(what(reader.entries_back(u64::MAX).find(Result::is_err)), missing);
}

#[test]
fn where_there_is_no_log_there_are_no_entries() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Reader::new(dir.path()).entries(1).next().is_none());
    assert!(Reader::new(dir.path()).entries_back(u64::MAX).next().is_none());
}
