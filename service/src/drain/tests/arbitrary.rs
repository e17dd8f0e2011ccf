//! Clusters and policies as nobody would make them.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Affinity, Pod, PodAffinityTerm, PodAntiAffinity};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::*;
use super::example::*;
use crate::node::selector::LabelSelector;
use crate::pod::example::PodExample;

pub(crate) fn cluster() -> impl Strategy<Value = Cluster> {
    let nodes = vec(other_node(), 0..3);
    (vec(any_pod(), 0..9), vec(any_budget(), 0..4), nodes, any::<bool>(), select(vec!["True", "False", "Unknown"]))
        .prop_map(|(pods, budgets, nodes, has_daemon_set, ready)| {
            let mut it = super::example::cluster([]).emptying(node("node").ready(ready));
            // Uids are unique, names need not be.
            it.pods = pods;
            for (index, pod) in it.pods.iter_mut().enumerate() {
                pod.metadata.uid = Some(format!("uid-{index}"));
            }
            it.others = nodes;
            for (index, node) in it.others.iter_mut().enumerate() {
                node.metadata.name = Some(format!("other-{index}"));
            }
            it = if has_daemon_set { it.daemon_set("logs") } else { it };
            for (index, budget) in budgets.into_iter().enumerate() {
                it = it.budget(budget);
                it.budgets[index].metadata.name = Some(format!("budget-{index}"));
            }
            it.namespace("default", "env", "prod")
        })
}

fn time() -> impl Strategy<Value = Timestamp> {
    let any_second = Timestamp::MIN.as_second()..Timestamp::MAX.as_second();
    prop_oneof![
        (-400..400_i64).prop_map(seconds_from_now),
        any_second.prop_map(|second| Timestamp::from_second(second).unwrap()),
    ]
}

fn any_pod() -> impl Strategy<Value = Pod> {
    let names = (select(vec!["a", "b", "c", ""]), select(vec!["default", "shop", ""]));
    let node = select(vec!["node", "node", "node", "other-0", "other-1", ""]);
    let life = (
        select(vec!["Pending", "Running", "Running", "Succeeded", "Failed", ""]),
        any::<bool>(),
        of(time()),
        of((time(), any::<i64>())),
        of(prop_oneof![0..100_i64, any::<i64>()]),
    );
    let looks = (
        of(select(vec!["web", "db"])),
        of(select(vec!["skip", "wait-completed", "perhaps"])),
        select(vec!["ReplicaSet", "ReplicaSet", "DaemonSet", "StatefulSet", "Job", ""]),
        any::<bool>(),
        prop_oneof![4 => Just(false), 1 => Just(true)],
        of(any::<i32>()),
    );
    let needs = (
        of(select(vec!["100m", "3", "64", "1e300", "-1", "lots"])),
        any::<bool>(),
        of(select(vec!["dedicated", "node.kubernetes.io/unschedulable"])),
        of(select(vec!["kubernetes.io/hostname", "zone", ""])),
    );
    (names, node, life, looks, needs).prop_map(|((name, namespace), node, life, looks, needs)| {
        let (phase, ready, created, terminating, grace) = life;
        let (app, label, controller, has_empty_dir, is_mirror, priority) = looks;
        let mut it = pod(name).in_namespace(namespace).on(node).phase(phase);
        it = if ready { it } else { it.unready() };
        it = if let Some(created) = created { it.created(created) } else { it };
        it = if let Some((until, grace)) = terminating { it.terminating(until, grace) } else { it };
        it = if let Some(grace) = grace { it.grace(grace) } else { it };
        it = if let Some(app) = app { it.label("app", app) } else { it };
        it = if let Some(label) = label { it.label(DRAIN_LABEL, label) } else { it };
        it = match controller {
            "" => it,
            "DaemonSet" => it.owned_by("apps/v1", "DaemonSet", "logs"),
            kind => it.owned_by("apps/v1", kind, "web"),
        };
        it = if has_empty_dir { it.empty_dir("scratch") } else { it };
        it = if is_mirror { it.mirror() } else { it };
        it = if let Some(priority) = priority { it.priority(priority) } else { it };
        needing(it, needs).build()
    })
}

