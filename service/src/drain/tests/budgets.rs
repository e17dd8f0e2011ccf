//! What budgets would say of all pods together.

use super::super::*;
use super::example::*;
use crate::pod::example::PodExample;

fn rounds(plan: &DrainPlan) -> Vec<Option<u32>> {
    plan.pods.iter().map(|pod| pod.budgets.round).collect()
}

fn five_web_pods() -> impl Iterator<Item = PodExample> {
    (1..=5).map(|number| web(&format!("web-{number}")))
}

#[test]
fn five_pods_under_a_budget_of_one_are_not_five_times_allowed() {
    let plan = cluster(five_web_pods()).budget(budget("web").healthy(5, 4, 5)).default_plan();
    let allowed = plan.pods.iter().filter(|pod| matches!(pod.budgets.verdict, BudgetVerdict::Now { .. }));
    assert_eq!(allowed.count(), 1);
    assert_eq!(rounds(&plan), [Some(0), Some(1), Some(2), Some(3), Some(4)]);
}

#[test]
fn a_pod_that_waits_says_how_many_are_ahead_of_it() {
    let plan = cluster(five_web_pods()).budget(budget("web").healthy(5, 3, 5)).default_plan();
    let ahead = |name| match planned(&plan, name).budgets.verdict {
        BudgetVerdict::Waits { ahead, .. } => Some(ahead),
        _ => None,
    };
    assert_eq!((ahead("web-2"), ahead("web-3"), ahead("web-5")), (None, Some(2), Some(2)));
}

#[test]
fn a_budget_of_two_lets_two_go_in_each_round() {
    let plan = cluster(five_web_pods()).budget(budget("web").healthy(10, 8, 10)).default_plan();
    assert_eq!(rounds(&plan), [Some(0), Some(0), Some(1), Some(1), Some(2)]);
}

#[test]
fn a_pod_that_waits_shows_the_numbers_and_who_holds_the_budget() {
    let elsewhere = web("broken").on("other").unready().created(seconds_from_now(-3600));
    let cluster = cluster([web("web-1"), web("well").on("other"), elsewhere]);
    let plan = cluster.budget(budget("web").healthy(2, 2, 3)).default_plan();

    let check = &planned(&plan, "web-1").budgets;
    let BudgetVerdict::Waits { budget, ahead, held_by, .. } = &check.verdict else { panic!("{check:?}") };
    assert_eq!((budget.healthy, budget.desired, budget.allowed, budget.expected), (2, 2, 0, 3));
    assert_eq!(*ahead, 0);
    assert_eq!(held_by.len(), 1);
    assert_eq!((held_by[0].reference.name.as_str(), held_by[0].state), ("broken", UnreadyState::NotReady));
    assert_eq!(held_by[0].node.as_deref(), Some("other"));
    assert_eq!(check.round, None, "a pod that has been broken for an hour is not taken to recover");
    assert_eq!(check.covering, [BudgetName { namespace: "default".into(), name: "web".into() }]);
}

#[test]
fn pods_whose_evictions_were_granted_and_not_seen_to_happen_are_named() {
    let granted = |seconds| {
        let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(seconds_from_now(seconds));
        let budget = budget("web").healthy(2, 2, 3);
        let budget = budget.status(|status| status.disrupted_pods = Some([("web-2".to_owned(), time)].into()));
        let plan = cluster([web("web-1"), web("web-2").on("other")]).budget(budget).default_plan();
        Blocker::of_budgets(&planned(&plan, "web-1").budgets.verdict, &[]).unwrap()
    };
    let waits = granted(-60);
    let text = "budget default/web needs 2 healthy pods and has 2; evicted and still there: default/web-2";
    assert_eq!(waits.to_string(), text);
    assert!(waits.hint().contains("counts them again"), "{}", waits.hint());
    assert_eq!(granted(-120).to_string(), "budget default/web needs 2 healthy pods and has 2");
}

#[test]
fn a_pod_that_is_starting_is_taken_to_become_ready() {
    let starting = web("starting").on("other").unready().created(seconds_from_now(-20));
    let plan = cluster([web("web-1"), starting]).budget(budget("web").healthy(2, 2, 3)).default_plan();
    assert_eq!(planned(&plan, "web-1").budgets.round, Some(1));
}

#[test]
fn a_budget_that_needs_all_its_pods_never_lets_one_go() {
    let plan = cluster([web("web-1")]).budget(budget("web").healthy(1, 1, 1)).default_plan();
    assert!(matches!(plan.pods[0].budgets.verdict, BudgetVerdict::Never { .. }));
    assert_eq!(plan.pods[0].budgets.round, None);
    assert!(plan.warnings.iter().any(|warning| matches!(warning, Warning::Blocked { .. })));
}

#[test]
fn several_budgets_on_one_pod_block_it_whatever_they_allow() {
    let cluster = cluster([web("web-1").label("team", "a")]);
    let plan = cluster
        .budget(budget("web").healthy(9, 1, 9))
        .budget(budget("team").over("team", "a").healthy(9, 1, 9))
        .default_plan();
    assert_eq!(plan.pods[0].budgets.verdict, BudgetVerdict::Several);
    assert_eq!(plan.pods[0].budgets.covering.len(), 2);
}

#[test]
fn a_budget_that_was_just_changed_lets_nobody_go() {
    let plan = cluster([web("web-1")]).budget(budget("web").healthy(5, 1, 5).generation(2)).default_plan();
    assert!(matches!(
        plan.pods[0].budgets.verdict,
        BudgetVerdict::NotProcessed { generation: 2, observed_generation: 1, .. }
    ));
}

