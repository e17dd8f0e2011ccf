//! Drains of one node, at an apiserver that does as it is told.

use k8s_openapi::api::core::v1::Node;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::advance;

use super::super::testing::{Apiserver, term, trails};
use super::*;
use crate::cluster::store::NodeView;
use crate::drain::{AtDeadline, OnUncordon, Removal, RemovalOrder};
use crate::node::claim;
use crate::operation::{Cancel, Drain, OperationStatus};
use crate::pod::PodReference;

const CLAIMED: &str = r#"[{"owner": "operations/drain", "operation": "operations/drain", "requester": "nodeward"}]"#;

/// An apiserver whose operation is a drain with this policy.
fn asked(policy: &DrainPolicy) -> Apiserver {
    let apiserver = Apiserver::new();
    apiserver.change(|operation| operation.spec.drain = Some(Drain { policy: json!(policy) }));
    apiserver
}

fn cancel(apiserver: &Apiserver, release_cordon: bool) {
    let cancel = Cancel { username: "alice".to_owned(), release_cordon, ..Cancel::default() };
    apiserver.change(|operation| operation.spec.cancel = Some(cancel));
}

/// The node is cordoned for the drain.
fn claim_node(apiserver: &Apiserver) {
    let annotations = json!({ claim::ANNOTATION: CLAIMED });
    apiserver.patch_node(&json!({ "metadata": { "annotations": annotations }, "spec": { "unschedulable": true } }));
}

fn carried_out(apiserver: &Apiserver) -> JoinHandle<anyhow::Result<()>> {
    let cluster = apiserver.cluster();
    let (trails, view) = (trails(&cluster), cluster.operations().view());
    tokio::spawn(carry_out(cluster, trails, "drain".to_owned(), view, term(1, 3600), "one".to_owned()))
}

/// The drain, begun, with what holds for the cordon.
async fn drainer(apiserver: &Apiserver, policy: DrainPolicy, cordon: CordonState) -> Drainer {
    apiserver.change(|operation| {
        let mut status = OperationStatus { start_time: Some(Timestamp::now()), ..OperationStatus::default() };
        status.set_cordon(cordon, "", Timestamp::now());
        operation.status = Some(status);
    });
    let (cluster, term) = (apiserver.cluster(), term(1, 3600));
    let view = cluster.operations().view();
    view.in_sync().await;
    let journal = Journal::open(cluster.clone(), &trails(&cluster), "drain", view, term.clone()).await;
    let mut journal = journal.unwrap().unwrap();
    journal.begin("one").await.unwrap();
    Drainer::new(&cluster, journal, term, policy)
}

async fn see_cancel(drainer: &mut Drainer) {
    while drainer.journal.cancel().is_none() {
        drainer.journal.changed().await;
        drainer.journal.look().unwrap();
    }
}

