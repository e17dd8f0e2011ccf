//! Whether replacements find room elsewhere.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, PodAntiAffinity,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::super::*;
use super::example::*;
use crate::pod::example::PodExample;

fn fit(plan: &DrainPlan, name: &str) -> Fit {
    planned(plan, name).fit.clone().unwrap()
}

fn fits(node: &str) -> Fit {
    Fit::Fits { node: node.into() }
}

fn nowhere(reasons: &[(NodeReason, u32)]) -> Fit {
    let nodes = reasons.iter().map(|(_, count)| count).sum();
    Fit::Nowhere(Nowhere { nodes, reasons: BTreeMap::from_iter(reasons.iter().cloned()) })
}

fn insufficient(resource: &str) -> NodeReason {
    NodeReason::Insufficient { resource: resource.into() }
}

fn three_cores(name: &str) -> PodExample {
    web(name).container("main", &[("cpu", "3")])
}

/// The fit of one pod when there is one other node.
fn fit_on(pod: PodExample, other: NodeExample) -> Fit {
    fit(&cluster([pod.replicated()]).node(other).default_plan(), "pod")
}

#[test]
fn two_pods_do_not_fit_into_the_room_for_one() {
    let plan = cluster([three_cores("web-1"), three_cores("web-2")]).node(node("other")).default_plan();
    assert_eq!(fit(&plan, "web-1"), fits("other"));
    assert_eq!(fit(&plan, "web-2"), nowhere(&[(insufficient("cpu"), 1)]));
    assert!(plan.warnings.iter().any(|it| matches!(it, Warning::NoRoom { pod, .. } if pod.name == "web-2")));
}

#[test]
fn replacements_are_spread_over_the_emptiest_nodes() {
    let cluster = cluster([three_cores("web-1"), three_cores("web-2")]).node(node("a")).node(node("b"));
    let plan = cluster.default_plan();
    assert_eq!((fit(&plan, "web-1"), fit(&plan, "web-2")), (fits("a"), fits("b")));
}

#[test]
fn pods_that_are_there_take_room_unless_they_have_finished() {
    for (phase, expected) in [("Running", nowhere(&[(insufficient("cpu"), 1)])), ("Succeeded", fits("other"))] {
        let there = three_cores("there").on("other").phase(phase);
        let plan = cluster([three_cores("web-1"), there]).node(node("other")).default_plan();
        assert_eq!(fit(&plan, "web-1"), expected, "{phase}");
    }
}

#[test]
fn a_node_may_lack_several_things() {
    let small = node("small").allocatable(&[("cpu", "1"), ("memory", "1Gi"), ("pods", "0")]);
    let pod = pod("pod").container("main", &[("cpu", "2"), ("memory", "2Gi"), ("example.com/gpu", "1")]);
    let Fit::Nowhere(nowhere) = fit_on(pod, small) else { panic!("it fits") };
    let expected = "0/1 nodes are available: 1 Too many pods, 1 Insufficient cpu, 1 Insufficient example.com/gpu, \
                    1 Insufficient memory";
    assert_eq!(nowhere.to_string(), expected);
}

#[test]
fn nodes_that_are_cordoned_or_not_ready_take_nobody() {
    assert_eq!(fit_on(pod("pod"), node("other").cordoned()), nowhere(&[(NodeReason::Unschedulable, 1)]));
    assert_eq!(fit_on(pod("pod"), node("other").ready("False")), nowhere(&[(NodeReason::NotReady, 1)]));
    assert_eq!(
        fit_on(pod("pod").tolerating("node.kubernetes.io/unschedulable"), node("other").cordoned()),
        fits("other")
    );
}

#[test]
fn taints_keep_pods_off_that_do_not_tolerate_them() {
    let tainted = |effect: &str| node("other").taint("dedicated", "gpu", effect);
    let reason = NodeReason::UntoleratedTaint { key: "dedicated".into() };
    for effect in ["NoSchedule", "NoExecute"] {
        assert_eq!(fit_on(pod("pod"), tainted(effect)), nowhere(&[(reason.clone(), 1)]), "{effect}");
        assert_eq!(fit_on(pod("pod").tolerating("dedicated"), tainted(effect)), fits("other"), "{effect}");
    }
    assert_eq!(fit_on(pod("pod"), tainted("PreferNoSchedule")), fits("other"));
}