#[test]
fn what_is_wrong_with_a_budget_is_told() {
    let negative = budget("web").healthy(5, 1, 5).status(|status| status.disruptions_allowed = Some(-1));
    let counting_nobody = budget("web").healthy(0, 0, 0);
    let failed = budget("web").healthy(5, 5, 5).status(|status| {
        status.conditions = Some(vec![k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition {
            type_: "DisruptionAllowed".into(),
            status: "False".into(),
            reason: "SyncFailed".into(),
            message: "found no controllers for pod".into(),
            last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()),
            observed_generation: None,
        }]);
    });
    let crowded = budget("web").healthy(5, 1, 5).status(|status| {
        let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now());
        status.disrupted_pods = Some((0..2001).map(|index| (format!("pod-{index}"), time.clone())).collect());
    });
    for (budget, expected) in [
        (crowded, BudgetFault::TooManyDisruptedPods),
        (negative, BudgetFault::Negative),
        (counting_nobody, BudgetFault::CountsNoPods),
        (failed, BudgetFault::SyncFailed { message: "found no controllers for pod".into() }),
    ] {
        let plan = cluster([web("web-1")]).budget(budget).default_plan();
        let BudgetVerdict::Faulty { fault, .. } = &plan.pods[0].budgets.verdict else { panic!("{plan:?}") };
        assert_eq!(*fault, expected);
    }
}

#[test]
fn pods_that_are_not_running_are_exempt() {
    let cluster = cluster([
        web("a-finished").phase("Failed"),
        web("b-pending").phase("Pending").unready(),
        web("c-going").terminating(now(), 30),
    ]);
    let plan = cluster.budget(budget("web").healthy(0, 3, 3)).default_plan();
    for (pod, expected) in plan.pods.iter().zip([Exemption::Finished, Exemption::Pending, Exemption::Terminating]) {
        assert_eq!(pod.budgets.verdict, BudgetVerdict::Exempt { exemption: expected });
        assert_eq!(pod.budgets.round, Some(0));
    }
}

#[test]
fn an_unready_pod_goes_if_its_budget_has_enough_without_it() {
    let unready = || web("web-1").unready().created(seconds_from_now(-3600));
    let verdict =
        |budget: BudgetExample| cluster([unready()]).budget(budget).default_plan().pods.remove(0).budgets.verdict;

    let enough = verdict(budget("web").healthy(2, 2, 3));
    assert_eq!(enough, BudgetVerdict::Exempt { exemption: Exemption::UnreadyBudgetHealthy });
    let too_few = verdict(budget("web").healthy(1, 2, 3));
    assert!(matches!(too_few, BudgetVerdict::Waits { .. }), "{too_few:?}");
    let none_needed = verdict(budget("web").healthy(0, 0, 3));
    assert!(matches!(none_needed, BudgetVerdict::Waits { .. }), "{none_needed:?}");
    let always = verdict(budget("web").healthy(1, 2, 3).always_allowing_unready());
    assert_eq!(always, BudgetVerdict::Exempt { exemption: Exemption::UnreadyAlwaysAllowed });
}

#[test]
fn a_budget_covers_pods_of_its_namespace_only() {
    let plan = cluster([web("web-1").in_namespace("shop")]).budget(budget("web").healthy(1, 1, 1)).default_plan();
    assert_eq!(plan.pods[0].budgets.verdict, BudgetVerdict::Unprotected);
}

#[test]
fn a_budget_with_an_empty_selector_covers_all_and_one_without_any_covers_none() {
    let all = budget("all").spec(|spec| spec.selector = Some(Default::default())).healthy(5, 1, 5);
    let none = budget("none").spec(|spec| spec.selector = None);
    let plan = cluster([web("web-1")]).budget(all).budget(none).default_plan();
    assert_eq!(plan.pods[0].budgets.covering.len(), 1);
    assert!(matches!(plan.pods[0].budgets.verdict, BudgetVerdict::Now { .. }));
}

#[test]
fn a_pod_that_is_deleted_is_missing_to_the_budget_of_others() {
    let policy = |name: &str| DrainPolicy {
        budget_overrides: vec![BudgetOverride { namespace: "default".into(), name: name.into(), reason: "r".into() }],
        ..DrainPolicy::default()
    };
    // The first pod is covered by the overridden budget alone, and is deleted before the second asks.
    let cluster = cluster([web("web-1"), web("web-2")]).budget(budget("web").healthy(3, 2, 3));
    let plan = cluster.plan(&policy("web"));
    assert!(plan.pods.iter().all(|pod| pod.verdict.action == Action::Delete));
    assert!(plan.pods.iter().all(|pod| pod.budgets.verdict == BudgetVerdict::NotAsked));
}

#[test]
fn a_pod_that_nobody_replaces_is_missing_in_the_next_round() {
    let policy = DrainPolicy { unmanaged_pods: UnmanagedPods::Drain, ..DrainPolicy::default() };
    let naked = |name: &str| pod(name).label("app", "web");
    let plan = cluster([naked("web-1"), naked("web-2")]).budget(budget("web").healthy(2, 1, 2)).plan(&policy);
    assert_eq!(rounds(&plan), [Some(0), None]);
}

#[test]
fn what_is_behind_a_pod_that_never_goes_never_begins() {
    let stuck = web("a-web");
    let critical = pod("b-dns").replicated().priority(2_000_000_000);
    let plan = cluster([stuck, critical]).budget(budget("web").healthy(1, 1, 1)).default_plan();
    assert_eq!(planned(&plan, "b-dns").budgets.verdict, BudgetVerdict::Unprotected);
    assert_eq!(planned(&plan, "b-dns").budgets.round, None);
}
