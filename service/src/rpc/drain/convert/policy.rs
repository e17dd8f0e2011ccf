//! Policies.

use std::num::NonZeroU32;
use std::time::Duration;

use nodeward_api::v1;
use nodeward_api::v1::pod_rule::Behavior;

use super::choice::{Choice, choose};
use super::{count, duration};
use crate::drain::{BudgetOverride, DrainPolicy, PodRule, PodRuleSelector, RuleBehavior};
use crate::node::Violations;
use crate::node::selector::LabelSelector;

/// The longest that `google.protobuf.Duration` can say: 10,000 years.
pub(super) const LONGEST_SECONDS: i64 = 315_576_000_000;

/// The most bytes of a policy as it is stored: it is shown with each operation, in lists too.
const MOST_BYTES: usize = 64 * 1024;

/// The policy of a request's field `policy`. All that is wrong is noted by the paths of the fields.
pub(in crate::rpc) fn parse_policy(policy: Option<&v1::DrainPolicy>) -> Result<DrainPolicy, Violations> {
    let Some(policy) = policy else { return Ok(DrainPolicy::default()) };
    let mut found = Violations::default();
    let parsed = from_contract(policy, &mut found);
    if found.0.is_empty() {
        found.take(parsed.check());
        check_size(&parsed, &mut found);
    }
    for violation in &mut found.0 {
        let field = &violation.field;
        violation.field = if field.is_empty() { "policy".to_owned() } else { format!("policy.{field}") };
    }
    found.or(parsed)
}

/// The policy with all that was unset as it counts.
pub(in crate::rpc) fn policy(policy: &DrainPolicy) -> v1::DrainPolicy {
    let overrides = policy.budget_overrides.iter().map(|it| v1::BudgetOverride {
        namespace: it.namespace.clone(),
        budget: it.name.clone(),
        reason: it.reason.clone(),
    });
    v1::DrainPolicy {
        unmanaged_pods: policy.unmanaged_pods.number(),
        daemon_set_pods: policy.daemon_set_pods.number(),
        orphaned_daemon_set_pods: policy.orphaned_daemon_set_pods.number(),
        empty_dir_data: policy.empty_dir_data.number(),
        removal: policy.removal.number(),
        budget_overrides: overrides.collect(),
        pod_selector: policy.pod_selector.to_string(),
        grace_period: policy.grace_period_seconds.map(|seconds| duration(Duration::from_secs(seconds.into()))),
        deadline: policy.deadline.map(duration),
        at_deadline: policy.at_deadline.number(),
        leave_terminating_after: policy.leave_terminating_after.map(duration),
        parallelism: policy.parallelism.map_or(0, |most| count(most.get())),
        ordering: policy.ordering.number(),
        rules: policy.rules.iter().map(rule).collect(),
        unreachable_node: policy.unreachable_node.number(),
        on_uncordon: policy.on_uncordon.number(),
        volumes: policy.volumes.number(),
    }
}

fn rule(rule: &PodRule) -> v1::PodRule {
    let (behavior, order) = match rule.drain {
        RuleBehavior::Drain { order } => (Behavior::Drain, order),
        RuleBehavior::Skip => (Behavior::Skip, 0),
        RuleBehavior::WaitCompleted => (Behavior::WaitCompleted, 0),
    };
    let pods = rule.pods.iter().map(|selector| v1::PodSelector {
        labels: selector.selector.to_string(),
        namespace_labels: selector.namespace_selector.to_string(),
    });
    v1::PodRule { rule: rule.name.clone(), pods: pods.collect(), behavior: behavior.into(), order }
}