#[test]
fn a_toleration_may_ask_for_a_value_or_compare_with_it() {
    for (operator, value, tolerated) in [
        ("Equal", "5", true),
        ("", "5", true),
        ("Equal", "6", false),
        ("Gt", "4", true),
        ("Gt", "5", false),
        ("Lt", "6", true),
        ("Like", "5", false),
    ] {
        let pod = pod("pod").tolerating("tier").with(|pod| {
            let toleration = &mut pod.spec.as_mut().unwrap().tolerations.as_mut().unwrap()[0];
            (toleration.operator, toleration.value) = (Some(operator.into()), Some(value.into()));
        });
        let fit = fit_on(pod, node("other").taint("tier", "5", "NoSchedule"));
        assert_eq!(matches!(fit, Fit::Fits { .. }), tolerated, "{operator} {value}");
    }
}

#[test]
fn the_node_selector_asks_for_labels() {
    let pod = || pod("pod").node_selector("disk", "ssd");
    assert_eq!(fit_on(pod(), node("other").label("disk", "ssd")), fits("other"));
    assert_eq!(fit_on(pod(), node("other").label("disk", "hdd")), nowhere(&[(NodeReason::NodeAffinity, 1)]));
}

fn requirement(key: &str, operator: &str, values: &[&str]) -> NodeSelectorRequirement {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    NodeSelectorRequirement { key: key.into(), operator: operator.into(), values: Some(values) }
}

fn with_node_affinity(pod: PodExample, node_selector_terms: Vec<NodeSelectorTerm>) -> PodExample {
    let required = Some(NodeSelector { node_selector_terms });
    pod.affinity(Affinity {
        node_affinity: Some(NodeAffinity {
            required_during_scheduling_ignored_during_execution: required,
            ..Default::default()
        }),
        ..Default::default()
    })
}

#[test]
fn node_affinity_knows_the_operators_of_kubernetes() {
    let other = || node("other").label("zone", "a").label("cores", "16");
    for (key, operator, values, expected) in [
        ("zone", "In", &["a", "b"][..], true),
        ("zone", "NotIn", &["a"][..], false),
        ("missing", "NotIn", &["a"][..], true),
        ("zone", "Exists", &[][..], true),
        ("zone", "Exists", &["a"][..], false),
        ("zone", "DoesNotExist", &[][..], false),
        ("missing", "DoesNotExist", &[][..], true),
        ("cores", "Gt", &["8"][..], true),
        ("cores", "Lt", &["8"][..], false),
        ("zone", "Gt", &["8"][..], false),
        ("zone", "Near", &["a"][..], false),
    ] {
        let term =
            NodeSelectorTerm { match_expressions: Some(vec![requirement(key, operator, values)]), match_fields: None };
        let fit = fit_on(with_node_affinity(pod("pod"), vec![term]), other());
        assert_eq!(matches!(fit, Fit::Fits { .. }), expected, "{key} {operator} {values:?}");
    }
}

#[test]
fn of_the_terms_of_node_affinity_one_suffices_and_an_empty_one_never_does() {
    let by_name = |name: &str| NodeSelectorTerm {
        match_expressions: None,
        match_fields: Some(vec![requirement("metadata.name", "In", &[name])]),
    };
    let pod = |terms| with_node_affinity(pod("pod"), terms);
    assert_eq!(fit_on(pod(vec![by_name("another"), by_name("other")]), node("other")), fits("other"));
    assert!(matches!(fit_on(pod(vec![by_name("another")]), node("other")), Fit::Nowhere(_)));
    assert!(matches!(fit_on(pod(vec![NodeSelectorTerm::default()]), node("other")), Fit::Nowhere(_)));
}

/// A pod that wants no other of its app near it.
fn alone(name: &str, topology_key: &str) -> PodExample {
    let selector = LabelSelector {
        match_labels: Some(BTreeMap::from([("app".to_owned(), "web".to_owned())])),
        match_expressions: None,
    };
    let term =
        PodAffinityTerm { label_selector: Some(selector), topology_key: topology_key.into(), ..Default::default() };
    web(name).affinity(Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![term]),
            ..Default::default()
        }),
        ..Default::default()
    })
}

