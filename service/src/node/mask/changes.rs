//! In which fields two encoded messages differ.

use std::collections::{BTreeMap, BTreeSet};

use super::keep::ENTRY_VALUE;
use super::path::{join_field, join_key};
use super::project::key_of;
use super::schema::{Field, Message, Shape};
use super::wire::{Record, Records};

/// Adds the paths of the fields in which two encoded messages at the path `at` differ.
///
/// A field that the schema doesn't know is not seen. A message that one side lacks counts as empty on that side; if that
/// is all the difference, it is named itself.
pub(super) fn add_changes(message: &Message, at: &str, before: &[u8], after: &[u8], paths: &mut Vec<String>) {
    if before == after {
        return;
    }
    let (before, after) = (by_number(before), by_number(after));
    let numbers: BTreeSet<u32> = before.keys().chain(after.keys()).copied().collect();
    for number in numbers {
        let (before, after) = (records(&before, number), records(&after, number));
        let Some(field) = message.field(number) else { continue };
        if !before.iter().map(|record| record.raw).eq(after.iter().map(|record| record.raw)) {
            add_field_changes(field, &join_field(at, &field.name), before, after, paths);
        }
    }
}

fn add_field_changes(field: &Field, at: &str, before: &[Record<'_>], after: &[Record<'_>], paths: &mut Vec<String>) {
    match (field.shape, field.identity) {
        (Shape::Message(place), _) if !Shape::message(place).is_value => {
            let found = paths.len();
            add_changes(Shape::message(place), at, &merged(before), &merged(after), paths);
            if paths.len() == found {
                paths.push(at.to_owned());
            }
        }
        (Shape::Map(_), _) => add_key_changes(&entries(before), &entries(after), at, paths),
        (Shape::List(_), Some(identity)) => {
            let found = paths.len();
            if let (Some(before), Some(after)) = (by_identity(before, identity), by_identity(after, identity)) {
                add_key_changes(&before, &after, at, paths);
            }
            // Another order, or elements that can't be told apart.
            if paths.len() == found {
                paths.push(at.to_owned());
            }
        }
        _ => paths.push(at.to_owned()),
    }
}

fn add_key_changes(before: &BTreeMap<&[u8], &[u8]>, after: &BTreeMap<&[u8], &[u8]>, at: &str, paths: &mut Vec<String>) {
    let keys: BTreeSet<&[u8]> = before.keys().chain(after.keys()).copied().collect();
    for key in keys {
        if before.get(key) != after.get(key) {
            paths.push(join_key(at, &String::from_utf8_lossy(key)));
        }
    }
}

fn by_number(message: &[u8]) -> BTreeMap<u32, Vec<Record<'_>>> {
    let mut fields: BTreeMap<u32, Vec<Record<'_>>> = BTreeMap::new();
    for record in Records::new(message) {
        fields.entry(record.number).or_default().push(record);
    }
    fields
}

fn records<'m, 'a>(fields: &'m BTreeMap<u32, Vec<Record<'a>>>, number: u32) -> &'m [Record<'a>] {
    fields.get(&number).map(Vec::as_slice).unwrap_or_default()
}

/// The content of a message that may stand in several pieces: one after the other they are the whole.
fn merged(records: &[Record<'_>]) -> Vec<u8> {
    records.iter().filter_map(|record| record.payload).collect::<Vec<_>>().concat()
}

/// The encoded values of a map by their keys. Empty and absent values are the same.
fn entries<'a>(records: &[Record<'a>]) -> BTreeMap<&'a [u8], &'a [u8]> {
    let entry = |entry: &'a [u8]| {
        let value = Records::new(entry).filter(|record| record.number == ENTRY_VALUE).last();
        (key_of(entry), value.and_then(|value| value.payload).unwrap_or_default())
    };
    records.iter().filter_map(|record| record.payload).map(entry).collect()
}

/// The encoded elements by the text that names them. None if two have the same name.
fn by_identity<'a>(records: &[Record<'a>], identity: u32) -> Option<BTreeMap<&'a [u8], &'a [u8]>> {
    let mut elements = BTreeMap::new();
    for element in records.iter().filter_map(|record| record.payload) {
        let name = Records::new(element).filter(|record| record.number == identity).last();
        let name = name.and_then(|name| name.payload).unwrap_or_default();
        if elements.insert(name, element).is_some() {
            return None;
        }
    }
    Some(elements)
}
