use super::*;
use crate::drain::tests::example::{budget, cluster, node, now, of_daemon_set, pod, seconds_from_now, web};
use crate::drain::{BudgetOverride, DRAIN_LABEL, EmptyDirData};

/// A node with a pod of each kind that matters, and one other node, on which there is room for one.
fn example() -> v1::DrainPlan {
    let of_job = pod("job-1").owned_by("batch/v1", "Job", "job").label(DRAIN_LABEL, "wait-completed");
    let cluster = cluster([
        web("web-0").terminating(seconds_from_now(20), 30),
        web("web-1"),
        web("web-2"),
        pod("db-1").label("app", "db").replicated().empty_dir("scratch"),
        of_daemon_set("logs-1"),
        of_job,
    ])
    .node(node("spare").allocatable(&[("cpu", "4"), ("memory", "16Gi"), ("pods", "1")]))
    .daemon_set("logs")
    .budget(budget("web").healthy(3, 2, 3))
    .budget(budget("db").healthy(1, 1, 1));
    let overridden = BudgetOverride { namespace: "default".into(), name: "db".into(), reason: "owner agreed".into() };
    let policy = DrainPolicy {
        budget_overrides: vec![overridden],
        empty_dir_data: EmptyDirData::Delete,
        ..DrainPolicy::default()
    };
    plan(&cluster.plan(&policy), &policy, now())
}

#[test]
fn a_plan_is_told_with_all_that_it_holds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rpc/drain/convert/plan_example.txt");
    let told = format!("{:#?}\n", example());
    if std::env::var_os("NODEWARD_WRITE_EXAMPLES").is_some() {
        std::fs::write(path, &told).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        told == expected,
        "look at what has changed: NODEWARD_WRITE_EXAMPLES=1 cargo test -p nodeward-server a_plan_is"
    );
}

#[test]
fn a_plan_that_is_refused_says_why_and_has_no_estimate() {
    let policy = DrainPolicy::default();
    let refused = plan(&cluster([pod("bare"), web("web-1")]).plan(&policy), &policy, now());
    assert_eq!(refused.refusals, ["default/bare: nobody controls it, so nobody would replace it"]);
    assert_eq!((refused.estimate, refused.obstacles.len()), (None, 0));
    let bare = refused.pods.iter().find(|pod| pod.action() == v1::pod_plan::Action::Refuse).unwrap();
    assert_eq!((bare.turn, bare.round, &bare.blocker), (None, None, &None));
    assert_eq!(bare.reasons[0].effect(), v1::pod_reason::Effect::Refuse);
}

#[test]
fn what_decided_comes_first() {
    let policy = DrainPolicy::default();
    let skipped = pod("bare").empty_dir("scratch").label(DRAIN_LABEL, "skip");
    let told = plan(&cluster([skipped]).plan(&policy), &policy, now());
    let kinds: Vec<_> = told.pods[0].reasons.iter().map(|reason| reason.kind()).collect();
    assert_eq!(kinds[0], v1::pod_reason::Kind::DrainLabel);
    assert!(kinds.len() > 1, "{kinds:?}");
}

#[test]
fn an_estimate_that_nobody_can_make_is_obstacles_in_its_place() {
    let policy = DrainPolicy::default();
    let held = cluster([web("web-1")]).budget(budget("web").healthy(1, 1, 1));
    let told = plan(&held.plan(&policy), &policy, now());
    assert_eq!(told.obstacles, ["default/web-1: budget default/web needs 1 healthy pods and has 1"]);
    assert_eq!(told.estimate, None);
    let free = plan(&cluster([web("web-1")]).plan(&policy), &policy, now());
    assert_eq!(free.estimate.unwrap().seconds, 35);
}
