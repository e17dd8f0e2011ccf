//! What filters mean.

use super::*;

#[test]
fn an_empty_filter_is_everything() {
    for text in ["", " \t\n"] {
        assert!(filter(text).is_everything());
        assert!(filter(text).matches(&Node::default()));
    }
    assert_eq!(filter(""), Filter::default());
}

#[test]
fn a_filter_for_all_names_matches_all_but_is_not_everything() {
    assert!(filter("name = \"*\"").matches(&worker()));
    assert!(!filter("name = \"*\"").is_everything());
}

#[test]
fn or_binds_tighter_than_and() {
    assert_eq!(canonical("ready = true AND zone = a OR zone = b"), "ready = true AND (zone = \"a\" OR zone = \"b\")");
    assert_eq!(canonical("zone = a OR zone = b AND ready = true"), "(zone = \"a\" OR zone = \"b\") AND ready = true");
}

#[test]
fn conditions_side_by_side_are_joined_by_and() {
    assert_eq!(canonical("ready=true(zone=a)-name=b"), "ready = true AND zone = \"a\" AND name != \"b\"");
    assert_eq!(canonical("ready=true zone=a OR zone=b"), "ready = true AND (zone = \"a\" OR zone = \"b\")");
}

#[test]
fn not_binds_tightest() {
    assert_eq!(canonical("NOT ready=true OR zone:*"), "ready != true OR zone = \"*\"");
    assert_eq!(canonical("-(ready=true OR zone:*)"), "NOT (ready = true OR zone = \"*\")");
    assert_eq!(canonical("NOT labels:a"), "NOT labels:\"a\"");
    assert_eq!(canonical("NOT -ready=true"), "ready = true");
}

#[test]
fn names_are_bare_or_resource_names() {
    assert_match(&worker(), &["name = worker-1", "name = nodes/worker-1", "name = 'nodes/worker-*'", "name:worker-1"]);
    assert_match(&worker(), &["name < worker-2", "name >= worker-1"]);
    assert_no_match(&worker(), &["name = worker", "name != worker-1", "name > worker-1"]);
}

