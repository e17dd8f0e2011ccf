//! An operation that several servers write, at an apiserver that loses answers.

use super::super::testing::{Apiserver, term, trails};
use super::*;

/// The journal of a server whose term is of this epoch and has ten seconds left.
async fn journal(apiserver: &Apiserver, epoch: u32) -> Journal {
    let cluster = apiserver.cluster();
    let operations = cluster.operations().view();
    Journal::open(cluster.clone(), &trails(&cluster), "drain", operations, term(epoch, 10)).await.unwrap().unwrap()
}

fn saying(journal: &Journal, message: &str) -> OperationStatus {
    let mut status = journal.status();
    status.enter(State::Running, message, Timestamp::UNIX_EPOCH);
    status
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_not_taken_for_that_of_another_server() {
    let apiserver = Apiserver::new();
    let mut journal = journal(&apiserver, 1).await;
    journal.begin("one").await.unwrap();
    apiserver.lose_answers(2);
    journal.write(saying(&journal, "still here")).await.unwrap();
    assert_eq!((apiserver.status().message.as_str(), apiserver.writes()), ("still here", 4));
    journal.write(saying(&journal, "and on")).await.unwrap();
    assert_eq!(apiserver.status().message, "and on");
}

#[tokio::test(start_paused = true)]
async fn somebody_who_wants_it_to_end_does_not_keep_a_write_from_being_made() {
    let apiserver = Apiserver::new();
    let mut journal = journal(&apiserver, 1).await;
    journal.begin("one").await.unwrap();
    apiserver
        .change(|operation| operation.spec.cancel = Some(Cancel { username: "alice".into(), ..Cancel::default() }));
    journal.write(saying(&journal, "still here")).await.unwrap();
    assert_eq!(apiserver.status().message, "still here");
    assert_eq!(journal.cancel().map(|cancel| cancel.username.as_str()), Some("alice"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_replaced_writes_nothing_more() {
    let apiserver = Apiserver::new();
    let (mut one, mut two) = (journal(&apiserver, 1).await, journal(&apiserver, 2).await);
    one.begin("one").await.unwrap();
    // The one before has written since the other has read.
    two.begin("two").await.unwrap();
    let error = one.write(saying(&one, "still here")).await.unwrap_err();
    assert!(error.is::<Overtaken>(), "{error}");
    let status = apiserver.status();
    assert_eq!((status.holder.as_str(), status.term, status.message.as_str()), ("two", 2, ""));
    assert!(journal(&apiserver, 1).await.begin("one").await.is_err(), "its term is a lower one");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_once_the_term_is_over() {
    let apiserver = Apiserver::new();
    let mut journal = journal(&apiserver, 1).await;
    journal.begin("one").await.unwrap();
    apiserver.lose_answers(usize::MAX);
    // It is tried again for as long as the term lasts, and not after it.
    journal.write(saying(&journal, "still here")).await.unwrap_err();
    let writes = apiserver.writes();
    assert!(writes > 2, "{writes}");
    journal.write(saying(&journal, "and on")).await.unwrap_err();
    assert_eq!(apiserver.writes(), writes);
}

#[tokio::test]
async fn what_has_ended_is_not_carried_out() {
    let apiserver = Apiserver::new();
    let mut journal = journal(&apiserver, 1).await;
    let mut status = journal.status();
    status.end(State::Succeeded, "", Timestamp::UNIX_EPOCH);
    journal.write(status).await.unwrap();
    let trails = trails(&journal.cluster);
    let again =
        Journal::open(journal.cluster.clone(), &trails, "drain", journal.operations.clone(), journal.term.clone());
    assert!(again.await.unwrap().is_none());
}
