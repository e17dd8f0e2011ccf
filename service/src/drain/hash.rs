//! What tells whether two plans would do the same.
//!
//! A hash is SHA-256 over a canonical form: the words `nodeward drain plan 1`, the uid of the node, the policy as it is stored,
//! and each pod that is removed, waited for or refuses, in the order of the plan, with its uid, action, order, tier and the
//! budgets that cover it. All of that is JSON, so that no two different forms are the same bytes.
//!
//! Not in it is what changes by itself while what the drain does stays the same: the numbers of budgets, rounds, room elsewhere,
//! times, and pods that are left as they are (pods of DaemonSets come and go). A pod that is no longer left is in it.

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Action, DrainPolicy, PodPlan, Tier};

/// Names the canonical form. Whoever changes the form changes the number.
const FORM: &str = "nodeward drain plan 1";

/// Tells whether two plans would do the same. It is written in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlanHash(String);

impl PlanHash {
    /// The hash as text: 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Serialize)]
struct Canonical<'a> {
    form: &'static str,
    node_uid: &'a str,
    policy: &'a DrainPolicy,
    pods: Vec<CanonicalPod<'a>>,
}

#[derive(Serialize)]
struct CanonicalPod<'a> {
    uid: &'a str,
    action: &'static str,
    order: i32,
    tier: &'static str,
    budgets: Vec<(&'a str, &'a str)>,
}

/// The hash of a plan with these parts.
pub(super) fn hash(node_uid: &str, policy: &DrainPolicy, pods: &[PodPlan]) -> PlanHash {
    let acting = pods.iter().filter(|pod| pod.verdict.action != Action::Skip);
    let canonical = Canonical { form: FORM, node_uid, policy, pods: acting.map(canonical).collect() };
    let bytes = serde_json::to_vec(&canonical).expect("texts and numbers have a form in JSON");
    PlanHash(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn canonical(pod: &PodPlan) -> CanonicalPod<'_> {
    CanonicalPod {
        uid: &pod.facts.reference.uid,
        action: pod.verdict.action.canonical(),
        order: pod.verdict.order,
        tier: match pod.verdict.tier {
            Tier::Ordinary => "Ordinary",
            Tier::OrdinaryDaemonSet => "OrdinaryDaemonSet",
            Tier::Critical => "Critical",
            Tier::CriticalDaemonSet => "CriticalDaemonSet",
        },
        budgets: pod.budgets.covering.iter().map(|it| (it.namespace.as_str(), it.name.as_str())).collect(),
    }
}
