//! One page: what matches, from an entry backwards, after a bounded amount of reading.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use nodeward_audit_log::{ReadError, Reader};

use super::{Found, RecordFilter};

/// A call is recorded after it came, and the clock may have been set back meanwhile: entries that are older than what is
/// asked for by no more than this are looked at.
pub(super) const CLOCK_MAY_ERR: SignedDuration = SignedDuration::from_mins(10);

/// How much is done for one page.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The most records.
    pub records: usize,
    /// The page is full once its records have so many bytes.
    pub bytes: usize,
    /// The most entries that are looked at.
    pub entries: usize,
    /// The longest that it may take.
    pub time: Duration,
}

/// A page.
#[derive(Debug)]
pub struct Page {
    /// What was found, the newest first.
    pub found: Vec<Found>,
    /// Where the next page begins. None if there is nothing more.
    pub next: Option<u64>,
}

/// Reads a page from this entry on.
pub(super) fn read(reader: &Reader, filter: &RecordFilter, from: u64, effort: Effort) -> Result<Page, ReadError> {
    let end = Instant::now() + effort.time;
    let mut page = Page { found: Vec::new(), next: Some(from).filter(|from| *from > 0) };
    let mut entries = reader.entries_back(from);
    let (mut looked_at, mut bytes) = (0, 0);
    // At least one entry: otherwise who asks on and on would get nowhere.
    while page.found.len() < effort.records && bytes < effort.bytes && looked_at < effort.entries {
        if looked_at > 0 && Instant::now() >= end {
            return Ok(page);
        }
        let Some(entry) = entries.next().transpose()? else {
            page.next = None;
            return Ok(page);
        };
        looked_at += 1;
        page.next = Some(entry.sequence - 1).filter(|next| *next > 0);
        if filter.since.is_some_and(|since| is_long_before(entry.time, since)) {
            page.next = None;
            return Ok(page);
        }
        if let Some(record) = entry.record().filter(|record| filter.lets_through(record)) {
            bytes += record.json().len();
            page.found.extend(Found::of(&entry));
        }
    }
    Ok(page)
}

fn is_long_before(time: Timestamp, since: Timestamp) -> bool {
    since.duration_since(time) > CLOCK_MAY_ERR
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use nodeward_audit_log::{AuditLog, Options, Record};
    use proptest::prelude::*;
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    const ENOUGH: Effort = Effort { records: 1000, bytes: 1 << 20, entries: 10_000, time: Duration::from_secs(3600) };

    /// A log with a record of a call to each of these nodes, in segments of a few records.
    async fn log(nodes: &[&str]) -> (AuditLog, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::new(dir.path().join("log"), dir.path().join("key"));
        options.segment_bytes = 2000;
        let log = AuditLog::open(options).await.unwrap();
        for (number, node) in nodes.iter().enumerate() {
            let record = json!({
                "auditID": format!("00000000-0000-4000-8000-{number:012}"),
                "stage": "ResponseComplete",
                "rpc": "nodeward.v1.NodeService/CordonNode",
                "user": {"username": "alice"},
                "requestReceivedTimestamp": Timestamp::now(),
                "stageTimestamp": Timestamp::now(),
                "objectRef": {"resource": "nodes", "name": node},
            });
            log.append(Record::new(&record).unwrap()).await.unwrap();
        }
        // Something that is no record of ours.
        log.append(Record::new(&json!({"kind": "Event"})).unwrap()).await.unwrap();
        (log, dir)
    }

    fn of(node: &str) -> RecordFilter {
        RecordFilter { node: node.into(), ..RecordFilter::default() }
    }

    /// The numbers of the calls on all pages.
    fn all(log: &AuditLog, filter: &RecordFilter, effort: Effort) -> (Vec<u128>, usize) {
        let (mut calls, mut pages) = (Vec::new(), 0);
        let mut next = Some(log.position().sequence);
        while let Some(from) = next {
            let page = read(&log.reader(), filter, from, effort).unwrap();
            assert!(page.next.is_none_or(|next| next < from), "it gets on");
            calls.extend(page.found.iter().map(|found| found.record.audit_id.as_u128() & 0xffff_ffff));
            (next, pages) = (page.next, pages + 1);
        }
        (calls, pages)
    }

    #[tokio::test]
    async fn the_newest_comes_first() {
        let (log, _dir) = log(&["a", "b", "a"]).await;
        assert_eq!(all(&log, &RecordFilter::default(), ENOUGH).0, [2, 1, 0]);
        assert_eq!(all(&log, &of("a"), ENOUGH).0, [2, 0]);
    }

    #[tokio::test]
    async fn a_page_ends_when_enough_was_looked_at_though_nothing_was_found() {
        let (log, _dir) = log(&["a"; 9]).await;
        let page = read(&log.reader(), &of("b"), log.position().sequence, Effort { entries: 4, ..ENOUGH }).unwrap();
        assert!(page.found.is_empty());
        assert_eq!(page.next, Some(log.position().sequence - 4));
    }

    #[tokio::test]
    async fn without_any_time_it_still_gets_on() {
        let (log, _dir) = log(&["a", "b"]).await;
        let (calls, pages) = all(&log, &RecordFilter::default(), Effort { time: Duration::ZERO, ..ENOUGH });
        assert_eq!(calls, [1, 0]);
        assert_eq!(pages as u64, log.position().sequence);
    }

    #[tokio::test]
    async fn the_end_of_a_page_is_where_it_has_enough_bytes() {
        let (log, _dir) = log(&["a", "b", "c"]).await;
        let page = read(&log.reader(), &RecordFilter::default(), u64::MAX, Effort { bytes: 1, ..ENOUGH }).unwrap();
        assert_eq!(page.found.len(), 1);
    }

    #[tokio::test]
    async fn what_is_long_before_the_time_is_not_looked_at() {
        let (log, _dir) = log(&["a", "b", "c"]).await;
        let since = Some(Timestamp::now() + SignedDuration::from_mins(11));
        let filter = RecordFilter { since, ..RecordFilter::default() };
        let page = read(&log.reader(), &filter, u64::MAX, Effort { entries: 1, ..ENOUGH }).unwrap();
        assert_eq!(page.next, None);
    }

    #[tokio::test]
    async fn the_position_of_a_record_is_that_of_its_line() {
        let (log, dir) = log(&["a"]).await;
        let page = read(&log.reader(), &RecordFilter::default(), u64::MAX, ENOUGH).unwrap();
        let position = page.found[0].position;
        let expected = nodeward_audit_log::Expected::Position(position);
        log.close().await.unwrap();
        let verifier = nodeward_audit_log::Verifier::trusting_the_log().expect([expected]);
        assert!(verifier.verify(&dir.path().join("log")).unwrap().is_intact());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn pages_cover_all_that_matches_once(
            nodes in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..30),
            records in 1..8_usize,
            entries in 1..8_usize,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (log, _dir) = runtime.block_on(log(&nodes));
            let (calls, _) = all(&log, &of("a"), Effort { records, entries, ..ENOUGH });
            let expected = (0..nodes.len()).rev().filter(|index| nodes[*index] == "a").map(|index| index as u128);
            // The last digits of an id are decimal ones.
            let decimal = |call: &u128| format!("{call:x}").parse::<u128>().unwrap();
            prop_assert_eq!(calls.iter().map(decimal).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            prop_assert_eq!(calls.iter().collect::<BTreeSet<_>>().len(), calls.len());
        }
    }
}
