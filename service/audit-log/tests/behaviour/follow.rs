//! Following: each entry once it is durable.

use nodeward_audit_log::{Entry, Follower, ReadError, Retention};
use tokio::time::timeout;

use crate::support::*;

fn records(entry: &Entry) -> bool {
    entry.record().is_some()
}

async fn next(follower: &mut Follower) -> Option<u64> {
    timeout(LONG, follower.next()).await.unwrap().map(|entry| number(&entry.unwrap()).unwrap())
}

#[tokio::test]
async fn a_follower_gets_what_is_there_and_then_what_comes_until_the_log_is_closed() {
    for fixture in [Fixture::new(), Fixture::with_small_segments()] {
        let log = fixture.open().await;
        append_all(&log, 0..3).await;
        let mut follower = log.follow(1, records);
        for number in 0..3 {
            assert_eq!(next(&mut follower).await, Some(number));
        }
        for number in 3..6 {
            let (appended, followed) = tokio::join!(append(&log, number), next(&mut follower));
            appended.unwrap();
            assert_eq!(followed, Some(number));
        }
        log.close().await.unwrap();
        assert_eq!(next(&mut follower).await, None);
        assert_eq!(next(&mut follower).await, None);
    }
}

#[tokio::test]
async fn a_follower_that_was_dropped_is_gone_on_from_where_it_was() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    append_all(&log, 0..1000).await;
    let mut follower = log.follow(1, |entry| number(entry).is_some_and(|number| number % 3 == 0));
    for expected in (0..1000).filter(|number| number % 3 == 0) {
        assert_eq!(next(&mut follower).await, Some(expected));
        let position = follower.position();
        follower = log.follow(position, |entry| number(entry).is_some_and(|number| number % 3 == 0));
    }
}

#[tokio::test]
async fn nothing_is_lost_if_waiting_for_the_next_entry_is_given_up() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let mut follower = log.follow(1, records);
    for number in 0..20 {
        for _ in 0..number % 5 {
            let mut given_up = Box::pin(follower.next());
            assert!(futures::poll!(&mut given_up).is_pending());
        }
        append(&log, number).await.unwrap();
        assert_eq!(next(&mut follower).await, Some(number));
    }
}

#[tokio::test]
async fn a_follower_can_wait_for_entries_that_are_long_to_come() {
    let fixture = Fixture::with_small_segments();
    let log = fixture.open().await;
    let mut follower = log.follow(20, records);
    append_all(&log, 0..20).await;
    // Each record is followed by a checkpoint and a header.
    assert_eq!(next(&mut follower).await, Some(6));
}

#[tokio::test]
async fn a_slow_follower_does_not_hold_up_the_writer_and_misses_nothing() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let mut follower = log.follow(1, records);
    assert!(futures::poll!(Box::pin(follower.next())).is_pending());
    let appended = futures::future::join_all((0..3000).map(|number| append(&log, number))).await;
    assert!(appended.iter().all(Result::is_ok));
    for number in fixture.numbers() {
        assert_eq!(next(&mut follower).await, Some(number));
    }
}

#[tokio::test]
async fn a_follower_whose_next_entries_were_pruned_is_told_so() {
    let fixture = Fixture::with_small_segments();
    let log = fixture.open().await;
    append_all(&log, 0..5).await;
    let mut entries = log.reader().entries(1);
    assert_eq!(entries.next().unwrap().unwrap().sequence, 1);
    let first = log.prune(Retention { max_bytes: Some(1), ..Retention::default() }).await.unwrap().first_kept;
    // Its own segment is open, and read to the end.
    assert_eq!(entries.next().unwrap().unwrap().sequence, 2);
    assert!(matches!(entries.next(), Some(Err(ReadError::Pruned { first: found })) if Some(found) == first));
}

#[tokio::test]
async fn a_follower_from_before_the_beginning_is_told_so() {
    let fixture = Fixture::with_small_segments();
    let log = fixture.open().await;
    append_all(&log, 0..5).await;
    log.prune(Retention { max_bytes: Some(1), ..Retention::default() }).await.unwrap();
    let mut follower = log.follow(1, records);
    let error = timeout(LONG, follower.next()).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, ReadError::Pruned { .. }));
    assert!(timeout(LONG, follower.next()).await.unwrap().is_none());
}
