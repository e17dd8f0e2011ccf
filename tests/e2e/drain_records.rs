//! The audit records of drains when their disk is full, or their server crashes: nothing is removed that is not on record, and what
//! became of it is found out later.

use std::path::Path;

use nodeward_audit_log::Verifier;
use nodeward_server::audit::{AuditRecord, Stage};
use nodeward_server::drain::{Blocker, PodProgress, PodState};
use nodeward_server::operation::{OperationStatus, State};

use crate::support::crash::{Ground, HeldNode, Replica, Story, asked, shared_ground};
use crate::support::eventually;
use crate::support::records::{forget_the_outcome, records, size};

/// A server with its log in this directory.
async fn server(ground: &Ground, log: &Path) -> Replica {
    let flags = ["--audit-settle", "1", "--audit-dir", log.to_str().unwrap()];
    Replica::start_with(ground, &flags).await
}

/// The records of the removal of this pod, the oldest first.
fn of_pod(log: &Path, pod: &str) -> Vec<AuditRecord> {
    let is_of_pod = |record: &AuditRecord| {
        let object = record.request.object_ref.as_ref();
        object.is_some_and(|object| object.resource == "pods" && object.name == pod)
    };
    records(log).into_iter().filter(is_of_pod).collect()
}

fn reason(record: &AuditRecord) -> &str {
    record.response_status.as_ref().map_or("", |status| &status.reason)
}

/// How often the apiserver has removed this pod of a node.
fn removals(ground: &Ground, node: &HeldNode, pod: &str) -> usize {
    let all = asked(ground).into_iter().filter(|it| it.is_removal() && it.is_done());
    all.filter(|it| it.namespace == node.node && it.name == pod).count()
}

fn held(status: &OperationStatus) -> &PodProgress {
    status.pods.iter().find(|pod| pod.pod.name == "held").unwrap()
}

/// A node whose free pod a drain has removed when its server crashes, which is once the drain has come this far. What has become
/// of the last removal is not on record.
async fn drained_until_a_crash(
    ground: &Ground,
    log: &Path,
    has_come: impl Fn(&OperationStatus) -> bool,
) -> (HeldNode, Story) {
    let first = server(ground, log).await.leads().await;
    let node = HeldNode::new(ground, false).await;
    let story = node.drained_by(ground, &first).await;
    story.until("it has come to where its server crashes", has_come).await;
    first.kill().await;
    forget_the_outcome(log);
    (node, story)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_is_full_a_drain_removes_nothing_and_it_goes_on_when_there_is_room() {
    let ground = &*shared_ground().await;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let server = server(ground, &log).await.leads().await;
    let node = HeldNode::new(ground, false).await;
    let story = node.drained_by(ground, &server).await;

    server.process.limit_files(Some(size(&log)));
    node.open().await;
    let says_why = |status: &OperationStatus| {
        let Some(Blocker::Unavailable { message }) = &held(status).blocker else { return false };
        held(status).state == PodState::Blocked && message.contains("the audit record can't be written")
    };
    story.until("it says that the record can't be written", says_why).await;
    let tries = |status: &OperationStatus| status.pods.iter().any(|pod| pod.attempts >= 3 && says_why(status));
    story.until("it has tried again and again", tries).await;
    assert!(node.workload.find("held").await.unwrap().metadata.deletion_timestamp.is_none());
    assert_eq!(removals(ground, &node, "held"), 0);

    server.process.limit_files(None);
    story.until("it has ended", |status| status.state == State::Succeeded).await;
    let known = eventually("the outcome is on record", async || {
        let stages = of_pod(&log, "held");
        stages
            .iter()
            .any(|record| reason(record).is_empty() && record.stage == Stage::ResponseComplete)
            .then_some(stages)
    })
    .await;
    let [.., intent, outcome] = &known[..] else { panic!("{known:#?}") };
    assert_eq!((intent.stage, outcome.stage), (Stage::RequestReceived, Stage::ResponseComplete));
    assert_eq!(removals(ground, &node, "held"), 1);
    server.process.terminate().await;
    let (code, said) = server.process.ended().await;
    assert_eq!(code, Some(0), "{said}");
    let report = Verifier::trusting_the_log().verify(&log).unwrap();
    assert!(report.is_intact(), "{report}");
    node.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_whose_outcome_a_crash_has_swallowed_is_settled_and_its_drain_goes_on() {
    let ground = &*shared_ground().await;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (node, story) = drained_until_a_crash(ground, &log, |_| true).await;
    let [intent] = &of_pod(&log, "free")[..] else { panic!("the intent of it alone") };
    assert_eq!(intent.stage, Stage::RequestReceived);

    let second = server(ground, &log).await;
    let settled = eventually("it is settled", async || {
        let records = of_pod(&log, "free");
        records.last().filter(|last| last.stage == Stage::Settled)?;
        Some(records)
    })
    .await;
    assert!(settled.iter().all(|record| record.audit_id == intent.audit_id), "{settled:#?}");
    let told: Vec<_> = settled.iter().map(|record| (record.stage, reason(record))).collect();
    let expected =
        [(Stage::RequestReceived, ""), (Stage::ResponseComplete, "OUTCOME_UNKNOWN"), (Stage::Settled, "CARRIED_OUT")];
    assert_eq!(told, expected);
    node.open().await;
    story.until("it has ended", |status| status.state == State::Succeeded).await;
    assert_eq!([removals(ground, &node, "free"), removals(ground, &node, "held")], [1, 1]);
    second.kill().await;
    node.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_that_a_budget_refused_before_a_crash_is_settled_as_not_carried_out() {
    let ground = &*shared_ground().await;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    // Kubernetes is asked from time to time, whatever the budget is said to allow.
    let was_refused = |status: &OperationStatus| held(status).attempts > 0 && held(status).state == PodState::Blocked;
    let (node, story) = drained_until_a_crash(ground, &log, was_refused).await;
    let intent = of_pod(&log, "held").pop().unwrap();
    assert_eq!(intent.stage, Stage::RequestReceived);

    let second = server(ground, &log).await;
    let settled = eventually("it is settled", async || {
        of_pod(&log, "held").into_iter().find(|record| record.stage == Stage::Settled)
    })
    .await;
    assert_eq!((settled.audit_id, reason(&settled)), (intent.audit_id, "NOT_CARRIED_OUT"));
    node.open().await;
    story.until("it has ended", |status| status.state == State::Succeeded).await;
    assert_eq!(removals(ground, &node, "held"), 1);
    second.kill().await;
    node.clean_up().await;
}
