//! What makes a policy no policy, although each of its fields is one: names that are missing or doubled, numbers without
//! meaning, more than a stored operation can hold.

use std::collections::BTreeSet;

use super::{AtDeadline, DrainPolicy};
use crate::node::Violations;

/// The most rules of a policy, and the most overrides of budgets.
pub const MAX_ENTRIES: usize = 100;

/// The most selectors of a rule, as in Cluster API's MachineDrainRules.
pub const MAX_SELECTORS: usize = 32;

/// The most characters of a rule's name and of an override's reason.
pub const MAX_TEXT: usize = 1024;

impl DrainPolicy {
    /// All that is wrong with the policy, by the names that the contract has for its fields: `budget_overrides[0].reason`.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), Violations> {
        let mut found = Violations::default();
        self.check_times(&mut found);
        self.check_overrides(&mut found);
        self.check_rules(&mut found);
        found.or(())
    }

    fn check_times(&self, found: &mut Violations) {
        if self.deadline.is_some_and(|deadline| deadline.is_zero()) {
            found.add("deadline", "is over before the drain begins: give it time, or leave it out to wait without end");
        }
        if self.deadline.is_none() && self.at_deadline == AtDeadline::Delete {
            found.add("at_deadline", "deletes pods at a deadline, but there is none: set `deadline`");
        }
    }

    fn check_overrides(&self, found: &mut Violations) {
        check_count(found, "budget_overrides", self.budget_overrides.len(), MAX_ENTRIES);
        let mut seen = BTreeSet::new();
        for (index, it) in self.budget_overrides.iter().enumerate() {
            let field = format!("budget_overrides[{index}]");
            for (name, text) in [("namespace", &it.namespace), ("budget", &it.name), ("reason", &it.reason)] {
                check_text(found, &format!("{field}.{name}"), text);
            }
            if !seen.insert((&it.namespace, &it.name)) {
                found.add(field, format!("overrides {}/{} a second time: say it once", it.namespace, it.name));
            }
        }
    }

    fn check_rules(&self, found: &mut Violations) {
        check_count(found, "rules", self.rules.len(), MAX_ENTRIES);
        let mut seen = BTreeSet::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let name = format!("rules[{index}].rule");
            check_text(found, &name, &rule.name);
            if !seen.insert(&rule.name) {
                found.add(name, format!("{} is the name of two rules: a plan could not say which decided", rule.name));
            }
            check_count(found, &format!("rules[{index}].pods"), rule.pods.len(), MAX_SELECTORS);
        }
    }
}

fn check_text(found: &mut Violations, field: &str, text: &str) {
    if text.trim().is_empty() {
        found.add(field, "must not be empty");
    } else if text.chars().count() > MAX_TEXT {
        found.add(field, format!("has more than {MAX_TEXT} characters"));
    }
}

fn check_count(found: &mut Violations, field: &str, count: usize, most: usize) {
    if count > most {
        found.add(field, format!("has {count} entries, and at most {most} are possible"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{BudgetOverride, PodRule, RuleBehavior};
    use super::*;

    fn fields(policy: &DrainPolicy) -> Vec<String> {
        let Err(violations) = policy.check() else { return Vec::new() };
        violations.0.into_iter().map(|violation| violation.field).collect()
    }

    fn rule(name: &str) -> PodRule {
        PodRule { name: name.into(), pods: Vec::new(), drain: RuleBehavior::Skip }
    }

    fn budget_override(name: &str, reason: &str) -> BudgetOverride {
        BudgetOverride { namespace: "shop".into(), name: name.into(), reason: reason.into() }
    }

    #[test]
    fn the_default_policy_is_one() {
        assert_eq!(DrainPolicy::default().check(), Ok(()));
    }

    #[test]
    fn an_override_needs_a_reason_and_comes_once() {
        let budget_overrides =
            vec![budget_override("web", "agreed"), budget_override("db", " "), budget_override("web", "x")];
        let policy = DrainPolicy { budget_overrides, ..DrainPolicy::default() };
        assert_eq!(fields(&policy), ["budget_overrides[1].reason", "budget_overrides[2]"]);
    }

    #[test]
    fn rules_have_names_of_their_own() {
        let policy = DrainPolicy { rules: vec![rule("a"), rule("a"), rule("")], ..DrainPolicy::default() };
        assert_eq!(fields(&policy), ["rules[1].rule", "rules[2].rule"]);
    }

    #[test]
    fn a_deadline_is_a_time_to_come() {
        let none = DrainPolicy { at_deadline: AtDeadline::Delete, ..DrainPolicy::default() };
        assert_eq!(fields(&none), ["at_deadline"]);
        let zero = DrainPolicy { deadline: Some(Duration::ZERO), ..DrainPolicy::default() };
        assert_eq!(fields(&zero), ["deadline"]);
    }

    #[test]
    fn a_policy_has_an_end() {
        let rules = (0..=MAX_ENTRIES).map(|index| rule(&index.to_string())).collect();
        let mut policy = DrainPolicy { rules, ..DrainPolicy::default() };
        policy.rules[0].name = "x".repeat(MAX_TEXT + 1);
        policy.rules[1].pods = vec![Default::default(); MAX_SELECTORS + 1];
        assert_eq!(fields(&policy), ["rules", "rules[0].rule", "rules[1].pods"]);
    }
}