fn from_contract(policy: &v1::DrainPolicy, found: &mut Violations) -> DrainPolicy {
    let overrides = policy.budget_overrides.iter().map(|it| BudgetOverride {
        namespace: it.namespace.clone(),
        name: it.budget.clone(),
        reason: it.reason.clone(),
    });
    DrainPolicy {
        unmanaged_pods: choose(policy.unmanaged_pods, "unmanaged_pods", found),
        daemon_set_pods: choose(policy.daemon_set_pods, "daemon_set_pods", found),
        orphaned_daemon_set_pods: choose(policy.orphaned_daemon_set_pods, "orphaned_daemon_set_pods", found),
        empty_dir_data: choose(policy.empty_dir_data, "empty_dir_data", found),
        removal: choose(policy.removal, "removal", found),
        budget_overrides: overrides.collect(),
        pod_selector: parse_selector(&policy.pod_selector, "pod_selector", found),
        grace_period_seconds: parse_grace(policy.grace_period.as_ref(), found),
        deadline: parse_deadline(policy.deadline.as_ref(), found),
        at_deadline: choose(policy.at_deadline, "at_deadline", found),
        leave_terminating_after: policy
            .leave_terminating_after
            .as_ref()
            .and_then(|after| parse_duration(after, "leave_terminating_after", found)),
        parallelism: parse_parallelism(policy.parallelism, found),
        ordering: choose(policy.ordering, "ordering", found),
        rules: policy.rules.iter().enumerate().filter_map(|(index, rule)| parse_rule(index, rule, found)).collect(),
        unreachable_node: choose(policy.unreachable_node, "unreachable_node", found),
        on_uncordon: choose(policy.on_uncordon, "on_uncordon", found),
        volumes: choose(policy.volumes, "volumes", found),
    }
}

fn parse_rule(index: usize, rule: &v1::PodRule, found: &mut Violations) -> Option<PodRule> {
    let field = format!("rules[{index}]");
    let behavior = match Behavior::try_from(rule.behavior) {
        Ok(Behavior::Drain) => Some(RuleBehavior::Drain { order: rule.order }),
        Ok(Behavior::Skip) => Some(RuleBehavior::Skip),
        Ok(Behavior::WaitCompleted) => Some(RuleBehavior::WaitCompleted),
        Ok(Behavior::Unspecified) | Err(_) => None,
    };
    match behavior {
        None => found.add(format!("{field}.behavior"), "must be DRAIN, SKIP or WAIT_COMPLETED"),
        Some(RuleBehavior::Drain { .. }) => {}
        Some(_) if rule.order != 0 => {
            found.add(format!("{field}.order"), "is only for pods that are removed: leave it out, or let them DRAIN");
        }
        Some(_) => {}
    }
    let pods = rule.pods.iter().enumerate().map(|(at, selector)| PodRuleSelector {
        selector: parse_selector(&selector.labels, &format!("{field}.pods[{at}].labels"), found),
        namespace_selector: parse_selector(
            &selector.namespace_labels,
            &format!("{field}.pods[{at}].namespace_labels"),
            found,
        ),
    });
    let pods = pods.collect();
    Some(PodRule { name: rule.rule.clone(), pods, drain: behavior? })
}

fn parse_selector(text: &str, field: &str, found: &mut Violations) -> LabelSelector {
    found.take(LabelSelector::parse(text).map_err(|error| error.violation(field))).unwrap_or_default()
}

fn parse_grace(grace: Option<&prost_types::Duration>, found: &mut Violations) -> Option<u32> {
    let grace = parse_duration(grace?, "grace_period", found)?;
    let whole = u32::try_from(grace.as_secs()).ok().filter(|_| grace.subsec_nanos() == 0);
    if whole.is_none() {
        found.add("grace_period", format!("must be whole seconds, at most {}", u32::MAX));
    }
    whole
}

fn parse_deadline(deadline: Option<&prost_types::Duration>, found: &mut Violations) -> Option<Duration> {
    let deadline = parse_duration(deadline?, "deadline", found)?;
    if deadline < Duration::from_secs(1) {
        found.add("deadline", "must be at least 1 s; leave it out to wait without end");
    }
    Some(deadline)
}

fn parse_duration(duration: &prost_types::Duration, field: &str, found: &mut Violations) -> Option<Duration> {
    let seconds = u64::try_from(duration.seconds).ok().filter(|_| duration.seconds <= LONGEST_SECONDS);
    let nanos = u32::try_from(duration.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let parsed = seconds.zip(nanos).map(|(seconds, nanos)| Duration::new(seconds, nanos));
    if parsed.is_none() {
        found.add(field, "must be a duration that is not negative, with nanos from 0 to 999999999");
    }
    parsed
}

fn parse_parallelism(most: i32, found: &mut Violations) -> Option<NonZeroU32> {
    if most < 0 {
        found.add("parallelism", "must not be negative; 0 is as many as budgets and order allow");
    }
    u32::try_from(most).ok().and_then(NonZeroU32::new)
}

fn check_size(policy: &DrainPolicy, found: &mut Violations) {
    let bytes = serde_json::to_vec(policy).map_or(usize::MAX, |stored| stored.len());
    if bytes > MOST_BYTES {
        found
            .add("", format!("takes {bytes} bytes, and at most {MOST_BYTES} are possible: use fewer or shorter rules"));
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
