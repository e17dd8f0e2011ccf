//! Labels and annotations on the command line, by kubectl's rules: `KEY=VALUE` sets, `KEY-` removes, and a value that is
//! there is not changed without `--overwrite`.

use std::collections::{BTreeMap, BTreeSet};

use crate::failure::Failure;

/// What is to be set and removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// The values to set.
    pub set: BTreeMap<String, String>,
    /// The keys to remove.
    pub remove: BTreeSet<String>,
}

/// What the present values leave to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Whether a value is not there yet, or a key to remove is.
    pub is_needed: bool,
    /// The keys to remove that are not there.
    pub absent: BTreeSet<String>,
}

/// Splits arguments into names of nodes and what follows them. `what` names the latter in the error.
pub fn split(
    arguments: &[String],
    what: &str,
    is_pair: impl Fn(&str) -> bool,
) -> Result<(Vec<String>, Vec<String>), Failure> {
    let first = arguments.iter().position(|one| is_pair(one)).unwrap_or(arguments.len());
    let (names, pairs) = arguments.split_at(first);
    match pairs.iter().find(|one| !is_pair(one)) {
        Some(name) => Err(Failure::usage(format!("all nodes must be named before the {what}s: {name:?}"))),
        None if pairs.is_empty() => Err(Failure::usage(format!("at least one {what} to change is needed"))),
        None => Ok((names.to_vec(), pairs.to_vec())),
    }
}

/// Whether an argument is a pair, and not the name of a node.
pub fn is_pair(argument: &str) -> bool {
    (argument.contains('=') && !argument.starts_with('=')) || (argument.ends_with('-') && argument != "-")
}

impl Pairs {
    /// Parses pairs. The value of an annotation, unlike that of a label, may hold `=`, which needs no special rule here: the
    /// server refuses it in a label.
    pub fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let mut pairs = Self::default();
        for argument in arguments {
            match (argument.split_once('='), argument.strip_suffix('-')) {
                (Some((key, value)), _) if !key.is_empty() => {
                    pairs.set.insert(key.to_owned(), value.to_owned());
                }
                (None, Some(key)) if !key.is_empty() => {
                    pairs.remove.insert(key.to_owned());
                }
                _ => return Err(Failure::usage(format!("{argument:?} is neither KEY=VALUE nor KEY-"))),
            }
        }
        match pairs.set.keys().find(|key| pairs.remove.contains(*key)) {
            Some(key) => Err(Failure::usage(format!("{key:?} can't be both set and removed"))),
            None => Ok(pairs),
        }
    }

    /// What is left to do on a node with these values, or the keys that have another value already.
    pub fn decide(&self, present: &BTreeMap<String, String>, overwrite: bool) -> Result<Step, Vec<(String, String)>> {
        let taken = |(key, value): (&String, &String)| {
            present.get(key).filter(|other| *other != value).map(|other| (key.clone(), other.clone()))
        };
        let conflicts: Vec<(String, String)> = self.set.iter().filter_map(taken).collect();
        if !overwrite && !conflicts.is_empty() {
            return Err(conflicts);
        }
        let absent: BTreeSet<String> = self.remove.iter().filter(|key| !present.contains_key(*key)).cloned().collect();
        let is_set = self.set.iter().all(|(key, value)| present.get(key) == Some(value));
        Ok(Step { is_needed: !is_set || absent.len() < self.remove.len(), absent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(|one| (*one).to_owned()).collect()
    }

    fn parsed(arguments: &[&str]) -> Result<Pairs, Failure> {
        Pairs::parse(&owned(arguments))
    }

    fn present() -> BTreeMap<String, String> {
        [("team".to_owned(), "red".to_owned())].into()
    }

    #[test]
    fn names_come_before_pairs() {
        let (names, pairs) = split(&owned(&["node", "a", "x=1", "y-"]), "label", is_pair).unwrap();
        assert_eq!((names, pairs), (owned(&["node", "a"]), owned(&["x=1", "y-"])));
    }

    #[test]
    fn a_name_after_a_pair_is_refused() {
        assert!(split(&owned(&["a", "x=1", "b"]), "label", is_pair).is_err());
    }

    #[test]
    fn names_alone_are_refused() {
        assert!(split(&owned(&["a", "b"]), "label", is_pair).is_err());
    }

    #[test]
    fn pairs_are_parsed() {
        let pairs = parsed(&["a=1", "b=", "example.com/c=x=y", "d-"]).unwrap();
        let set =
            [("a", "1"), ("b", ""), ("example.com/c", "x=y")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(pairs, Pairs { set: set.into(), remove: ["d".to_owned()].into() });
    }

    #[test]
    fn a_value_may_end_with_a_dash() {
        assert_eq!(parsed(&["a=b-"]).unwrap().set["a"], "b-");
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for argument in ["", "=", "=a", "-", "a"] {
            assert!(parsed(&[argument]).is_err(), "{argument:?}");
        }
    }

    #[test]
    fn a_key_can_not_be_both_set_and_removed() {
        assert!(parsed(&["a=1", "a-"]).is_err());
    }

    #[test]
    fn another_value_needs_overwrite() {
        let pairs = parsed(&["team=blue"]).unwrap();
        assert_eq!(pairs.decide(&present(), false), Err(vec![("team".into(), "red".into())]));
        assert!(pairs.decide(&present(), true).unwrap().is_needed);
    }

    #[test]
    fn the_same_value_is_nothing_to_do() {
        assert!(!parsed(&["team=red"]).unwrap().decide(&present(), false).unwrap().is_needed);
    }

    #[test]
    fn a_new_key_needs_no_overwrite() {
        assert!(parsed(&["zone=a"]).unwrap().decide(&present(), false).unwrap().is_needed);
    }

    #[test]
    fn removing_what_is_absent_is_nothing_to_do_but_told() {
        let absent = BTreeSet::from(["zone".to_owned()]);
        let decide = |arguments: &[&str]| parsed(arguments).unwrap().decide(&present(), false).unwrap();
        assert_eq!(decide(&["zone-"]), Step { is_needed: false, absent: absent.clone() });
        assert_eq!(decide(&["team-", "zone-"]), Step { is_needed: true, absent });
    }
}
