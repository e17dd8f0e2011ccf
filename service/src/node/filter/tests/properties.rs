//! What holds of all filters and nodes.

use proptest::prelude::*;

use super::*;

/// Texts of a single condition, which between them use every kind of field and of value.
fn condition() -> impl Strategy<Value = String> {
    let equality = || prop::sample::select(vec!["=", "!=", ":"]);
    let comparator = || prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">=", ":"]);
    let word = || "[ab1]{1,2}";
    let amount = || prop::sample::select(vec!["0", "4", "-1", "500m", "16Gi", "1e3", "'.5'"]);
    let fields = |names: &'static [&'static str]| prop::sample::select(names);
    let texts =
        fields(&["name", "zone", "uid", "os_image", "provider_id", "labels.a", "annotations.'x/b'", "labels.1"]);
    let versions = fields(&["kubelet_version", "kernel_version", "container_runtime_version"]);
    let flags = fields(&["ready", "cordoned", "unschedulable"]);
    prop_oneof![
        (texts, comparator(), word()).prop_map(|(field, comparator, word)| format!("{field} {comparator} {word}")),
        ("labels\\.[ab]", comparator(), any::<f64>().prop_filter("finite", |number| number.is_finite()))
            .prop_map(|(field, comparator, number)| format!("{field}{comparator}{number}")),
        ("name|labels\\.a|annotations\\.b", equality(), quoted())
            .prop_map(|(field, comparator, text)| format!("{field}{comparator}{text}"))
            .prop_filter("names are not empty and have no slash", |text| Filter::parse(text).is_ok()),
        (versions, comparator(), "[0-9]{1,3}(\\.[0-9]{1,2}){0,3}")
            .prop_map(|(field, comparator, version)| format!("{field} {comparator} v{version}")),
        (flags, equality(), any::<bool>())
            .prop_map(|(field, comparator, value)| format!("{field} {comparator} {value}")),
        (equality(), prop::sample::select(vec!["READY", "NOT_READY", "LOST_CONTACT", "NOT_REPORTED"]))
            .prop_map(|(comparator, state)| format!("readiness{comparator}{state}")),
        (equality(), "CORDONED|SCHEDULABLE")
            .prop_map(|(comparator, state)| format!("scheduling_state{comparator}{state}")),
        (comparator(), 0..4_000_000_000_i64).prop_map(|(comparator, second)| format!(
            "create_time{comparator}{}",
            jiff::Timestamp::from_second(second).unwrap()
        )),
        ("capacity|allocatable", "cpu|x\\.y/z", comparator(), amount())
            .prop_map(|(map, key, comparator, amount)| format!("{map}.{key} {comparator} {amount}")),
        (quoted(), equality(), "True|False|Unknown")
            .prop_map(|(kind, comparator, status)| format!("conditions.{kind} {comparator} {status}"))
            .prop_filter("keys have no wildcard", |text| Filter::parse(text).is_ok()),
        ("labels|annotations|taints|capacity|conditions", "[ab]|'x/b'|\\*")
            .prop_map(|(map, key)| format!("{map}:{key}")),
        "taints:\"([ab]|\\*|a\\*)(=[ab]?\\*?)?(:NoSchedule|:NoExecute)?\"",
        ("taints\\.[ab]", equality(), "b|\\*|''|'\\*a'")
            .prop_map(|(taint, comparator, value)| format!("{taint}{comparator}{value}")),
        "addresses:\"[ab*]\"",
    ]
}

/// A text in quotes, of any characters.
fn quoted() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-c*./= -]",
        "\\PC",
        Just("\\*".into()),
        Just("\\\"".into()),
        Just("\n".into()),
        Just("\\\\".into())
    ];
    prop::collection::vec(piece.prop_filter("needs an escape", |piece: &String| piece != "\"" && piece != "\\"), 0..6)
        .prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// Texts of conditions that are joined in all ways.
fn filter_text() -> impl Strategy<Value = String> {
    condition().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (prop::collection::vec(inner.clone(), 1..4), prop::sample::select(vec![" AND ", " OR ", " "]))
                .prop_map(|(members, separator)| members.join(separator)),
            inner.clone().prop_map(|inner| format!("NOT ({inner})")),
            inner.clone().prop_map(|inner| format!("-({inner})")),
            inner.prop_map(|inner| format!("({inner})")),
        ]
    })
}

