//! What a mask keeps of a message, as a tree.

use std::collections::BTreeMap;

use super::path::{join_field, join_key};
use super::schema::Message;

/// The number of the key in an entry of a map, which is a message on the wire.
pub(super) const ENTRY_KEY: u32 = 1;
/// The number of the value in an entry of a map.
pub(super) const ENTRY_VALUE: u32 = 2;

/// A step from a value to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Field(u32),
    /// All elements of a list of messages.
    Elements,
    /// The entry of a map with this key.
    Entry(String),
    /// All entries of a map.
    Entries,
}

/// What is kept of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Keep {
    Nothing,
    All,
    /// Of a message: the listed fields as said there, ordered by their numbers, and the others or not.
    Fields {
        listed: Vec<(u32, Keep)>,
        others: bool,
    },
    /// Of a list of messages: this of each element.
    Elements(Box<Keep>),
    /// Of a map: this of the entries with these keys, and of the others.
    Entries {
        listed: BTreeMap<String, Keep>,
        others: Box<Keep>,
    },
}

impl Keep {
    /// Keeps what the steps lead to, too.
    pub fn include(&mut self, steps: &[Step]) {
        if *self == Self::All {
            return;
        }
        let Some((step, rest)) = steps.split_first() else {
            *self = Self::All;
            return;
        };
        if *self == Self::Nothing {
            *self = Self::nothing_of(step);
        }
        match (step, self) {
            (Step::Field(number), Self::Fields { listed, .. }) => slot(listed, *number, Self::Nothing).include(rest),
            (Step::Elements, Self::Elements(each)) => each.include(rest),
            (Step::Entry(key), Self::Entries { listed, others }) => {
                // What is kept of every entry is kept of this one as well.
                listed.entry(key.clone()).or_insert_with(|| others.as_ref().clone()).include_entry(rest);
            }
            (Step::Entries, Self::Entries { listed, others }) => {
                listed.values_mut().for_each(|entry| entry.include_entry(rest));
                others.include_entry(rest);
            }
            // Steps that lead to the same value are of the same kind: they come from one schema.
            _ => {}
        }
    }

    /// Keeps no longer what the steps, which lead through no map, lead to.
    pub fn exclude(&mut self, steps: &[Step]) {
        let Some((step, rest)) = steps.split_first() else {
            *self = Self::Nothing;
            return;
        };
        if *self == Self::All {
            *self = match step {
                Step::Elements => Self::Elements(Box::new(Self::All)),
                _ => Self::Fields { listed: Vec::new(), others: true },
            };
        }
        match (step, self) {
            (Step::Field(number), Self::Fields { listed, others: true }) => {
                slot(listed, *number, Self::All).exclude(rest);
            }
            (Step::Elements, Self::Elements(each)) => each.exclude(rest),
            _ => {}
        }
    }

    /// The same without what says nothing: the canonical tree.
    pub fn simplify(&mut self) {
        match self {
            Self::Nothing | Self::All => {}
            Self::Fields { listed, .. } => listed.iter_mut().for_each(|(_, keep)| keep.simplify()),
            Self::Elements(each) => each.simplify(),
            Self::Entries { listed, others } => {
                others.simplify();
                listed.values_mut().for_each(Self::simplify);
                listed.retain(|_, entry| *entry != **others);
            }
        }
    }

    /// What is kept of a field of the message that this is said of.
    pub fn of_field(&self, number: u32) -> &Keep {
        match self {
            Self::All => &Self::All,
            Self::Fields { listed, others } => match listed.binary_search_by_key(&number, |(number, _)| *number) {
                Ok(place) => &listed[place].1,
                Err(_) if *others => &Self::All,
                Err(_) => &Self::Nothing,
            },
            _ => &Self::Nothing,
        }
    }

    /// Adds the paths of all that is kept of a value at the path `at`, which is a message of this type if it is one.
    pub fn add_paths(&self, message: Option<&Message>, at: &str, paths: &mut Vec<String>) {
        match self {
            Self::Nothing => {}
            Self::All => paths.push(at.to_owned()),
            Self::Fields { listed, .. } => {
                for (number, keep) in listed {
                    if let Some(field) = message.and_then(|message| message.field(*number)) {
                        keep.add_paths(field.shape.part(), &join_field(at, &field.name), paths);
                    }
                }
            }
            Self::Elements(each) => each.add_paths(message, &format!("{at}.*"), paths),
            Self::Entries { listed, others } => {
                for (key, entry) in listed {
                    entry.add_entry_paths(message, &join_key(at, key), paths);
                }
                others.add_entry_paths(message, &format!("{at}.*"), paths);
            }
        }
    }

    fn add_entry_paths(&self, value: Option<&Message>, at: &str, paths: &mut Vec<String>) {
        match self {
            Self::Fields { .. } => self.of_field(ENTRY_VALUE).add_paths(value, at, paths),
            whole => whole.add_paths(value, at, paths),
        }
    }

    /// Keeps of an entry of a map what the steps from its value lead to, and its key.
    fn include_entry(&mut self, steps: &[Step]) {
        if steps.is_empty() {
            return self.include(&[]);
        }
        self.include(&[Step::Field(ENTRY_KEY)]);
        if let Self::Fields { listed, .. } = self {
            slot(listed, ENTRY_VALUE, Self::Nothing).include(steps);
        }
    }

    fn nothing_of(step: &Step) -> Self {
        match step {
            Step::Field(_) => Self::Fields { listed: Vec::new(), others: false },
            Step::Elements => Self::Elements(Box::new(Self::Nothing)),
            Step::Entry(_) | Step::Entries => {
                Self::Entries { listed: BTreeMap::new(), others: Box::new(Self::Nothing) }
            }
        }
    }
}

/// What is kept of the field with this number, which is `absent` if nothing was said of it yet.
fn slot(listed: &mut Vec<(u32, Keep)>, number: u32, absent: Keep) -> &mut Keep {
    let place = match listed.binary_search_by_key(&number, |(number, _)| *number) {
        Ok(place) => place,
        Err(place) => {
            listed.insert(place, (number, absent));
            place
        }
    };
    &mut listed[place].1
}
