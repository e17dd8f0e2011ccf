//! The cases that kubectl itself is tested with, and some more.

use super::*;

fn parsed(specs: &[&str]) -> Result<Taints, Failure> {
    Taints::parse(&specs.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>())
}

fn taint(key: &str, value: &str, effect: &str) -> Taint {
    let value = Some(value.to_owned()).filter(|value| !value.is_empty());
    Taint { key: key.into(), value, effect: effect.into(), time_added: None }
}

fn removal(key: &str, effect: Option<&str>) -> Removal {
    Removal { key: key.into(), effect: effect.map(str::to_owned) }
}

fn present() -> Vec<Taint> {
    vec![taint("foo", "bar", "NoSchedule")]
}

fn obstacle(specs: &[&str], overwrite: bool) -> Option<Obstacle> {
    parsed(specs).unwrap().obstacle(&present(), overwrite, false)
}

fn is_needed(specs: &[&str]) -> bool {
    parsed(specs).unwrap().is_needed(&present())
}

#[test]
fn what_kubectl_refuses_is_refused() {
    let bad = [
        "",
        "foo=abc",
        "foo=abc=xyz:NoSchedule",
        "foo=abc:xyz:NoSchedule",
        "foo",
        "foo=abc:invalid_effect",
        "foo:invalid_effect-",
        "=abc:NoSchedule",
        "-",
        ":NoSchedule",
        "bad@key=value:NoSchedule",
        "foo=a b:NoSchedule",
        "foo=abc-",
        "example.com/:NoSchedule",
        "/foo:NoSchedule",
    ];
    for spec in bad {
        assert!(parsed(&[spec]).is_err(), "{spec:?} was accepted");
    }
}

#[test]
fn taints_to_set_are_parsed() {
    let taints =
        parsed(&["foo=abc:NoSchedule", "baz:NoExecute", "foobar=:PreferNoSchedule", "example.com/a:NoSchedule"])
            .unwrap();
    let expected = [
        taint("foo", "abc", "NoSchedule"),
        taint("baz", "", "NoExecute"),
        taint("foobar", "", "PreferNoSchedule"),
        taint("example.com/a", "", "NoSchedule"),
    ];
    assert_eq!(taints.set, expected);
    assert!(taints.remove.is_empty());
}

#[test]
fn taints_to_remove_are_parsed() {
    let taints = parsed(&["foo:NoSchedule-", "qux=:NoSchedule-", "dedicated-"]).unwrap();
    let expected = [removal("foo", Some("NoSchedule")), removal("qux", Some("NoSchedule")), removal("dedicated", None)];
    assert_eq!(taints.remove, expected);
    assert!(taints.set.is_empty());
}

#[test]
fn a_key_and_effect_can_be_set_once_only() {
    assert!(parsed(&["foo=a:NoSchedule", "foo=b:NoSchedule"]).is_err());
    assert!(parsed(&["foo=a:NoSchedule", "foo=b:NoExecute"]).is_ok());
}

#[test]
fn arguments_are_told_from_names() {
    for argument in ["k=v:NoSchedule", "k:NoSchedule", "k-", "k:NoSchedule-", "k=v"] {
        assert!(is_taint(argument), "{argument}");
    }
    for argument in ["worker-1", "node", "nodes/worker-1", "-"] {
        assert!(!is_taint(argument), "{argument}");
    }
}

#[test]
fn a_new_taint_is_set() {
    assert_eq!((obstacle(&["foo_1:NoExecute"], false), is_needed(&["foo_1:NoExecute"])), (None, true));
}

#[test]
fn the_same_key_with_another_effect_is_new() {
    assert_eq!((obstacle(&["foo=bar:NoExecute"], false), is_needed(&["foo=bar:NoExecute"])), (None, true));
}

#[test]
fn a_taint_that_is_there_needs_overwrite() {
    for spec in ["foo=baz:NoSchedule", "foo=bar:NoSchedule"] {
        assert_eq!(obstacle(&[spec], false), Some(Obstacle::Present(vec!["foo".into()])));
        assert_eq!(obstacle(&[spec], true), None);
    }
}

#[test]
fn overwriting_with_the_same_value_is_nothing_to_do() {
    assert!(is_needed(&["foo=baz:NoSchedule"]) && !is_needed(&["foo=bar:NoSchedule"]));
}

#[test]
fn a_taint_is_removed_by_key_and_effect_or_by_key() {
    for specs in [&["foo:NoSchedule-"][..], &["foo-"], &["foo-", "foo:NoSchedule-"]] {
        assert_eq!((obstacle(specs, false), is_needed(specs)), (None, true), "{specs:?}");
    }
}

#[test]
fn removing_what_is_not_there_is_an_error() {
    let absent = |effect| Some(Obstacle::Absent(removal("foo", Some(effect))));
    assert_eq!(obstacle(&["foo:NoExecute-"], false), absent("NoExecute"));
    assert_eq!(obstacle(&["foo:NoExecute-"], true), absent("NoExecute"));
    assert_eq!(obstacle(&["foo_1-"], false), Some(Obstacle::Absent(removal("foo_1", None))));
}

#[test]
fn what_is_set_and_removed_at_once_ends_without_it() {
    let specs = &["foo_1:NoSchedule", "foo_1:NoSchedule-"];
    assert_eq!((obstacle(specs, false), is_needed(specs)), (None, false));
    assert_eq!(parsed(specs).unwrap().kept().count(), 0);
}

#[test]
fn all_that_is_set_or_removed_is_named_once_whatever_the_node_holds() {
    let taints = parsed(&["b:NoSchedule", "b:NoSchedule-", "c:NoExecute-", "a-"]).unwrap();
    let expected =
        [("a", "NoExecute"), ("a", "NoSchedule"), ("a", "PreferNoSchedule"), ("b", "NoSchedule"), ("c", "NoExecute")];
    assert_eq!(taints.identities().into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn what_a_repeated_request_has_done_itself_does_not_stand_in_its_way() {
    let repeated = |specs: &[&str]| parsed(specs).unwrap().obstacle(&present(), false, true);
    assert_eq!(repeated(&["foo=bar:NoSchedule", "foo_1-"]), None);
    assert_eq!(repeated(&["foo=baz:NoSchedule"]), Some(Obstacle::Present(vec!["foo".into()])));
}
