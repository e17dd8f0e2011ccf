//! What filters are refused, where and why.

use super::*;

/// What is wrong with a text.
fn error(text: &str) -> ParseError {
    match Filter::parse(text) {
        Err(error) => error,
        Ok(filter) => panic!("{text} is {filter}"),
    }
}

/// Checks the column of the error, and that its message contains a text.
fn assert_errors(table: &[(&str, usize, &str)]) {
    for (text, column, message) in table {
        let error = error(text);
        assert_eq!(error.column, *column, "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
    }
}

#[test]
fn an_unknown_field_is_named_with_a_suggestion_and_all_fields() {
    let message = error("zone = a AND redy = true").to_string();
    let start =
        "column 14: there is no field `redy` (did you mean `ready`?); the fields are name, labels, annotations, taints";
    assert!(message.starts_with(start), "{message}");
}

#[test]
fn a_field_that_resembles_none_gets_no_suggestion() {
    assert!(error("worker-1").message.starts_with("there is no field `worker-1`; the fields are name"));
}

#[test]
fn a_comparator_must_fit_the_field() {
    assert_errors(&[
        ("ready < true", 7, "`<` does not fit `ready`, which is true or false"),
        ("readiness >= READY", 11, "`>=` does not fit `readiness`"),
        ("conditions.Ready > True", 18, "use `=` or `!=`"),
        ("taints.dedicated < gpu", 18, "`<` does not fit `taints`"),
        ("labels = team", 8, "write `labels.KEY = ...`"),
        ("taints != gpu", 8, "write `taints:KEY`"),
        ("addresses = 10.0.0.5", 11, "write `addresses:\"10.0.0.5\"`"),
    ]);
}

#[test]
fn a_value_must_fit_the_field() {
    assert_errors(&[
        ("ready = maybe", 9, "expected `true` or `false`, found `maybe`"),
        ("ready = True", 9, "did you mean `true`?"),
        ("readiness = UNKNOWN", 13, "expected `READY`, `NOT_READY`, `LOST_CONTACT`, `NOT_REPORTED`"),
        ("readiness = lost_contact", 13, "did you mean `LOST_CONTACT`?"),
        ("scheduling_state = cordond", 20, "did you mean `CORDONED`?"),
        ("conditions.Ready = true", 20, "expected `True`, `False` or `Unknown`, found `true` (did you mean `True`?)"),
        ("create_time > yesterday", 15, "like `\"2026-07-01T08:30:00Z\"`"),
        ("create_time > 2026-07-01", 15, "RFC 3339"),
        ("create_time:*", 13, "wildcard"),
        ("capacity.memory < 16GB", 19, "expected an amount like"),
        ("kubelet_version < 1.36.0-rc.1", 19, "expected only numbers"),
        ("kubelet_version < latest", 19, "expected only numbers"),
        ("taints:gpu:NoSchedul", 8, "after the `:`, found `NoSchedul` (did you mean `NoSchedule`?)"),
        ("taints:\"a b\"", 8, "`a b` is not a key"),
        ("taints.a = \"b=c\"", 12, "no taint can have this"),
        ("name = a/b", 8, "expected the name of a node"),
        ("zone = \"\"", 8, "`NOT zone:*`"),
        ("addresses:''", 11, "`NOT addresses:*`"),
    ]);
}

#[test]
fn keys_that_nothing_can_have_are_refused() {
    assert_errors(&[
        ("labels.\"a b\" = x", 8, "`a b` is not a key"),
        ("labels:a/b/c", 8, "`a/b/c` is not a key"),
        ("labels.Example.com/a = x", 8, "`Example.com/a` is not a lowercase RFC 1123 subdomain"),
        ("capacity.-cpu > 1", 10, "`-cpu` is not a key"),
        ("labels:te*", 8, "`*` alone stands for any key"),
        ("labels.te*m = x", 8, "a wildcard can only stand in a value"),
        ("labels. = x", 8, "expected a name"),
        (".team = x", 1, "expected a name"),
        ("zone.name = x", 6, "`zone` has no fields of its own"),
        ("readiness.since_time > x", 11, "`readiness` has no fields of its own"),
    ]);
}

#[test]
fn wildcards_have_no_order() {
    assert_errors(&[
        ("name > worker-*", 8, "a wildcard is only possible"),
        ("labels.a < \"b*\"", 12, "a wildcard is only possible"),
        ("*", 1, "for example `name = \"worker-*\"`"),
    ]);
}

#[test]
fn an_incomplete_filter_says_what_is_missing() {
    assert_errors(&[
        ("ready", 6, "expected `= true` or `= false` after `ready`, found the end"),
        ("NOT cordoned AND ready = true", 14, "after `cordoned`, found AND"),
        ("zone", 5, "expected a comparator and a value after `zone`, found the end"),
        ("zone =", 7, "expected a value after `=`, found the end"),
        ("zone = AND ready = true", 8, "expected a value, found AND"),
        ("zone = )", 8, "expected a value after `=`, found `)`"),
        ("zone = a AND", 13, "expected a condition, for example `ready = true`, found the end"),
        ("zone = a OR", 12, "found the end"),
        ("AND zone = a", 1, "expected a condition, for example `ready = true`, found AND"),
        ("zone = a AND OR", 14, "found OR"),
        ("NOT", 4, "found the end"),
        ("()", 2, "found `)`"),
        ("(zone = a", 10, "expected `)` for the `(` in column 1, found the end"),
        ("zone = a)", 9, "there is no `(` that this `)` closes"),
        ("= a", 1, "found `=`"),
        ("zone = a = b", 10, "expected a condition, AND, OR or the end, found `=`"),
    ]);
}

#[test]
fn habits_of_other_languages_are_explained() {
    assert_errors(&[
        ("zone = a and ready = true", 10, "only understood in capitals: AND"),
        ("not ready = true", 1, "only understood in capitals: NOT"),
        ("zone == a", 6, "write `=`"),
        ("!ready = true", 1, "write `NOT`"),
        ("zone = (a OR b)", 8, "a condition for each"),
        ("zone = a, ready = true", 9, "a comma has no meaning"),
        ("taints:dedicated=gpu", 17, "put a value in quotes"),
    ]);
}

#[test]
fn quotes_must_be_closed_and_escapes_known() {
    assert_errors(&[
        ("zone = \"a", 8, "a closing \" is missing"),
        ("labels.'a = b", 8, "a closing ' is missing"),
        ("zone = 'a\\", 10, "expected one of"),
        ("zone = \"a\\x\"", 10, "expected one of"),
    ]);
}

#[test]
fn columns_count_characters() {
    assert_eq!(error("labels.a = \"äöü\" AND 木 = x").column, 22);
}

#[test]
fn a_filter_may_be_as_long_as_its_limit() {
    let filter = format!("name = {}", "a".repeat(MAX_CHARACTERS - 7));
    assert!(Filter::parse(&filter).is_ok());
    let error = error(&format!("{filter}é"));
    assert_eq!(error.to_string(), "column 4097: a filter has at most 4096 characters");
}

#[test]
fn parentheses_may_be_nested_up_to_their_limit() {
    let nested = |depth: usize| format!("{}ready = true{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Filter::parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(error(&nested(MAX_DEPTH + 1)).to_string(), "column 33: parentheses may be nested 32 deep at most");
    assert_eq!(error(&"(".repeat(MAX_CHARACTERS)).column, 33);
    assert_eq!(error(&"NOT (".repeat(800)).column, 165);
}

#[test]
fn parentheses_side_by_side_are_not_nested() {
    let filter = ["(ready = true)"; 100].join(" AND ");
    assert!(Filter::parse(&filter).is_ok());
}

#[test]
fn many_negations_do_not_nest() {
    assert_eq!(canonical(&format!("{} ready = true", "-".repeat(4000))), "ready = true");
}

#[test]
fn there_may_be_as_many_conditions_as_their_limit() {
    let conditions = |count: usize| ["name:a"; 300][..count].join(" OR ");
    assert!(Filter::parse(&conditions(MAX_TERMS)).is_ok());
    let error = error(&conditions(MAX_TERMS + 1));
    assert_eq!(error, ParseError::new(256 * 10 + 1, "a filter has at most 256 conditions"));
}

#[test]
fn messages_stay_short_whatever_was_written() {
    let long = "x".repeat(4000);
    let texts = [
        long.clone(),
        format!("ready = {long}"),
        format!("labels.{long} = x"),
        format!("labels:{long}"),
        format!("a.{long}"),
        format!("taints:a:{long}"),
        format!("taints:{long}"),
        format!("create_time > {long}"),
        format!("zone.{long} = x"),
        format!("labels.{long}"),
        format!("capacity.cpu > {long}"),
        format!("conditions.{long} = x"),
        format!("ready.{long}"),
    ];
    for text in texts {
        assert!(error(&text).message.len() < 800, "{}", error(&text));
    }
}
