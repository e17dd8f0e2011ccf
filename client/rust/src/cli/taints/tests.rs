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

fn decided(specs: &[&str], overwrite: bool) -> Result<Step, Obstacle> {
    parsed(specs).unwrap().decide(&present(), overwrite)
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
    assert_eq!(decided(&["foo_1:NoExecute"], false).unwrap().set, [taint("foo_1", "", "NoExecute")]);
}

#[test]
fn the_same_key_with_another_effect_is_new() {
    assert_eq!(decided(&["foo=bar:NoExecute"], false).unwrap().set.len(), 1);
}

#[test]
fn a_taint_that_is_there_needs_overwrite() {
    assert_eq!(decided(&["foo=baz:NoSchedule"], false), Err(Obstacle::Present(vec!["foo".into()])));
    assert_eq!(decided(&["foo=baz:NoSchedule"], true).unwrap().set, [taint("foo", "baz", "NoSchedule")]);
}

#[test]
fn overwriting_with_the_same_value_is_nothing_to_do() {
    assert!(decided(&["foo=bar:NoSchedule"], true).unwrap().is_empty());
}

#[test]
fn a_taint_is_removed_by_key_and_effect_or_by_key() {
    let expected = [("foo".to_owned(), "NoSchedule".to_owned())];
    assert_eq!(decided(&["foo:NoSchedule-"], false).unwrap().remove, expected);
    assert_eq!(decided(&["foo-"], false).unwrap().remove, expected);
    assert_eq!(decided(&["foo-", "foo:NoSchedule-"], false).unwrap().remove, expected);
}

#[test]
fn removing_what_is_not_there_is_an_error() {
    assert_eq!(decided(&["foo_1:NoSchedule-"], false), Err(Obstacle::Absent(removal("foo_1", Some("NoSchedule")))));
    assert_eq!(decided(&["foo:NoExecute-"], false), Err(Obstacle::Absent(removal("foo", Some("NoExecute")))));
}

#[test]
fn one_taint_is_set_while_another_is_removed() {
    let step = decided(&["foo_1:NoSchedule", "foo:NoSchedule-"], false).unwrap();
    assert_eq!(step.set, [taint("foo_1", "", "NoSchedule")]);
    assert_eq!(step.remove, [("foo".to_owned(), "NoSchedule".to_owned())]);
}