const HOST: &str = "kubernetes.io/hostname";

#[test]
fn replacements_keep_away_from_each_other() {
    let cluster = cluster([alone("web-1", HOST), alone("web-2", HOST), alone("web-3", HOST)]);
    let plan = cluster.node(node("a")).node(node("b")).default_plan();
    assert_eq!((fit(&plan, "web-1"), fit(&plan, "web-2")), (fits("a"), fits("b")));
    assert_eq!(fit(&plan, "web-3"), nowhere(&[(NodeReason::PodAntiAffinity, 2)]));
}

#[test]
fn pods_that_are_there_keep_others_away() {
    let plan = cluster([web("web-1"), alone("there", HOST).on("a")]).node(node("a")).default_plan();
    assert_eq!(fit(&plan, "web-1"), nowhere(&[(NodeReason::ExistingPodsAntiAffinity, 1)]));
}

#[test]
fn a_place_can_be_a_zone_and_pods_that_stay_behind_count_in_it() {
    let zone = |name: &str, zone: &str| node(name).label("zone", zone);
    let cluster = |staying: PodExample| {
        cluster([alone("web-1", "zone"), staying]).emptying(zone("node", "a")).node(zone("other", "a"))
    };
    let stays = web("stays").label(DRAIN_LABEL, "skip");
    assert_eq!(fit(&cluster(stays).default_plan(), "web-1"), nowhere(&[(NodeReason::PodAntiAffinity, 1)]));
    assert_eq!(fit(&cluster(web("zz-goes")).default_plan(), "web-1"), fits("other"));
}

#[test]
fn anti_affinity_is_about_the_namespace_of_the_pod_unless_it_says_otherwise() {
    let there = || web("there").on("other").in_namespace("shop");
    let plan = cluster([alone("web-1", HOST), there()]).node(node("other")).default_plan();
    assert_eq!(fit(&plan, "web-1"), fits("other"));

    let everywhere = alone("web-1", HOST).with(|pod| {
        let affinity = pod.spec.as_mut().unwrap().affinity.as_mut().unwrap();
        let anti = affinity.pod_anti_affinity.as_mut().unwrap();
        let terms = anti.required_during_scheduling_ignored_during_execution.as_mut().unwrap();
        terms[0].namespace_selector = Some(LabelSelector::default());
    });
    let plan = cluster([everywhere, there()]).node(node("other")).default_plan();
    assert_eq!(fit(&plan, "web-1"), nowhere(&[(NodeReason::PodAntiAffinity, 1)]));
}

#[test]
fn what_nobody_replaces_needs_no_room() {
    let policy = DrainPolicy {
        unmanaged_pods: UnmanagedPods::Drain,
        daemon_set_pods: DaemonSetPods::Drain,
        ..DrainPolicy::default()
    };
    let cluster = cluster([
        pod("naked"),
        of_daemon_set("logs-1"),
        pod("job-1").owned_by("batch/v1", "Job", "job").phase("Succeeded"),
        web("going").terminating(now(), 30),
        web("finishing").label(DRAIN_LABEL, "wait-completed"),
    ]);
    let plan = cluster.daemon_set("logs").plan(&policy);
    for (name, expected) in [
        ("naked", NoReplacement::Unmanaged),
        ("logs-1", NoReplacement::DaemonSet),
        ("job-1", NoReplacement::Finished),
        ("going", NoReplacement::Replaced),
        ("finishing", NoReplacement::Finished),
    ] {
        assert_eq!(fit(&plan, name), Fit::NoReplacement(expected), "{name}");
    }
}

#[test]
fn a_stateful_set_replaces_a_pod_only_when_it_is_gone() {
    let going = pod("db-0").owned_by("apps/v1", "StatefulSet", "db").terminating(now(), 30);
    let plan = cluster([going]).node(node("other")).default_plan();
    assert_eq!(fit(&plan, "db-0"), fits("other"));
}
