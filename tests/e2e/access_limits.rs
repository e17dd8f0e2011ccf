//! Callers who call too often.

use std::time::Duration;

use futures::future::join_all;
use nodeward_sandbox::User;
use nodeward_server::access::LimitOptions;
use nodeward_server::args::ServeOptions;
use nodeward_server::audit::AuditOptions;
use tokio::time::sleep;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::guarded::{Guarded, options, rbac_only};
use crate::support::records::records;
use crate::support::somebody::Somebody;
use crate::support::{assert_error, world};

/// A server that takes a change a second of each user, and a few more now and then.
async fn strict() -> Guarded {
    let limits =
        LimitOptions { mutation_rate: 1, mutation_burst: 3, mutation_concurrency: 0, ..LimitOptions::default() };
    Guarded::start(rbac_only().await, ServeOptions { limits, ..options().await }).await
}

/// Tries changes at once, each by one of these: one refusal. There must be one for each that is too much.
async fn refusal(people: &[Somebody], node: &str) -> Status {
    let answers = join_all(people.iter().map(|somebody| somebody.ask("CordonNode", node))).await;
    let (refused, allowed): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_err);
    // A few more than the burst, if they take long.
    assert!((3..people.len() / 2).contains(&allowed.len()), "{} were allowed", allowed.len());
    refused
        .into_iter()
        .fold(None, |_, refused| Some(assert_error(refused, Code::ResourceExhausted, "RATE_LIMITED")))
        .unwrap()
}

#[tokio::test]
async fn who_changes_too_much_is_told_when_to_go_on_and_disturbs_nobody() {
    let server = strict().await;
    let node = world().await.node("limits").await;
    let [hasty, other] = [server.user(User::Operator).await, server.user(User::Admin).await];
    let refused = refusal(&vec![hasty.clone(); 40], &node).await;
    let quota = refused.get_details_quota_failure().unwrap().violations.remove(0);
    assert_eq!(quota.subject, "user:operator");
    assert!(quota.description.starts_with("mutations: 1 a second"), "{quota:?}");
    let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(wait <= Duration::from_secs(1), "{wait:?}");

    // Neither others, nor what else the same user does.
    other.ask("CordonNode", &node).await.unwrap();
    hasty.ask("GetNode", &node).await.unwrap();
    sleep(wait).await;
    hasty.ask("CordonNode", &node).await.unwrap();
}

/// Or whoever may change nothing could fill the log's disk, faster than the limits let anybody be.
#[tokio::test]
async fn what_a_limit_refuses_is_not_on_record() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let limits = LimitOptions { mutation_rate: 1, mutation_burst: 3, ..LimitOptions::default() };
    let audit = AuditOptions { audit_dir: Some(log.clone()), ..AuditOptions::default() };
    let server = Guarded::start(rbac_only().await, ServeOptions { limits, audit, ..options().await }).await;
    let viewer = server.user(User::Viewer).await;
    let answers = join_all((0..40).map(|_| viewer.ask("CordonNode", "worker-1"))).await;
    let (limited, denied): (Vec<_>, Vec<_>) =
        answers.into_iter().map(Result::unwrap_err).partition(|refused| refused.code() == Code::ResourceExhausted);
    assert!(limited.len() > 20, "{}", limited.len());
    let reasons = records(&log).into_iter().map(|record| record.response_status.unwrap().reason);
    assert_eq!(reasons.collect::<Vec<_>>(), vec!["ACCESS_DENIED"; denied.len()]);
}

/// It is the user who is limited, over however many connections.
#[tokio::test]
async fn a_user_has_one_limit_over_all_connections() {
    let server = strict().await;
    let connections = join_all((0..20).map(|_| server.user(User::Operator))).await;
    refusal(&connections, "worker-1").await;
}
