//! docs/filter.md says what is true.

use super::super::fields::FIELDS;
use super::*;
use crate::node::selector::LabelSelector;

const GUIDE: &str = include_str!("../../../../../docs/filter.md");

/// The contents of the code blocks in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    let blocks: Vec<_> = GUIDE.split(&opening).skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    blocks
}

#[test]
fn every_filter_in_the_guide_is_one() {
    for block in blocks("filter") {
        filter(block);
    }
}

#[test]
fn every_selector_in_the_guide_is_one() {
    for block in blocks("selector") {
        LabelSelector::parse(block).unwrap();
    }
}

#[test]
fn every_example_in_the_table_of_fields_is_a_filter() {
    let (_, table) = GUIDE.split_once("| field |").unwrap();
    let rows: Vec<_> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 10);
    for row in rows {
        let examples = row.split('|').nth(3).unwrap();
        for example in examples.split('`').skip(1).step_by(2).filter(|example| *example != "nodes/worker-1") {
            filter(example);
        }
    }
}

#[test]
fn every_field_is_in_the_guide() {
    for field in FIELDS {
        assert!(GUIDE.contains(&format!("`{}`", field.name)), "{}", field.name);
    }
}

#[test]
fn every_path_in_the_contract_is_a_field_too() {
    for field in FIELDS {
        if let Some(path) = field.path {
            let error = Filter::parse(path).unwrap_err();
            assert!(!error.message.contains("there is no field"), "{error}");
        }
    }
}

#[test]
fn the_limits_are_in_the_guide() {
    let limits = format!("{MAX_CHARACTERS} characters, {MAX_TERMS} conditions, parentheses {MAX_DEPTH} deep");
    assert!(GUIDE.contains(&limits));
}

#[test]
fn the_example_in_the_contract_is_a_filter() {
    filter("readiness = LOST_CONTACT AND NOT cordoned = true AND labels.team = \"blue\"");
}
