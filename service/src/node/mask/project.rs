//! Encoded messages as a mask shows them: copied without what is not kept, and compared without a copy.

use super::keep::{ENTRY_KEY, Keep};
use super::wire::{Record, Records, write_delimited};

/// Appends what is kept of an encoded message.
pub(super) fn project(keep: &Keep, message: &[u8], out: &mut Vec<u8>) {
    if *keep == Keep::All {
        out.extend_from_slice(message);
        return;
    }
    for record in Records::new(message) {
        match of_record(keep, &record) {
            Shown::Nothing => {}
            Shown::Whole => out.extend_from_slice(record.raw),
            Shown::Part(keep, payload) => write_delimited(out, record.tag, |out| project(keep, payload, out)),
        }
    }
}

/// Whether two encoded messages are the same in all that is kept: whether their projections are equal.
pub(super) fn same(keep: &Keep, left: &[u8], right: &[u8]) -> bool {
    if *keep == Keep::All || left == right {
        return left == right;
    }
    let mut left = Records::new(left).filter(|record| !matches!(of_record(keep, record), Shown::Nothing));
    let mut right = Records::new(right).filter(|record| !matches!(of_record(keep, record), Shown::Nothing));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(left), Some(right)) if same_record(keep, &left, &right) => {}
            _ => return false,
        }
    }
}

fn same_record(keep: &Keep, left: &Record<'_>, right: &Record<'_>) -> bool {
    if left.raw == right.raw {
        return true;
    }
    match (of_record(keep, left), of_record(keep, right)) {
        // Entries of a map with different keys may be kept differently.
        (Shown::Part(keep, left_payload), Shown::Part(right_keep, right_payload)) => {
            left.tag == right.tag && keep == right_keep && same(keep, left_payload, right_payload)
        }
        _ => false,
    }
}

/// What is shown of a record.
enum Shown<'k, 'a> {
    Nothing,
    Whole,
    /// This of the message that it holds.
    Part(&'k Keep, &'a [u8]),
}

fn of_record<'k, 'a>(keep: &'k Keep, record: &Record<'a>) -> Shown<'k, 'a> {
    let kept = match (keep.of_field(record.number), record.payload) {
        (Keep::Elements(each), Some(_)) => each,
        (Keep::Entries { listed, others }, Some(entry)) => {
            std::str::from_utf8(key_of(entry)).ok().and_then(|key| listed.get(key)).unwrap_or(others)
        }
        (kept, _) => kept,
    };
    match (kept, record.payload) {
        (Keep::Nothing, _) => Shown::Nothing,
        (Keep::All, _) => Shown::Whole,
        (part, Some(payload)) => Shown::Part(part, payload),
        // Not a message, against the schema: there is no part of it to show.
        (_, None) => Shown::Nothing,
    }
}

/// The key of an encoded entry of a map. An absent one is empty, and the last one counts.
pub(super) fn key_of(entry: &[u8]) -> &[u8] {
    Records::new(entry)
        .filter(|record| record.number == ENTRY_KEY)
        .last()
        .and_then(|record| record.payload)
        .unwrap_or_default()
}