fn map(value: &'static str) -> impl Strategy<Value = serde_json::Value> {
    prop::collection::btree_map("[ab1]|x/b", value, 0..3).prop_map(|entries| json!(entries))
}

/// Nodes whose fields have a good chance to fulfil the conditions.
fn any_node() -> impl Strategy<Value = Node> {
    let taint = ("[ab]", "[ab]?", "NoSchedule|NoExecute")
        .prop_map(|(key, value, effect)| json!({"key": key, "value": value, "effect": effect}));
    let condition =
        ("Ready|a|b", "True|False|Unknown").prop_map(|(kind, status)| json!({"type": kind, "status": status}));
    let amounts = ("0|4|500m|16Gi|x", "1|1k").prop_map(|(cpu, other)| json!({"cpu": cpu, "x.y/z": other}));
    let address = "[ab]{1,2}".prop_map(|address| json!({"type": "Hostname", "address": address}));
    (
        ("[ab1]{1,2}", map("[ab]|[0-9]{1,2}|"), map(".{0,3}"), 0..4_000_000_000_i64),
        (any::<Option<bool>>(), prop::collection::vec(taint, 0..3)),
        (prop::collection::vec(condition, 0..3), amounts, prop::collection::vec(address, 0..2)),
        "v?[0-9]{1,3}(\\.[0-9]{1,2}){0,3}(-a)?",
    )
        .prop_map(|((name, labels, annotations, created), (unschedulable, taints), (conditions, amounts, addresses), version)| {
            node(json!({
                "metadata": {
                    "name": name,
                    "labels": labels,
                    "annotations": annotations,
                    "creationTimestamp": jiff::Timestamp::from_second(created).unwrap(),
                },
                "spec": { "unschedulable": unschedulable, "taints": taints },
                "status": {
                    "conditions": conditions,
                    "capacity": amounts,
                    "addresses": addresses,
                    "nodeInfo": {
                        "architecture": "", "bootID": "", "containerRuntimeVersion": format!("x://{version}"), "kernelVersion": version,
                        "kubeProxyVersion": "", "kubeletVersion": version, "machineID": "", "operatingSystem": "", "osImage": "",
                        "systemUUID": "",
                    },
                },
            }))
        })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*|.*") {
        let _ = Filter::parse(&text);
    }

    #[test]
    fn no_text_of_the_languages_own_pieces_makes_it_panic(
        pieces in prop::collection::vec("name|labels|\\.a|taints|ready|true|AND|OR|NOT|[-()=!<>:*\"'`\\\\, .]|4Gi|v1|é", 0..40)
    ) {
        let text = pieces.concat();
        if let Err(error) = Filter::parse(&text) {
            prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{}", error);
        }
    }

    #[test]
    fn the_canonical_form_parses_to_an_equal_filter(text in filter_text()) {
        let filter = filter(&text);
        prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
    }

    #[test]
    fn a_negation_is_true_exactly_where_its_filter_is_not(text in filter_text(), node in any_node()) {
        prop_assert_eq!(filter(&format!("NOT ({text})")).matches(&node), !filter(&text).matches(&node));
    }

    #[test]
    fn de_morgans_laws_hold(a in filter_text(), b in filter_text(), node in any_node()) {
        prop_assert_eq!(
            filter(&format!("NOT (({a}) AND ({b}))")).matches(&node),
            filter(&format!("NOT ({a}) OR NOT ({b})")).matches(&node)
        );
        prop_assert_eq!(
            filter(&format!("NOT (({a}) OR ({b}))")).matches(&node),
            filter(&format!("NOT ({a}) AND NOT ({b})")).matches(&node)
        );
    }

    #[test]
    fn and_and_or_are_of_their_members(a in filter_text(), b in filter_text(), node in any_node()) {
        let (in_a, in_b) = (filter(&a).matches(&node), filter(&b).matches(&node));
        prop_assert_eq!(filter(&format!("({a}) AND ({b})")).matches(&node), in_a && in_b);
        prop_assert_eq!(filter(&format!("({a}) OR ({b})")).matches(&node), in_a || in_b);
    }

    #[test]
    fn less_equal_or_greater_is_one_of_three(bound in "[ab1]{1,2}", node in any_node()) {
        let count = ["<", "=", ">"].iter().filter(|order| filter(&format!("name {order} {bound}")).matches(&node)).count();
        prop_assert_eq!(count, 1);
    }
}
