//! Taints on the command line, by kubectl's rules: `KEY=VALUE:EFFECT` and `KEY:EFFECT` set, `KEY:EFFECT-` and `KEY-` remove,
//! and a taint that is there is not changed without `--overwrite`.

use std::collections::BTreeSet;

use nodeward_client::api::Taint;

use crate::failure::Failure;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// What is to be set and removed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taints {
    /// The taints to set.
    pub set: Vec<Taint>,
    /// The taints to remove: by key and effect, or by key alone.
    pub remove: Vec<Removal>,
}

/// Which taints are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Their key.
    pub key: String,
    /// Their effect. Any, if it is none.
    pub effect: Option<String>,
}

/// Why the present taints don't allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// These keys have a taint with the same effect.
    Present(Vec<String>),
    /// There is no such taint to remove.
    Absent(Removal),
}

/// Whether an argument is a taint, and not the name of a node.
pub fn is_taint(argument: &str) -> bool {
    argument.contains(['=', ':']) || (argument.ends_with('-') && argument != "-")
}

impl Taints {
    /// Parses taints.
    pub fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let mut taints = Self::default();
        for argument in arguments {
            match argument.strip_suffix('-') {
                Some(spec) => {
                    let (key, _, effect) = parts(spec)?;
                    taints.remove.push(Removal { key, effect });
                }
                None => {
                    let (key, value, effect) = parts(argument)?;
                    let effect = effect.ok_or_else(|| bad(argument, "it needs an effect"))?;
                    if taints.set.iter().any(|one| one.key == key && one.effect == effect) {
                        return Err(bad(argument, "the key and effect are given twice"));
                    }
                    taints.set.push(Taint { key, value, effect, time_added: None });
                }
            }
        }
        Ok(taints)
    }

    /// The taints to set. As with kubectl, what is removed need not be set before: `k:NoSchedule k:NoSchedule-` ends
    /// without it.
    pub fn kept(&self) -> impl Iterator<Item = &Taint> {
        self.set.iter().filter(|taint| !self.removes(taint))
    }

    /// The key and effect of all that is set or removed, each once.
    pub fn identities(&self) -> BTreeSet<(&str, &str)> {
        let removed = self.remove.iter().flat_map(|removal| match &removal.effect {
            Some(effect) => vec![(removal.key.as_str(), effect.as_str())],
            None => EFFECTS.map(|effect| (removal.key.as_str(), effect)).into(),
        });
        removed.chain(self.set.iter().map(identity)).collect()
    }

    /// What stands in the way on a node with these taints. Not what a repeated request has done itself: a taint that is as
    /// it is to be, one that is not there any more.
    pub fn obstacle(&self, present: &[Taint], overwrite: bool, is_repeat: bool) -> Option<Obstacle> {
        let is_taken = |taint: &&Taint| {
            let found = present.iter().find(|one| identity(one) == identity(taint));
            found.is_some_and(|found| !(is_repeat && value(found) == value(taint)))
        };
        let taken: Vec<String> = self.set.iter().filter(is_taken).map(|taint| taint.key.clone()).collect();
        if !overwrite && !taken.is_empty() {
            return Some(Obstacle::Present(taken));
        }
        let is_there = |removal: &&Removal| present.iter().chain(&self.set).any(|taint| removal.matches(taint));
        let absent = self.remove.iter().find(|removal| !is_there(removal)).filter(|_| !is_repeat);
        absent.cloned().map(Obstacle::Absent)
    }

    /// Whether there is something to do on a node with these taints.
    pub fn is_needed(&self, present: &[Taint]) -> bool {
        let is_there =
            |taint: &Taint| present.iter().any(|one| identity(one) == identity(taint) && value(one) == value(taint));
        present.iter().any(|taint| self.removes(taint)) || !self.kept().all(is_there)
    }

    fn removes(&self, taint: &Taint) -> bool {
        self.remove.iter().any(|removal| removal.matches(taint))
    }
}

fn identity(taint: &Taint) -> (&str, &str) {
    (&taint.key, &taint.effect)
}

fn value(taint: &Taint) -> &str {
    taint.value.as_deref().unwrap_or_default()
}

impl Removal {
    fn matches(&self, taint: &Taint) -> bool {
        self.key == taint.key && self.effect.as_ref().is_none_or(|effect| *effect == taint.effect)
    }
}

impl std::fmt::Display for Removal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.effect {
            Some(effect) => write!(f, "{}:{effect}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

/// The key, the value and the effect of `key[=value][:effect]`. A value without an effect is refused, as by kubectl.
fn parts(spec: &str) -> Result<(String, Option<String>, Option<String>), Failure> {
    let (pair, effect) = match spec.split_once(':') {
        Some((pair, effect)) => (pair, Some(effect)),
        None => (spec, None),
    };
    if let Some(effect) = effect.filter(|effect| !EFFECTS.contains(effect)) {
        return Err(bad(spec, &format!("{effect:?} is not one of the effects {}", EFFECTS.join(", "))));
    }
    let (key, value) = match (pair.split_once('='), effect) {
        (Some(_), None) => return Err(bad(spec, "a value needs an effect")),
        (Some((key, value)), Some(_)) => (key, Some(value)),
        (None, _) => (pair, None),
    };
    if !is_key(key) {
        return Err(bad(spec, "the key must be letters, digits, `-`, `_` and `.`, optionally after a domain and `/`"));
    }
    if value.is_some_and(|value| !is_value(value)) {
        return Err(bad(spec, "the value must be at most 63 letters, digits, `-`, `_` and `.`"));
    }
    let value = value.filter(|value| !value.is_empty());
    Ok((key.to_owned(), value.map(str::to_owned), effect.map(str::to_owned)))
}

/// A qualified name of Kubernetes, roughly: the server checks it wholly.
fn is_key(key: &str) -> bool {
    let (domain, name) = key.split_once('/').map_or((None, key), |(domain, name)| (Some(domain), name));
    !name.is_empty() && is_value(name) && domain.is_none_or(|domain| !domain.is_empty())
}

/// A value of a label, which may be empty.
fn is_value(value: &str) -> bool {
    let is_inner = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
    let is_end = |one: Option<char>| one.is_none_or(|one| one.is_ascii_alphanumeric());
    value.len() <= 63 && value.chars().all(is_inner) && is_end(value.chars().next()) && is_end(value.chars().last())
}

fn bad(spec: &str, why: &str) -> Failure {
    Failure::usage(format!("{spec:?} is not a taint: {why}"))
}

#[cfg(test)]
mod tests;
