use k8s_openapi::api::core::v1::{PodCondition, PodStatus, ResourceRequirements};

use super::super::example::{list, pod};
use super::*;

fn milli_cpu(resources: &Resources) -> i64 {
    resources.scheduler_units("cpu")
}

#[test]
fn requests_of_containers_add_up() {
    let pod =
        pod("p").container("a", &[("cpu", "100m"), ("memory", "64Mi")]).container("b", &[("cpu", "0.25")]).build();
    let requests = requests(&pod);
    assert_eq!(milli_cpu(&requests), 350);
    assert_eq!(requests.scheduler_units("memory"), 64 << 20);
}

#[test]
fn init_containers_count_by_the_greatest_of_them() {
    let pod = pod("p")
        .container("a", &[("cpu", "200m"), ("memory", "10M")])
        .init("small", &[("cpu", "100m")])
        .init("large", &[("cpu", "1")])
        .build();
    let requests = requests(&pod);
    assert_eq!(milli_cpu(&requests), 1000);
    assert_eq!(requests.scheduler_units("memory"), 10_000_000);
}

#[test]
fn sidecars_run_beside_the_containers_and_the_init_containers_after_them() {
    let before = pod("p").container("a", &[("cpu", "1")]).init("early", &[("cpu", "3")]).sidecar("s", &[("cpu", "2")]);
    assert_eq!(milli_cpu(&requests(&before.build())), 3000);

    let after = pod("p").container("a", &[("cpu", "1")]).sidecar("s", &[("cpu", "2")]).init("late", &[("cpu", "3")]);
    assert_eq!(milli_cpu(&requests(&after.build())), 5000);
}

#[test]
fn what_the_pod_requests_as_a_whole_takes_the_place_of_the_sum() {
    let mut pod = pod("p").container("a", &[("cpu", "1"), ("example.com/gpu", "2")]).build();
    pod.spec.as_mut().unwrap().resources = Some(ResourceRequirements {
        requests: Some(list(&[("cpu", "4"), ("example.com/gpu", "9")])),
        ..Default::default()
    });
    let requests = requests(&pod);
    assert_eq!(milli_cpu(&requests), 4000);
    assert_eq!(requests.scheduler_units("example.com/gpu"), 2);
}

#[test]
fn the_overhead_of_the_runtime_comes_on_top() {
    let mut pod = pod("p").container("a", &[("cpu", "1")]).build();
    pod.spec.as_mut().unwrap().overhead = Some(list(&[("cpu", "250m"), ("memory", "1Ki")]));
    let requests = requests(&pod);
    assert_eq!(milli_cpu(&requests), 1250);
    assert_eq!(requests.scheduler_units("memory"), 1024);
}

#[test]
fn the_sum_is_rounded_up_once() {
    let half = [("cpu", "500u")];
    let pod = pod("p").container("a", &half).container("b", &half).build();
    assert_eq!(milli_cpu(&requests(&pod)), 1);
}

fn resized(actual: &str, reason: &str) -> Pod {
    let mut pod = pod("p").container("a", &[("cpu", "1")]).build();
    let resources = ResourceRequirements { requests: Some(list(&[("cpu", actual)])), ..Default::default() };
    pod.status = Some(PodStatus {
        container_statuses: Some(vec![ContainerStatus {
            name: "a".into(),
            resources: Some(resources),
            ..Default::default()
        }]),
        conditions: Some(vec![PodCondition {
            type_: "PodResizePending".into(),
            status: "True".into(),
            reason: Some(reason.into()),
            ..Default::default()
        }]),
        ..Default::default()
    });
    pod
}

#[test]
fn a_pod_that_is_being_resized_occupies_the_greater_amount() {
    assert_eq!(milli_cpu(&occupied(&resized("3", "Deferred"))), 3000);
    assert_eq!(milli_cpu(&occupied(&resized("500m", "Deferred"))), 1000);
    assert_eq!(milli_cpu(&requests(&resized("3", "Deferred"))), 1000);
}

#[test]
fn a_resize_that_the_node_cannot_do_occupies_nothing() {
    assert_eq!(milli_cpu(&occupied(&resized("500m", "Infeasible"))), 500);
}

#[test]
fn an_init_container_that_is_to_end_is_not_resized() {
    let mut pod = pod("p").init("a", &[("cpu", "1")]).build();
    let resources = ResourceRequirements { requests: Some(list(&[("cpu", "3")])), ..Default::default() };
    let status = ContainerStatus { name: "a".into(), resources: Some(resources), ..Default::default() };
    pod.status.as_mut().unwrap().init_container_statuses = Some(vec![status]);
    assert_eq!(milli_cpu(&occupied(&pod)), 1000);

    pod.spec.as_mut().unwrap().init_containers.as_mut().unwrap()[0].restart_policy = Some("Always".into());
    assert_eq!(milli_cpu(&occupied(&pod)), 3000);
}

#[test]
fn a_pod_without_anything_requests_nothing() {
    assert!(requests(&Pod::default()).is_empty());
    assert!(occupied(&Pod::default()).is_empty());
}