#[test]
fn wildcards_match_in_equalities_unless_they_are_escaped() {
    assert_match(&worker(), &["name = worker-*", "name = \"*-1\"", "os_image = 'Debian*trixie*'", "zone != us-*"]);
    assert_match(
        &worker(),
        &[r#"annotations.example.com/owner != "*""#, r#"annotations.Example.com/owner = "*\*ops\**""#],
    );
    assert_no_match(&worker(), &["name = \"*-2\"", r#"name = "worker-\*""#]);
}

#[test]
fn labels_are_compared_as_texts() {
    assert_match(
        &worker(),
        &["labels.team = blue", "labels.team:blue", "labels.\"team\" = 'blue'", "labels.`team` >= b"],
    );
    assert_match(&worker(), &["labels.empty = \"\"", "labels.kubernetes.io/hostname = worker-1"]);
    assert_match(&worker(), &["labels.\"kubernetes.io/hostname\" = worker-1", "metadata.labels.team = blue"]);
    assert_no_match(&worker(), &["labels.team = green", "labels.team = Blue", "labels.kubernetes.io = x"]);
}

#[test]
fn labels_are_compared_with_bare_numbers_as_numbers() {
    assert_match(&worker(), &["labels.generation > 9", "labels.generation <= 10.0", "labels.generation > -1"]);
    assert_match(&worker(), &["labels.generation < \"9\""]);
    assert_no_match(&worker(), &["labels.team > 1", "labels.team < 1", "labels.generation < 9"]);
}

#[test]
fn labels_named_like_infinities_are_no_numbers() {
    let node = node(json!({"metadata": {"labels": {"a": "inf", "b": "nan"}}}));
    assert_no_match(&node, &["labels.a > 1", "labels.b < 1"]);
}

#[test]
fn keys_of_maps_are_present_or_not() {
    assert_match(
        &worker(),
        &["labels:team", "labels:'empty'", "labels.empty:*", "labels:*", "annotations:\"Example.com/owner\""],
    );
    assert_match(&worker(), &["capacity:nvidia.com/gpu", "capacity.cpu:*", "conditions:MemoryPressure"]);
    assert_no_match(&worker(), &["labels:gpu", "allocatable:nvidia.com/gpu", "conditions:DiskPressure"]);
    assert_no_match(
        &Node::default(),
        &["labels:*", "annotations:*", "capacity:*", "conditions:*", "taints:*", "addresses:*"],
    );
}

#[test]
fn taints_are_found_by_any_part() {
    let found = [
        "taints:dedicated",
        "taints:*",
        "taints:\"dedicated=gpu\"",
        "taints:\"dedicated=gpu:NoSchedule\"",
        "taints:dedicated:PreferNoSchedule",
        "taints:\"dedicated=b*\"",
        "taints:\"*:NoExecute\"",
        "taints:example.com/*",
        "taints:\"example.com/bare=\"",
        "taints.dedicated = gpu",
        "taints.dedicated:batch",
        "taints.example.com/bare = ''",
        "taints.dedicated:*",
        "spec.taints:dedicated",
    ];
    assert_match(&worker(), &found);
    let not_found = [
        "taints:gpu",
        "taints:\"dedicated=\"",
        "taints:\"dedicated=gpu:PreferNoSchedule\"",
        "taints:dedicated:NoExecute",
        "taints.dedicated = g",
        "taints.dedicated != gpu",
    ];
    assert_no_match(&worker(), &not_found);
}

#[test]
fn ready_is_only_what_is_known_to_be_ready() {
    let with_status = |status: &str| node(json!({"status": {"conditions": [{"type": "Ready", "status": status}]}}));
    assert_match(
        &with_status("True"),
        &["ready = true", "ready != false", "readiness = READY", "readiness = STATE_READY"],
    );
    assert_match(&with_status("False"), &["ready = false", "readiness = NOT_READY", "readiness.state = NOT_READY"]);
    assert_match(&with_status("Unknown"), &["ready = false", "readiness = LOST_CONTACT", "readiness != READY"]);
    assert_match(&Node::default(), &["ready = false", "readiness = NOT_REPORTED", "readiness = STATE_UNSPECIFIED"]);
}

#[test]
fn cordoned_and_unschedulable_are_the_same() {
    let cordoned = node(json!({"metadata": {}, "spec": {"unschedulable": true}}));
    let filters = ["cordoned = true", "unschedulable = true", "spec.unschedulable:true", "scheduling_state = CORDONED"];
    assert_match(&cordoned, &filters);
    assert_no_match(&worker(), &filters);
    assert_match(&worker(), &["cordoned = false", "scheduling_state = SCHEDULING_STATE_SCHEDULABLE"]);
}

#[test]
fn conditions_are_compared_by_status() {
    assert_match(
        &worker(),
        &["conditions.MemoryPressure = False", "conditions.Ready:True", "conditions.Ready != Unknown"],
    );
    assert_no_match(&worker(), &["conditions.DiskPressure = False", "conditions.MemoryPressure = True"]);
}

#[test]
fn topology_comes_from_the_well_known_labels() {
    assert_match(&worker(), &["zone = eu-1a", "region = eu-1", "instance_type = \"m5.*\""]);
}

#[test]
fn topology_falls_back_to_the_deprecated_labels() {
    let old = node(json!({"metadata": {"labels": {
        "failure-domain.beta.kubernetes.io/zone": "z",
        "failure-domain.beta.kubernetes.io/region": "r",
        "beta.kubernetes.io/instance-type": "t",
    }}}));
    assert_match(&old, &["zone = z", "region = r", "instance_type = t"]);
}

#[test]
fn versions_are_ordered_by_their_numbers() {
    assert_match(&worker(), &["kubelet_version < 1.36", "kubelet_version >= v1.35.4", "kubelet_version > 1.9"]);
    assert_match(&worker(), &["kubelet_version <= 1.35", "container_runtime_version >= 2.1", "kernel_version > 6.7"]);
    assert_no_match(&worker(), &["kubelet_version > 1.35", "kubelet_version < 1.35.4", "kernel_version < 6.8"]);
}

#[test]
fn versions_are_equal_as_texts() {
    assert_match(
        &worker(),
        &["kubelet_version = v1.35.4-gke.7", "kubelet_version = 1.35.*", "kubelet_version = \"v*\""],
    );
    assert_no_match(&worker(), &["kubelet_version = 1.35", "kubelet_version = v1.35.4"]);
}

#[test]
fn times_are_compared_as_instants() {
    assert_match(&worker(), &["create_time = \"2026-07-01T10:30:00+02:00\"", "create_time < 2026-07-01T08:30:00.5Z"]);
    assert_match(&worker(), &["create_time >= 2026-07-01T08:30:00Z", "create_time != \"2026-07-01T08:30:01Z\""]);
    assert_no_match(&worker(), &["create_time > \"2026-07-01T08:30:00Z\""]);
}

#[test]
fn amounts_are_compared_as_quantities() {
    assert_match(
        &worker(),
        &["capacity.cpu = 4", "capacity.cpu = 4000m", "capacity.cpu >= '4'", "allocatable.cpu < 4"],
    );
    assert_match(&worker(), &["capacity.memory = 16Gi", "allocatable.memory < 16Gi", "capacity.nvidia.com/gpu > 7"]);
    assert_no_match(&worker(), &["capacity.memory > 16Gi", "capacity.missing >= 0", "capacity.missing = 0"]);
}

#[test]
fn an_amount_that_is_no_quantity_compares_with_nothing() {
    let broken = node(json!({"status": {"capacity": {"cpu": "four"}}}));
    assert_match(&broken, &["capacity:cpu", "capacity.cpu != 4"]);
    assert_no_match(&broken, &["capacity.cpu >= 0", "capacity.cpu < 0", "capacity.cpu = 4"]);
}

#[test]
fn addresses_are_found_whatever_their_type() {
    assert_match(&worker(), &["addresses:\"10.0.0.5\"", "addresses:10.0.*", "addresses:fe80::1", "addresses:worker-1"]);
    assert_no_match(&worker(), &["addresses:\"10.0.0\"", "addresses:10.1.*"]);
}

#[test]
fn other_texts_are_found() {
    let filters = [
        "uid = 7d1f0f5c-8c1b-4a57-9e0e-6f7f2b9b2a11",
        "provider_id = \"aws://*\"",
        "pod_cidr = 10.244.1.0/24",
        "os_image = \"Debian*\"",
        "operating_system = linux",
        "architecture = arm64",
        "status.node_info.architecture = arm64",
    ];
    assert_match(&worker(), &filters);
}

#[test]
fn what_is_absent_is_neither_equal_nor_less_nor_greater() {
    let filters = [
        "labels.team = blue",
        "labels.team < x",
        "labels.team >= a",
        "zone = \"*\"",
        "zone:*",
        "kubelet_version >= 0",
        "create_time > 2000-01-01T00:00:00Z",
        "capacity.cpu >= 0",
        "conditions.Ready = Unknown",
        "taints.a = b",
        "name:*",
    ];
    assert_no_match(&Node::default(), &filters);
}

#[test]
fn what_is_absent_is_not_equal() {
    let filters = [
        "labels.team != blue",
        "zone != a",
        "taints.a != b",
        "capacity.cpu != 4",
        "conditions.Ready != True",
        "create_time != 2026-07-01T08:30:00Z",
        "annotations.a != \"*\"",
        "kubelet_version != 1",
    ];
    assert_match(&Node::default(), &filters);
}

#[test]
fn an_empty_text_of_a_node_is_an_absent_one() {
    let mut node = worker();
    node.spec.as_mut().unwrap().provider_id = Some(String::new());
    assert_match(&node, &["NOT provider_id:*"]);
}

#[test]
fn quoted_texts_may_hold_anything() {
    assert_match(&worker(), &[r#"annotations.note = "say \"hi\"\n""#, "annotations.note = 'say \"hi\"\n'"]);
    assert_match(&worker(), &["os_image = `Debian GNU/Linux 13 (trixie)`"]);
}

#[test]
fn the_canonical_form_is_the_same_for_what_means_the_same() {
    let same = [
        ["  ready=true  ", "ready = true"],
        ["cordoned = true", "unschedulable = true"],
        ["labels.team='blue'", "metadata.labels.\"team\" : blue"],
        ["((zone = a) AND (ready = true AND name = b))", "zone = a ready = true name = b"],
        ["(zone = a OR zone = b) OR zone = c", "zone = a OR (zone = b OR zone = c)"],
        ["NOT name = a", "name != nodes/a"],
        ["capacity.memory < 16Gi", "capacity.memory < 17179869184"],
        ["taints.dedicated = gpu", "taints:\"dedicated=gpu\""],
        ["labels.gpu:*", "labels:gpu"],
        ["kubelet_version < v1.36", "kubelet_version < 1.36"],
        ["create_time > 2026-07-01T10:00:00+02:00", "create_time > \"2026-07-01T08:00:00Z\""],
    ];
    for [one, other] in same {
        assert_eq!(canonical(one), canonical(other));
    }
}
