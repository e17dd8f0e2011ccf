//! Taints on the command line, by kubectl's rules: `KEY=VALUE:EFFECT` and `KEY:EFFECT` set, `KEY:EFFECT-` and `KEY-` remove,
//! and a taint that is there is not changed without `--overwrite`.

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

/// What of it the present taints leave to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The taints to set.
    pub set: Vec<Taint>,
    /// The key and effect of each taint to remove.
    pub remove: Vec<(String, String)>,
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

    /// What is left to do on a node with these taints.
    pub fn decide(&self, present: &[Taint], overwrite: bool) -> Result<Step, Obstacle> {
        let is_present = |taint: &&Taint| present.iter().any(|one| one.key == taint.key && one.effect == taint.effect);
        let taken: Vec<String> = self.set.iter().filter(is_present).map(|taint| taint.key.clone()).collect();
        if !overwrite && !taken.is_empty() {
            return Err(Obstacle::Present(taken));
        }
        // As with kubectl, what is removed need not be set before: `k:NoSchedule k:NoSchedule-` ends without it.
        let mut step = Step { set: self.set.clone(), remove: Vec::new() };
        for removal in &self.remove {
            let is_meant = |taint: &Taint| removal.matches(taint);
            let before = step.set.len();
            step.set.retain(|taint| !is_meant(taint));
            let matching = present.iter().filter(|taint| is_meant(taint));
            let found: Vec<(String, String)> =
                matching.map(|taint| (taint.key.clone(), taint.effect.clone())).collect();
            if found.is_empty() && step.set.len() == before {
                return Err(Obstacle::Absent(removal.clone()));
            }
            step.remove.extend(found);
        }
        step.remove.dedup();
        let is_new = |taint: &Taint| {
            let same = |one: &&Taint| one.key == taint.key && one.effect == taint.effect;
            let value = |one: &Taint| one.value.clone().unwrap_or_default();
            present.iter().find(same).is_none_or(|one| value(one) != value(taint))
        };
        step.set.retain(is_new);
        Ok(step)
    }
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

impl Step {
    /// Whether nothing is left to do.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
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