type Needs = (Option<&'static str>, bool, Option<&'static str>, Option<&'static str>);

fn needing(mut it: PodExample, (cpu, as_sidecar, toleration, topology_key): Needs) -> PodExample {
    if let Some(cpu) = cpu {
        it = if as_sidecar { it.sidecar("c", &[("cpu", cpu)]) } else { it.container("c", &[("cpu", cpu)]) };
    }
    if let Some(key) = toleration {
        it = it.tolerating(key);
    }
    let Some(topology_key) = topology_key else { return it };
    let term = PodAffinityTerm {
        label_selector: Some(Default::default()),
        topology_key: topology_key.into(),
        ..Default::default()
    };
    it.affinity(Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![term]),
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn other_node() -> impl Strategy<Value = k8s_openapi::api::core::v1::Node> {
    let cpu = select(vec!["0", "4", "96", "1e300", "none"]);
    let taint = of(select(vec!["NoSchedule", "NoExecute", "PreferNoSchedule"]));
    (cpu, taint, any::<bool>(), select(vec!["True", "True", "Unknown"]), of(select(vec!["a", "b"]))).prop_map(
        |(cpu, taint, is_cordoned, ready, zone)| {
            let mut it = node("other").ready(ready).allocatable(&[("cpu", cpu), ("memory", "1Gi"), ("pods", "3")]);
            it = if let Some(effect) = taint { it.taint("dedicated", "", effect) } else { it };
            it = if is_cordoned { it.cordoned() } else { it };
            it = if let Some(zone) = zone { it.label("zone", zone) } else { it };
            it.build()
        },
    )
}

fn number() -> impl Strategy<Value = i32> {
    prop_oneof![6 => 0..6_i32, 1 => any::<i32>()]
}

fn any_budget() -> impl Strategy<Value = BudgetExample> {
    let numbers = (number(), number(), number(), number());
    let selector = of(select(vec!["web", "db", ""]));
    (numbers, selector, select(vec![1, 1, 1, 2]), any::<bool>()).prop_map(
        |((healthy, desired, allowed, expected), app, generation, always)| {
            let mut it = budget("budget").generation(generation).status(|status| {
                status.current_healthy = Some(healthy);
                status.desired_healthy = Some(desired);
                status.disruptions_allowed = Some(allowed);
                status.expected_pods = Some(expected);
            });
            it = match app {
                None => it.spec(|spec| spec.selector = None),
                Some("") => it.spec(|spec| spec.selector = Some(Default::default())),
                Some(app) => it.over("app", app),
            };
            if always { it.always_allowing_unready() } else { it }
        },
    )
}

fn duration() -> impl Strategy<Value = Option<Duration>> {
    of(prop_oneof![(0..400_u64).prop_map(Duration::from_secs), any::<Duration>()])
}

fn selector() -> impl Strategy<Value = LabelSelector> {
    select(vec!["", "", "", "app=web", "app!=web", "!app"]).prop_map(|text| LabelSelector::parse(text).unwrap())
}

fn rule() -> impl Strategy<Value = PodRule> {
    let drain = prop_oneof![
        any::<i32>().prop_map(|order| RuleBehavior::Drain { order }),
        Just(RuleBehavior::Skip),
        Just(RuleBehavior::WaitCompleted),
    ];
    let namespaces = select(vec!["", "env=prod", "env!=prod"]);
    let selector = (selector(), namespaces).prop_map(|(selector, namespaces)| PodRuleSelector {
        selector,
        namespace_selector: LabelSelector::parse(namespaces).unwrap(),
    });
    (vec(selector, 0..2), drain).prop_map(|(pods, drain)| PodRule { name: "rule".into(), pods, drain })
}

pub(crate) fn policy() -> impl Strategy<Value = DrainPolicy> {
    let pods = (
        select(vec![UnmanagedPods::Refuse, UnmanagedPods::Drain]),
        select(vec![DaemonSetPods::Refuse, DaemonSetPods::Leave, DaemonSetPods::Drain]),
        select(vec![OrphanedDaemonSetPods::Refuse, OrphanedDaemonSetPods::Drain]),
        select(vec![EmptyDirData::Refuse, EmptyDirData::Delete]),
        select(vec![Removal::Evict, Removal::Delete]),
        select(vec![PodOrdering::ByTier, PodOrdering::AllAtOnce]),
    );
    let times = (
        of(any::<u32>()),
        duration(),
        duration(),
        select(vec![AtDeadline::Fail, AtDeadline::Delete]),
        select(vec![UnreachableNode::Wait, UnreachableNode::LeaveTerminating]),
        select(vec![OnUncordon::CordonAgain, OnUncordon::Pause, OnUncordon::Cancel]),
        select(vec![PodVolumes::Ignore, PodVolumes::WaitDetached]),
    );
    let rest = (selector(), vec(rule(), 0..3), of(1..5_u32), any::<bool>());
    (pods, times, rest).prop_map(|(pods, times, (pod_selector, rules, parallelism, overrides))| {
        let reason = || "because".to_owned();
        let overridden = BudgetOverride { namespace: "default".into(), name: "budget-0".into(), reason: reason() };
        DrainPolicy {
            unmanaged_pods: pods.0,
            daemon_set_pods: pods.1,
            orphaned_daemon_set_pods: pods.2,
            empty_dir_data: pods.3,
            removal: pods.4,
            ordering: pods.5,
            grace_period_seconds: times.0,
            deadline: times.1,
            leave_terminating_after: times.2,
            at_deadline: times.3,
            unreachable_node: times.4,
            on_uncordon: times.5,
            volumes: times.6,
            pod_selector,
            rules,
            parallelism: parallelism.and_then(NonZeroU32::new),
            budget_overrides: if overrides { vec![overridden] } else { Vec::new() },
        }
    })
}

/// What changes by itself: the numbers of budgets, readiness, other nodes.
pub(crate) fn with_other_numbers(cluster: &Cluster, allowed: i32) -> Cluster {
    let mut other = Cluster { others: Vec::new(), ..cluster.clone() };
    for budget in &mut other.budgets {
        budget.status.as_mut().unwrap().disruptions_allowed = Some(allowed);
    }
    for pod in &mut other.pods {
        pod.status.as_mut().unwrap().conditions = None;
        pod.metadata.creation_timestamp = Some(Time(now()));
    }
    other
}
