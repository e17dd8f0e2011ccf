//! What speaks for what is done with a pod.

use nodeward_api::v1;
use nodeward_api::v1::pod_reason::{Effect as ContractEffect, Kind};

use crate::drain::{DecidedBy, Effect, Finding, Reason, Verdict};

/// All reasons of a verdict, the decisive one first.
pub(super) fn reasons(verdict: &Verdict) -> Vec<v1::PodReason> {
    let kinds = decisive(&verdict.decided_by);
    let is_decisive = |finding: &&Finding| kinds == Some(kind(&finding.reason)) && finding.effect > Effect::Note;
    let first = verdict.findings.iter().position(|finding| is_decisive(&finding));
    let mut order: Vec<usize> = (0..verdict.findings.len()).collect();
    order.sort_by_key(|index| Some(*index) != first);
    order.into_iter().filter_map(|index| verdict.findings.get(index)).map(reason).collect()
}

fn reason(finding: &Finding) -> v1::PodReason {
    let effect = match finding.effect {
        Effect::Note => ContractEffect::Note,
        Effect::Warn => ContractEffect::Warn,
        Effect::Skip => ContractEffect::Skip,
        Effect::Wait => ContractEffect::Wait,
        Effect::Refuse => ContractEffect::Refuse,
    };
    v1::PodReason { kind: kind(&finding.reason).into(), effect: effect.into(), message: finding.reason.to_string() }
}

fn kind(reason: &Reason) -> Kind {
    match reason {
        Reason::NotSelected { .. } => Kind::NotSelected,
        Reason::LeftTerminating { .. } => Kind::LeftTerminating,
        Reason::Terminating { .. } => Kind::Terminating,
        Reason::DaemonSet { .. } => Kind::DaemonSet,
        Reason::OrphanedDaemonSet { .. } => Kind::OrphanedDaemonSet,
        Reason::Mirror => Kind::Mirror,
        Reason::DrainLabel { .. } => Kind::DrainLabel,
        Reason::UnknownDrainLabel { .. } => Kind::UnknownDrainLabel,
        Reason::Rule { .. } => Kind::Rule,
        Reason::NamespaceUnknown { .. } => Kind::NamespaceUnknown,
        Reason::EmptyDir { .. } => Kind::EmptyDir,
        Reason::Unmanaged => Kind::Unmanaged,
        Reason::Managed { .. } => Kind::Managed,
        Reason::Finished { .. } => Kind::Finished,
        Reason::Critical { .. } => Kind::Critical,
        Reason::BudgetOverridden { .. } => Kind::BudgetOverridden,
        Reason::BudgetNotAsked { .. } => Kind::BudgetNotAsked,
    }
}

/// The kind of the reason that decided. None if none in particular did.
fn decisive(by: &DecidedBy) -> Option<Kind> {
    Some(match by {
        DecidedBy::PodSelector => Kind::NotSelected,
        DecidedBy::LeaveTerminating => Kind::LeftTerminating,
        DecidedBy::DaemonSetPods => Kind::DaemonSet,
        DecidedBy::OrphanedDaemonSetPods => Kind::OrphanedDaemonSet,
        DecidedBy::MirrorPod => Kind::Mirror,
        DecidedBy::DrainLabel => Kind::DrainLabel,
        DecidedBy::Rule { .. } => Kind::Rule,
        DecidedBy::NamespaceUnknown => Kind::NamespaceUnknown,
        DecidedBy::EmptyDirData => Kind::EmptyDir,
        DecidedBy::UnmanagedPods => Kind::Unmanaged,
        DecidedBy::BudgetOverrides => Kind::BudgetOverridden,
        DecidedBy::Removal => return None,
    })
}
