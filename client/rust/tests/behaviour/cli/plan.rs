//! `plan`, and `drain --dry-run`.

use nodeward_client::api::pod_plan::Action;
use nodeward_client::api::{
    Blocker, BudgetName, DrainPlan, DrainTotals, OperationState, Placement, PodPlan, PodReason, PodReference, placement,
};
use prost_types::Duration;
use serde_json::Value;

use super::Cli;
use crate::fake::{Call, Fake, reaches, worker};

fn fake() -> Fake {
    Fake::with([worker("a"), worker("b")])
}

fn web(action: Action) -> PodPlan {
    let name =
        |namespace: &str, pod: &str| PodReference { namespace: namespace.into(), pod: pod.into(), uid: "u".into() };
    PodPlan {
        pod: Some(name("shop", "web-1")),
        action: action.into(),
        reasons: vec![PodReason { message: "ReplicaSet web makes it anew".into(), ..PodReason::default() }],
        turn: Some(0),
        round: Some(1),
        budgets: vec![BudgetName { namespace: "shop".into(), budget: "web".into() }],
        blocker: Some(Blocker { message: "it is the second".into(), hint: "wait".into(), kind: None }),
        placement: Some(Placement {
            kind: placement::Kind::Fits.into(),
            node: "nodes/b".into(),
            message: String::new(),
        }),
        ..PodPlan::default()
    }
}

fn plan(action: Action) -> DrainPlan {
    DrainPlan {
        node: "nodes/a".into(),
        pods: vec![web(action)],
        totals: Some(DrainTotals { evict: 1, ..DrainTotals::default() }),
        warnings: vec!["data is lost".into()],
        estimate: Some(Duration { seconds: 90, nanos: 0 }),
        plan_hash: "abc".into(),
        ..DrainPlan::default()
    }
}

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let cli = Cli::of(fake().with_plan(plan(Action::Evict)));
    let run = cli.run(&["drain", "a", "--dry-run=client"]);
    let expected = "node/a cordoned (dry run)\nevicting pod shop/web-1 (dry run)\nnode/a drained (dry run)\n";
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (0, expected, "warning: data is lost\n"));
    assert!(cli.fake.drain_requests().is_empty());
}

#[test]
fn a_dry_run_by_the_server_has_the_request_checked_too() {
    let cli = Cli::of(fake().with_plan(plan(Action::Evict)));
    let out = cli.run(&["drain", "a", "--dry-run=server"]).ok();
    assert!(out.ends_with("node/a drained (server dry run)\n"), "{out}");
    assert!(cli.fake.drain_requests()[0].validate_only);
}

#[test]
fn a_dry_run_of_what_would_be_refused_fails_as_the_drain_would() {
    let refused = DrainPlan { refusals: vec!["shop/web-1 has no controller".into()], ..plan(Action::Refuse) };
    let run = Cli::of(fake().with_plan(refused)).run(&["drain", "a", "--dry-run=client"]);
    assert_eq!((run.code, run.out.as_str()), (8, ""));
    assert!(run.err.contains("  shop/web-1 has no controller\n"), "{}", run.err);
}

#[test]
fn a_plan_is_a_table_and_what_holds_for_the_node() {
    let expected = "\
POD          ACTION   TURN   ROUND   BUDGETS    REPLACEMENT   WHY
shop/web-1   evict    0      1       shop/web   fits b        ReplicaSet web makes it anew

Node:      a
Totals:    1 evict, 0 delete, 0 skip, 0 wait, 0 refuse
Estimate:  at most 90s
Waits:     shop/web-1: it is the second (wait)
Warning:   data is lost
Plan hash: abc
";
    assert_eq!(Cli::of(fake().with_plan(plan(Action::Evict))).run(&["plan", "a"]).ok(), expected);
}

#[test]
fn a_plan_has_the_policy_of_the_drain() {
    let cli = Cli::of(fake());
    cli.run(&["plan", "nodes/a", "--force", "--ignore-daemonsets"]).ok();
    cli.fake.next_events("a", [reaches(1, OperationState::Succeeded)]);
    cli.run(&["drain", "nodes/a", "--force", "--ignore-daemonsets"]).ok();
    let Some(Call::PlanDrain(request)) = cli.fake.calls().first().cloned() else { panic!("it was not asked") };
    assert_eq!(request.policy, cli.fake.drain_requests().remove(0).policy);
}

#[test]
fn a_plan_can_be_json() {
    let out = Cli::of(fake().with_plan(plan(Action::Evict))).run(&["plan", "a", "-o", "json"]).ok();
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((value["planHash"].as_str(), value["pods"][0]["action"].as_str()), (Some("abc"), Some("ACTION_EVICT")));
}
