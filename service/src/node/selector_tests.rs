//! The cases of apimachinery's `selector_test.go`, and what is promised beyond them.

use proptest::prelude::*;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn selects(selector: &str, pairs: &[(&str, &str)]) -> bool {
    LabelSelector::parse(selector).unwrap_or_else(|error| panic!("{selector:?}: {error}")).matches(&labels(pairs))
}

fn error(selector: &str) -> ParseError {
    LabelSelector::parse(selector).expect_err(selector)
}

#[test]
fn apimachinery_accepts() {
    let selectors = [
        "x=a,y=b,z=c",
        "",
        "x!=a,y=b",
        "x=",
        "x= ",
        "x=,z= ",
        "x= ,z= ",
        "!x",
        "x>1",
        "x>1,z<5",
        "\rx",
        "this-is-a-dns.domain.com/key-with-dash",
        "this-is-another-dns.domain.com/key-with-dash in (so,what)",
        "0.1.2.domain/99 notin (10.10.100.1, tick.tack.clock)",
        "foo  in\t (abc)",
        "x notin\n (abc)",
        "x  notin\t\t\t(abc,def)",
        "x in (abc,def)",
        "x in (abc,)",
        "x in (abc,abc)",
        "x in ()",
        "x in (a,,,,,,)",
        "x in (a,,a,,a,,a,,)",
        "x notin (abc,,def),bar,z in (),w",
        "x,y in (a)",
        "x=a",
        "x<7",
        "x=a,y!=b",
        "x=a,y!=b,z in (h,i,j)",
        "x notin ( )",
        "x notin (, a)",
        "a ",
        "a in (x,y,notin, z,in)",
        "notin=in",
        "in in (in)",
        "! x",
        "x==a",
        "x = in",
    ];
    for selector in selectors {
        assert!(LabelSelector::parse(selector).is_ok(), "{selector:?}");
    }
}

#[test]
fn apimachinery_refuses() {
    let selectors = [
        "x=a||y=b",
        "x==a==b",
        "!x=a",
        "x<a",
        "x,,y",
        ",x,y",
        "x nott in (y)",
        "a in (xyz),",
        "a in (xyz)b notin ()",
        "a in (xyz abc)",
        "a notin(",
        "a (",
        "(",
        "x>",
        "x>-5",
        "x=!y",
        "x=(a)",
        "x in a",
        "x in (a=b)",
        "!",
        "!!x",
        "x=a b",
    ];
    for selector in selectors {
        assert!(LabelSelector::parse(selector).is_err(), "{selector:?}");
    }
}

#[test]
fn apimachinery_matches() {
    let foo_baz = [("foo", "bar"), ("baz", "blah")];
    assert!(selects("", &[("x", "y")]));
    assert!(selects("x=y", &[("x", "y")]));
    assert!(selects("x=y,z=w", &[("x", "y"), ("z", "w")]));
    assert!(selects("x!=y,z!=w", &[("x", "z"), ("z", "a")]));
    assert!(selects("notin=in", &[("notin", "in")]));
    assert!(selects("x", &[("x", "z")]));
    assert!(selects("!x", &[("y", "z")]));
    assert!(selects("x>1", &[("x", "2")]));
    assert!(selects("x<1", &[("x", "0")]));
    assert!(selects("foo=bar,baz=blah", &foo_baz));
    assert!(selects("x in (foo),y notin (alpha)", &[("x", "foo"), ("y", "baz")]));
}

#[test]
fn apimachinery_does_not_match() {
    let foo_baz = [("foo", "bar"), ("baz", "blah")];
    assert!(!selects("x=z", &[]));
    assert!(!selects("x=y", &[("x", "z")]));
    assert!(!selects("x=y,z=w", &[("x", "w"), ("z", "w")]));
    assert!(!selects("x!=y,z!=w", &[("x", "z"), ("z", "w")]));
    assert!(!selects("x", &[("y", "z")]));
    assert!(!selects("!x", &[("x", "z")]));
    assert!(!selects("x>1", &[("x", "0")]));
    assert!(!selects("x<1", &[("x", "2")]));
    assert!(!selects("foo=blah", &foo_baz));
    assert!(!selects("foo=bar,foobar=bar,baz=blah", &foo_baz));
    assert!(!selects("x in (foo),y in (alpha)", &[("x", "foo"), ("y", "baz")]));
    assert!(!selects("x in ()", &[("y", "baz")]));
}

