use nodeward_api::v1;
use prost::Message;
use prost_types::FieldMask;

use super::{ReadMask, changed_paths};
use crate::node::Violations;

pub(super) fn mask(paths: &[&str]) -> ReadMask {
    parse(paths).unwrap()
}

pub(super) fn parse(paths: &[&str]) -> Result<ReadMask, String> {
    let paths = paths.iter().map(|&path| path.to_owned()).collect();
    let all = |violations: Violations| violations.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    ReadMask::parse(&FieldMask { paths }, "read_mask").map_err(all)
}

fn sample() -> v1::Node {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let amount = |text: &str, number| v1::Quantity { text: text.to_owned(), number: Some(number) };
    let condition = |kind: &str, beat| v1::NodeCondition {
        r#type: kind.to_owned(),
        status: "True".to_owned(),
        last_heartbeat_time: Some(prost_types::Timestamp { seconds: beat, nanos: 0 }),
        ..Default::default()
    };
    v1::Node {
        name: "nodes/a".to_owned(),
        etag: "\"1\"".to_owned(),
        metadata: Some(v1::ObjectMeta {
            labels: [label("team", "blue"), label("example.com/rack", "7")].into(),
            resource_version: Some("1".to_owned()),
            ..Default::default()
        }),
        spec: Some(v1::NodeSpec {
            unschedulable: Some(true),
            taints: vec![v1::Taint { key: "k".to_owned(), effect: "NoSchedule".to_owned(), ..Default::default() }],
            ..Default::default()
        }),
        status: Some(v1::NodeStatus {
            capacity: [("cpu".to_owned(), amount("4", 4.0)), ("pods".to_owned(), amount("110", 110.0))].into(),
            conditions: vec![condition("Ready", 1), condition("DiskPressure", 1)],
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A change of a node, for tests of what is seen of it.
type Change = fn(&mut v1::Node);

fn changed(change: Change) -> v1::Node {
    let mut node = sample();
    change(&mut node);
    node
}

fn spec(node: &mut v1::Node) -> &mut v1::NodeSpec {
    node.spec.as_mut().unwrap()
}

fn metadata(node: &mut v1::Node) -> &mut v1::ObjectMeta {
    node.metadata.as_mut().unwrap()
}

fn status(node: &mut v1::Node) -> &mut v1::NodeStatus {
    node.status.as_mut().unwrap()
}

pub(super) fn shown(paths: &[&str], node: &v1::Node) -> v1::Node {
    v1::Node::decode(mask(paths).project(&node.encode_to_vec()).as_slice()).unwrap()
}

fn paths_changed(change: Change) -> Vec<String> {
    changed_paths(&sample().encode_to_vec(), &changed(change).encode_to_vec())
}

#[test]
fn a_mask_keeps_what_it_names_and_nothing_else() {
    let seen = shown(&["name", "spec.taints"], &sample());
    let spec = v1::NodeSpec { taints: sample().spec.unwrap().taints, ..Default::default() };
    assert_eq!(seen, v1::Node { name: "nodes/a".to_owned(), spec: Some(spec), ..Default::default() });
}

#[test]
fn single_keys_of_a_map_may_be_named() {
    let seen = shown(&["metadata.labels.`example.com/rack`", "status.capacity.cpu.text"], &sample());
    let labels = [("example.com/rack".to_owned(), "7".to_owned())].into();
    assert_eq!(seen.metadata.unwrap(), v1::ObjectMeta { labels, ..Default::default() });
    let cpu = v1::Quantity { text: "4".to_owned(), number: None };
    assert_eq!(seen.status.unwrap().capacity, [("cpu".to_owned(), cpu)].into());
}

#[test]
fn a_star_names_all_elements_and_all_values() {
    let seen = shown(&["status.conditions.*.type", "status.capacity.*.number"], &sample()).status.unwrap();
    let condition = |kind: &str| v1::NodeCondition { r#type: kind.to_owned(), ..Default::default() };
    assert_eq!(seen.conditions, [condition("Ready"), condition("DiskPressure")]);
    let amount = |number| v1::Quantity { text: String::new(), number: Some(number) };
    assert_eq!(seen.capacity, [("cpu".to_owned(), amount(4.0)), ("pods".to_owned(), amount(110.0))].into());
}

#[test]
fn a_star_and_a_key_add_up() {
    let seen = shown(&["status.capacity.cpu", "status.capacity.*.number"], &sample()).status.unwrap();
    assert_eq!(seen.capacity["cpu"].text, "4");
    assert_eq!((seen.capacity["pods"].text.as_str(), seen.capacity["pods"].number), ("", Some(110.0)));
    assert_eq!(shown(&["status.capacity.*.number", "status.capacity.cpu"], &sample()).status.unwrap(), seen);
}

#[test]
fn a_message_on_the_way_stays_even_if_it_holds_nothing_named() {
    assert_eq!(shown(&["spec.provider_id"], &sample()).spec, Some(v1::NodeSpec::default()));
    assert_eq!(shown(&["spec.provider_id"], &v1::Node::default()).spec, None);
}

#[test]
fn equal_masks_have_one_spelling() {
    for (paths, canonical) in [
        (&["spec", "spec.taints", "name", "name"][..], "name,spec"),
        (&["spec.podCidrs", "metadata.resourceVersion"], "metadata.resource_version,spec.pod_cidrs"),
        (
            &["status.conditions.*", "metadata.labels.*", "metadata.finalizers.*"],
            "metadata.finalizers,metadata.labels,status.conditions",
        ),
        (&["metadata.labels.`team`", "metadata.labels.`a.b`"], "metadata.labels.`a.b`,metadata.labels.team"),
        (&["status.capacity.cpu.text", "status.capacity.*.text"], "status.capacity.*.text"),
        (&["*", "name"], "*"),
        (&[], ""),
    ] {
        assert_eq!(mask(paths).to_string(), canonical);
        let again: Vec<&str> = canonical.split(',').filter(|path| !path.is_empty()).collect();
        assert_eq!(mask(&again), mask(paths));
    }
}

#[test]
fn no_mask_and_a_star_are_everything() {
    assert!(mask(&[]).is_everything());
    assert!(mask(&["*"]).is_everything());
    assert!(!mask(&["spec"]).is_everything());
}

#[test]
fn an_unknown_path_is_told_with_the_fields_that_exist() {
    let told = parse(&["spec.taint", "name"]).unwrap_err();
    assert_eq!(
        told,
        "read_mask: `spec.taint` is not a field: `spec` has the fields pod_cidr, pod_cidrs, provider_id, unschedulable, \
         taints, config_source, external_id"
    );
    assert!(parse(&["nam"]).unwrap_err().contains("a node has the fields name, metadata, spec"));
}

#[test]
fn a_path_that_goes_too_far_is_told_where_to_stop() {
    for (path, hint) in [
        ("name.x", "`name` has no fields, name it whole"),
        ("status.conditions.type", "as in `status.conditions.*.type`"),
        ("metadata.finalizers.x", "`metadata.finalizers` is a list, name it whole"),
        ("metadata.labels.a.b", "`metadata.labels.a` has no fields"),
        ("spec.*", "`spec` has the fields pod_cidr"),
        ("`spec`", "a node has the fields"),
        ("metadata.labels.a/b", "in backticks"),
    ] {
        let told = parse(&[path]).unwrap_err();
        assert!(told.contains(hint), "{told}");
    }
}

#[test]
fn every_bad_path_is_told() {
    assert_eq!(parse(&["a", "name", "b"]).unwrap_err().matches("is not a field").count(), 2);
}

#[test]
fn masks_are_bounded() {
    assert!(parse(&["name"; 129]).unwrap_err().contains("at most 128"));
    let long = format!("metadata.labels.{}", "a".repeat(1 << 20));
    assert!(parse(&[&long]).unwrap_err().len() < 300);
}

#[test]
fn changes_are_named_by_their_paths() {
    let cases: [(Change, &[&str]); 11] = [
        (|_| (), &[]),
        (|node| spec(node).unschedulable = None, &["spec.unschedulable"]),
        (|node| spec(node).taints.clear(), &["spec.taints"]),
        (|node| node.spec = None, &["spec.taints", "spec.unschedulable"]),
        (|node| drop(metadata(node).labels.insert("team".into(), "red".into())), &["metadata.labels.team"]),
        (|node| drop(metadata(node).labels.remove("example.com/rack")), &["metadata.labels.`example.com/rack`"]),
        (|node| drop(status(node).capacity.remove("cpu")), &["status.capacity.cpu"]),
        (|node| status(node).conditions[0].status = "False".into(), &["status.conditions.Ready"]),
        (|node| drop(status(node).conditions.pop()), &["status.conditions.DiskPressure"]),
        (|node| status(node).conditions.reverse(), &["status.conditions"]),
        (|node| metadata(node).creation_timestamp = Some(Default::default()), &["metadata.creation_timestamp"]),
    ];
    for (change, expected) in cases {
        assert_eq!(paths_changed(change), expected);
    }
}

#[test]
fn conditions_of_one_type_are_named_as_a_list() {
    let twice: Change = |node| {
        let ready = status(node).conditions[0].clone();
        status(node).conditions.push(ready);
    };
    assert_eq!(paths_changed(twice), ["status.conditions"]);
}

#[test]
fn a_message_that_is_empty_or_absent_is_named_itself() {
    assert_eq!(paths_changed(|node| spec(node).config_source = Some(Default::default())), ["spec.config_source"]);
}

#[test]
fn changed_paths_are_sorted_and_within_the_mask() {
    let change: Change = |node| {
        node.etag = "\"2\"".into();
        spec(node).unschedulable = None;
        metadata(node).labels.clear();
    };
    let (before, after) = (sample().encode_to_vec(), changed(change).encode_to_vec());
    let labels = ["metadata.labels.`example.com/rack`", "metadata.labels.team"];
    let all = ["etag", labels[0], labels[1], "spec.unschedulable"];
    assert_eq!(mask(&[]).changed_paths(&before, &after), all);
    assert_eq!(mask(&["metadata"]).changed_paths(&before, &after), labels);
}

#[test]
fn a_heartbeat_is_not_shown_without_a_mask() {
    let beat: Change = |node| {
        node.etag = "\"2\"".into();
        metadata(node).resource_version = Some("2".into());
        metadata(node).managed_fields.push(Default::default());
        status(node).conditions[1].last_heartbeat_time = None;
    };
    let (before, after) = (sample().encode_to_vec(), changed(beat).encode_to_vec());
    assert!(!ReadMask::everything().shows_change(&before, &after));
    for path in [
        "*",
        "etag",
        "metadata",
        "metadata.managed_fields",
        "status.conditions",
        "status.conditions.*.last_heartbeat_time",
    ] {
        assert!(mask(&[path]).shows_change(&before, &after), "{path}");
    }
    for path in ["name", "spec", "metadata.labels", "status.conditions.*.status", "status.capacity"] {
        assert!(!mask(&[path]).shows_change(&before, &after), "{path}");
    }
}

#[test]
fn any_other_change_is_shown_without_a_mask() {
    let changes: [Change; 7] = [
        |node| spec(node).unschedulable = None,
        |node| metadata(node).uid = Some("u".into()),
        |node| status(node).conditions[0].status = "False".into(),
        |node| status(node).conditions.reverse(),
        |node| drop(status(node).conditions.pop()),
        |node| node.status = None,
        |node| node.readiness = Some(Default::default()),
    ];
    for change in changes {
        let (before, after) = (sample().encode_to_vec(), changed(change).encode_to_vec());
        assert!(ReadMask::everything().shows_change(&before, &after));
    }
}
