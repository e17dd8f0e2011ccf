//! The audit log through the library.

use futures::TryStreamExt;
use nodeward_client::{AuditEventKind, AuditFollowOptions, AuditListOptions, Code, ConnectOptions};

use crate::fake::{Fake, Network, intent, marks, outcome, sends, status, unavailable};

#[tokio::test]
async fn records_come_from_all_pages_also_after_one_that_has_none() {
    let fake = Fake::default().with_audit_pages([vec![outcome("a", 2)], vec![], vec![intent("a", 1)]]);
    let client = Network::default().client(&fake, ConnectOptions::new(""));
    let records: Vec<_> = client.list_audit_records(AuditListOptions::default()).try_collect().await.unwrap();
    assert_eq!(records, [outcome("a", 2), intent("a", 1)]);
}

/// The calls whose records came, until the stream ended, and the reason of its end.
async fn followed(fake: &Fake, options: AuditFollowOptions) -> (Vec<String>, String) {
    let client = Network::default().client(fake, ConnectOptions::new(""));
    let mut events = client.follow_audit_records(options);
    let mut calls = Vec::new();
    loop {
        match events.try_next().await {
            Ok(Some(event)) => {
                if let AuditEventKind::Record(record) = event.kind {
                    calls.push(record.audit_id);
                }
            }
            Ok(None) => panic!("it ended without an error"),
            Err(error) => return (calls, error.reason().unwrap_or_default().to_owned()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_or_breaks_is_resumed_after_its_last_message() {
    let fake = Fake::default();
    fake.next_audit_stream([marks("t0"), sends(outcome("a", 1), "t1")])
        .next_audit_stream([marks("t2"), Err(unavailable())])
        .next_audit_stream([Err(unavailable())])
        .next_audit_stream([sends(outcome("b", 2), "t3")]);
    let (calls, reason) = followed(&fake, AuditFollowOptions::default()).await;
    assert_eq!((calls, reason.as_str()), (vec!["a".to_owned(), "b".to_owned()], "ACCESS_DENIED"));
    let tokens: Vec<String> = fake.audit_stream_requests().into_iter().map(|request| request.resume_token).collect();
    assert_eq!(tokens, ["", "t1", "t2", "t2", "t3"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_another_log_ends_it_since_only_who_follows_knows_what_that_means() {
    let fake = Fake::default();
    let mismatch = status(Code::OutOfRange, "AUDIT_LOG_MISMATCH", "another log", None);
    fake.next_audit_stream([sends(outcome("a", 1), "t1")]).next_audit_stream([Err(mismatch)]);
    let (calls, reason) = followed(&fake, AuditFollowOptions::default()).await;
    assert_eq!((calls.len(), reason.as_str()), (1, "AUDIT_LOG_MISMATCH"));
}