/// How often the node was to be changed, its conditions not counted.
fn patches(apiserver: &Apiserver) -> usize {
    let patches = apiserver.requests("PATCH /api/v1/nodes");
    patches.iter().filter(|request| !request.ends_with("/status")).count()
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_cancelled_before_it_begins_does_not_cordon() {
    let apiserver = asked(&DrainPolicy::default());
    cancel(&apiserver, false);
    carried_out(&apiserver).await.unwrap().unwrap();
    let status = apiserver.status();
    assert_eq!((status.state, status.cordon.state, patches(&apiserver)), (State::Cancelled, CordonState::None, 0));
    assert_eq!(status.message, "cancelled by alice; the node was not cordoned");
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_cancelled_while_its_node_can_not_be_cordoned_ends() {
    let apiserver = asked(&DrainPolicy::default());
    apiserver.fail(Some("PATCH /api/v1/nodes"));
    let drain = carried_out(&apiserver);
    apiserver.wait_for(|apiserver| patches(apiserver) > 1).await;
    cancel(&apiserver, false);
    drain.await.unwrap().unwrap();
    assert_eq!((apiserver.status().state, apiserver.status().cordon.state), (State::Cancelled, CordonState::None));
}

#[tokio::test(start_paused = true)]
async fn a_drain_whose_deadline_has_passed_does_not_cordon() {
    let deadline = Some(Duration::from_secs(1));
    let apiserver = asked(&DrainPolicy { deadline, at_deadline: AtDeadline::Fail, ..DrainPolicy::default() });
    apiserver.change(|operation| {
        let start_time = Some(Timestamp::UNIX_EPOCH);
        operation.status = Some(OperationStatus { start_time, ..OperationStatus::default() });
    });
    carried_out(&apiserver).await.unwrap().unwrap();
    let failure = apiserver.status().failure.unwrap();
    assert_eq!((failure.reason.as_str(), patches(&apiserver)), ("DEADLINE_EXCEEDED", 0));
}

#[tokio::test(start_paused = true)]
async fn a_cordon_that_nobody_has_written_down_is_told_of_at_the_end() {
    let apiserver = asked(&DrainPolicy::default());
    claim_node(&apiserver);
    cancel(&apiserver, false);
    carried_out(&apiserver).await.unwrap().unwrap();
    assert_eq!(apiserver.status().message, "cancelled by alice; the node stays cordoned");
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_does_not_see_the_cluster_says_so_and_can_be_cancelled() {
    let apiserver = asked(&DrainPolicy::default());
    let drain = carried_out(&apiserver);
    apiserver.until(|status| status.message.contains("have not all been read yet")).await;
    cancel(&apiserver, true);
    drain.await.unwrap().unwrap();
    let status = apiserver.status();
    assert_eq!((status.state, status.cordon.state), (State::Cancelled, CordonState::Released));
    assert_eq!(apiserver.node()["spec"]["unschedulable"], json!(null));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_removed_once_a_cancel_is_written_down() {
    let apiserver = asked(&DrainPolicy::default());
    let mut drainer = drainer(&apiserver, DrainPolicy::default(), CordonState::Own).await;
    cancel(&apiserver, false);
    let [namespace, name, uid] = ["shop", "web", "p"].map(str::to_owned);
    let pod = PodReference { namespace, name, uid };
    let progress = vec![PodProgress::of(&pod)];
    let overrides = Vec::new();
    let removals = vec![RemovalOrder { pod, removal: Removal::Evict, grace_seconds: None, attempt: 1, overrides }];
    drainer.take(Step { progress, removals, ..Step::default() }, Timestamp::now()).await.unwrap();
    assert!(drainer.removals.in_flight().is_empty());
    let ending = drainer.ending(Outlook::Working).await.unwrap();
    Box::pin(drainer.finish(ending.unwrap())).await.unwrap();
    assert_eq!(apiserver.status().state, State::Cancelled);
    assert!(apiserver.requests("POST /api/v1/namespaces/shop").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_somebody_has_made_schedulable_is_not_drained() {
    let apiserver = asked(&DrainPolicy::default());
    let mut drainer = drainer(&apiserver, DrainPolicy::default(), CordonState::Lifted).await;
    advance(NONE_CAME_FOR).await;
    assert_eq!(drainer.ending(Outlook::Empty).await.unwrap(), None);
    assert!(drainer.wake(Outlook::Empty, None, Timestamp::now()) > Instant::now(), "it is not asked at once again");
    cancel(&apiserver, false);
    see_cancel(&mut drainer).await;
    assert!(drainer.ending(Outlook::Empty).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn late_pods_are_waited_for_anew_when_the_node_is_cordoned_again() {
    let apiserver = asked(&DrainPolicy::default());
    let mut drainer = drainer(&apiserver, DrainPolicy::default(), CordonState::Lifted).await;
    advance(NONE_CAME_FOR).await;
    let again = drainer.cordoner.cordon(&|| true, false).await.unwrap().unwrap();
    drainer.note_cordon(again, "").await.unwrap();
    assert_eq!(drainer.ending(Outlook::Empty).await.unwrap(), None);
    advance(NONE_CAME_FOR).await;
    assert_eq!(drainer.ending(Outlook::Empty).await.unwrap(), Some(Ending::succeeded()));
}

#[tokio::test(start_paused = true)]
async fn it_is_not_asked_at_once_again_whether_all_pods_were_seen() {
    let apiserver = asked(&DrainPolicy::default());
    let mut drainer = drainer(&apiserver, DrainPolicy::default(), CordonState::Own).await;
    apiserver.add_pod("late");
    advance(NONE_CAME_FOR).await;
    assert_eq!(drainer.ending(Outlook::Empty).await.unwrap(), None);
    let wake = drainer.wake(Outlook::Empty, None, Timestamp::now());
    assert!(wake >= Instant::now() + ASK_AGAIN, "{:?}", wake - Instant::now());
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_meets_the_deadline_releases_the_cordon_as_asked() {
    let apiserver = asked(&DrainPolicy::default());
    claim_node(&apiserver);
    let mut drainer = drainer(&apiserver, DrainPolicy::default(), CordonState::Own).await;
    cancel(&apiserver, true);
    see_cancel(&mut drainer).await;
    let ending = drainer.ending(Outlook::Late).await.unwrap().unwrap();
    Box::pin(drainer.finish(ending)).await.unwrap();
    let status = apiserver.status();
    assert_eq!((status.state, status.cordon.state), (State::Cancelled, CordonState::Released));
}

#[tokio::test(start_paused = true)]
async fn an_old_sight_of_a_cordon_does_not_make_a_paused_drain_cordon() {
    let apiserver = asked(&DrainPolicy::default());
    let policy = DrainPolicy { on_uncordon: OnUncordon::Pause, ..DrainPolicy::default() };
    let mut drainer = drainer(&apiserver, policy, CordonState::Lifted).await;
    let mut old: Node = serde_json::from_value(apiserver.node()).unwrap();
    old.spec.get_or_insert_default().unschedulable = Some(true);
    assert_eq!(drainer.guard_cordon(&NodeView::new(old.clone())).await.unwrap(), None);
    assert_eq!((drainer.journal.cordon().state, patches(&apiserver)), (CordonState::Lifted, 0));
    apiserver.patch_node(&json!({ "spec": { "unschedulable": true } }));
    drainer.guard_cordon(&NodeView::new(old)).await.unwrap();
    assert_eq!(drainer.journal.cordon().state, CordonState::Foreign, "somebody has cordoned it again");
}