#[test]
fn not_equal_and_not_in_match_an_absent_label() {
    assert!(selects("x!=y", &[]));
    assert!(selects("x notin (y)", &[]));
    assert!(selects("x notin (),y", &[("y", "")]));
}

#[test]
fn an_empty_list_holds_the_empty_value() {
    assert!(selects("x in ()", &[("x", "")]));
    assert!(!selects("x in ()", &[("x", "a")]));
    assert!(!selects("x notin (a,)", &[("x", "")]));
}

#[test]
fn values_that_are_no_numbers_are_neither_greater_nor_less() {
    assert!(!selects("z>1", &[("z", "v2")]));
    assert!(!selects("z<1", &[("z", "v2")]));
    assert!(!selects("z<1", &[]));
}

#[test]
fn only_the_empty_selector_is_everything() {
    assert!(LabelSelector::parse(" ").unwrap().is_everything());
    assert!(LabelSelector::default().is_everything());
    assert!(!LabelSelector::parse("x").unwrap().is_everything());
}

#[test]
fn the_order_of_requirements_makes_no_difference() {
    assert_eq!(LabelSelector::parse("x=a,a=x"), LabelSelector::parse("a==x , x=a"));
}

#[test]
fn the_canonical_form_is_sorted_and_tight() {
    let selector = LabelSelector::parse("z notin ( c, a,,a ) , y>05,x == 1,!w,v,u in (),t!=,s<3").unwrap();
    assert_eq!(selector.to_string(), "s<3,t!=,u in (),v,!w,x=1,y>5,z notin (,a,c)");
}

#[test]
fn errors_name_the_column_in_characters() {
    let columns = [
        ("x=a||y=b", 3),
        ("x,,y", 3),
        (",x", 1),
        ("a in (xyz),", 12),
        ("a in (xyz abc)", 11),
        ("team in blue", 9),
        ("a notin(", 9),
        ("ok, Bad.example/x", 5),
        ("a=b, c=-d", 8),
        ("x>1,y<a", 7),
        ("x>", 3),
        ("a=é, b", 3),
    ];
    for (selector, column) in columns {
        assert_eq!(error(selector).column, column, "{selector:?}: {}", error(selector));
    }
}

#[test]
fn errors_say_what_was_expected() {
    assert_eq!(error("team in blue").to_string(), "column 9: expected `(`, found `blue`");
    assert_eq!(
        error("x ~ y").to_string(),
        "column 3: expected `=`, `==`, `!=`, `in`, `notin`, `<`, `>`, `,` or the end, found `~`"
    );
    assert_eq!(
        error("a/b/c").to_string(),
        "column 1: `a/b/c` is not a key: send `name` or `prefix/name`, where the name has 1 to 63 letters, digits, `-`, `_` \
         and `.`, with a letter or digit at both ends"
    );
}

#[test]
fn a_text_that_is_too_long_is_refused_at_its_limit() {
    let longest = " ".repeat(MAX_CHARACTERS);
    assert!(LabelSelector::parse(&longest).is_ok());
    assert_eq!(error(&format!("{longest} ")).column, MAX_CHARACTERS + 1);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*") {
        let _ = LabelSelector::parse(&text);
    }

    #[test]
    fn the_canonical_form_parses_to_an_equal_selector(text in "([!]?[abx]( in | notin |[()<>=!,]|0|7|[ab]){0,4},?){0,4}") {
        if let Ok(selector) = LabelSelector::parse(&text) {
            prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
        }
    }
}
