//! The policy that flags and a file ask for.

use std::path::Path;

use nodeward_client::api::drain_policy::{
    AtDeadline as ProtoAtDeadline, DaemonSetPods, EmptyDirData, OnUncordon as ProtoOnUncordon,
    Ordering as ProtoOrdering, OrphanedDaemonSetPods, Removal, UnmanagedPods, UnreachableNode, Volumes as ProtoVolumes,
};
use nodeward_client::api::{BudgetOverride, DrainPolicy};
use prost_types::Duration;

use crate::args::{AtDeadline, OnUncordon, Ordering, PolicyArgs, Unreachable, Volumes};
use crate::failure::Failure;
use crate::input;
use crate::output::{Kind, parsed_message};

/// The policy: the file's or kubectl's, and what flags say instead.
pub fn policy(args: &PolicyArgs) -> Result<DrainPolicy, Failure> {
    let mut policy = match &args.policy {
        Some(path) => from_file(path)?,
        None => of_kubectl(),
    };
    set_kinds(&mut policy, args);
    set_times(&mut policy, args);
    set_rest(&mut policy, args);
    for text in &args.override_budgets {
        policy.budget_overrides.push(budget_override(text)?);
    }
    Ok(policy)
}

/// What kubectl does without flags.
fn of_kubectl() -> DrainPolicy {
    DrainPolicy {
        unmanaged_pods: UnmanagedPods::Refuse.into(),
        daemon_set_pods: DaemonSetPods::Refuse.into(),
        orphaned_daemon_set_pods: OrphanedDaemonSetPods::Refuse.into(),
        empty_dir_data: EmptyDirData::Refuse.into(),
        removal: Removal::Evict.into(),
        ordering: ProtoOrdering::AllAtOnce.into(),
        ..DrainPolicy::default()
    }
}

fn from_file(path: &Path) -> Result<DrainPolicy, Failure> {
    let source = path.display().to_string();
    let mut documents = input::documents(&input::read(path)?, &source)?;
    match (documents.pop(), documents.is_empty()) {
        // An empty file is the careful policy.
        (None, _) => Ok(DrainPolicy::default()),
        (Some(document), true) => parsed_message(document, Kind::DrainPolicy)
            .map_err(|problem| Failure::Input(format!("{source} is no DrainPolicy: {problem}"))),
        (Some(_), false) => {
            Err(Failure::Input(format!("{source} holds several documents, and a drain has one policy")))
        }
    }
}

/// Which pods go, and how.
fn set_kinds(policy: &mut DrainPolicy, args: &PolicyArgs) {
    if let Some(force) = args.force {
        policy.unmanaged_pods = if force { UnmanagedPods::Drain } else { UnmanagedPods::Refuse }.into();
        policy.orphaned_daemon_set_pods =
            if force { OrphanedDaemonSetPods::Drain } else { OrphanedDaemonSetPods::Refuse }.into();
    }
    if let Some(ignore) = args.ignore_daemonsets {
        policy.daemon_set_pods = if ignore { DaemonSetPods::Leave } else { DaemonSetPods::Refuse }.into();
    }
    if let Some(delete) = args.delete_emptydir_data {
        policy.empty_dir_data = if delete { EmptyDirData::Delete } else { EmptyDirData::Refuse }.into();
    }
    if let Some(disable) = args.disable_eviction {
        policy.removal = if disable { Removal::Delete } else { Removal::Evict }.into();
    }
    if let Some(selector) = &args.pod_selector {
        policy.pod_selector.clone_from(selector);
    }
}

/// For how long. kubectl's values for "unset" unset what a file says.
fn set_times(policy: &mut DrainPolicy, args: &PolicyArgs) {
    let seconds = |seconds| Duration { seconds, nanos: 0 };
    if let Some(grace_period) = args.grace_period {
        policy.grace_period = (grace_period >= 0).then(|| seconds(grace_period));
    }
    if let Some(deadline) = args.deadline {
        policy.deadline = deadline.0.and_then(|deadline| deadline.try_into().ok());
    }
    if let Some(after) = args.skip_wait_for_delete_timeout {
        policy.leave_terminating_after = (after > 0).then(|| seconds(after.into()));
    }
}

/// What kubectl has no flags for.
fn set_rest(policy: &mut DrainPolicy, args: &PolicyArgs) {
    if let Some(at_deadline) = args.at_deadline {
        policy.at_deadline = match at_deadline {
            AtDeadline::Fail => ProtoAtDeadline::Fail,
            AtDeadline::Delete => ProtoAtDeadline::Delete,
        }
        .into();
    }
    if let Some(parallelism) = args.parallelism {
        policy.parallelism = parallelism.into();
    }
    if let Some(ordering) = args.ordering {
        policy.ordering = match ordering {
            Ordering::ByTier => ProtoOrdering::ByTier,
            Ordering::AllAtOnce => ProtoOrdering::AllAtOnce,
        }
        .into();
    }
    if let Some(on_uncordon) = args.on_uncordon {
        policy.on_uncordon = match on_uncordon {
            OnUncordon::CordonAgain => ProtoOnUncordon::CordonAgain,
            OnUncordon::Pause => ProtoOnUncordon::Pause,
            OnUncordon::Cancel => ProtoOnUncordon::Cancel,
        }
        .into();
    }
    if let Some(unreachable) = args.unreachable {
        policy.unreachable_node = match unreachable {
            Unreachable::Wait => UnreachableNode::Wait,
            Unreachable::LeaveTerminating => UnreachableNode::LeaveTerminating,
        }
        .into();
    }
    if let Some(volumes) = args.volumes {
        policy.volumes = match volumes {
            Volumes::Ignore => ProtoVolumes::Ignore,
            Volumes::WaitDetached => ProtoVolumes::WaitDetached,
        }
        .into();
    }
}

fn budget_override(text: &str) -> Result<BudgetOverride, Failure> {
    let parts = text.split_once('=').and_then(|(name, reason)| Some((name.split_once('/')?, reason)));
    match parts {
        Some(((namespace, budget), reason)) if ![namespace, budget, reason.trim()].contains(&"") => {
            let [namespace, budget, reason] = [namespace, budget, reason].map(str::to_owned);
            Ok(BudgetOverride { namespace, budget, reason })
        }
        _ => Err(Failure::usage(format!("--override-budget {text:?} is not NAMESPACE/NAME=REASON"))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::connection::Timeout;

    fn with_file(text: &str, mut args: PolicyArgs) -> Result<DrainPolicy, Failure> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        args.policy = Some(file.path().to_owned());
        policy(&args)
    }

    #[test]
    fn without_flags_it_is_kubectls() {
        assert_eq!(policy(&PolicyArgs::default()).unwrap(), of_kubectl());
    }

    #[test]
    fn an_empty_file_is_the_careful_policy() {
        assert_eq!(with_file("", PolicyArgs::default()).unwrap(), DrainPolicy::default());
        assert_eq!(with_file("{}", PolicyArgs::default()).unwrap(), DrainPolicy::default());
    }

    #[test]
    fn a_flag_overrides_the_file() {
        let text = "emptyDirData: EMPTY_DIR_DATA_DELETE\ngracePeriod: 30s\ndeadline: 600s\nparallelism: 3\n";
        let args = PolicyArgs {
            delete_emptydir_data: Some(false),
            grace_period: Some(-1),
            deadline: Some(Timeout(None)),
            ..PolicyArgs::default()
        };
        let expected =
            DrainPolicy { empty_dir_data: EmptyDirData::Refuse.into(), parallelism: 3, ..DrainPolicy::default() };
        assert_eq!(with_file(text, args).unwrap(), expected);
    }

    #[test]
    fn a_field_that_is_not_known_is_a_mistake() {
        let Err(Failure::Input(message)) = with_file("parallelisms: 3", PolicyArgs::default()) else {
            panic!("accepted")
        };
        assert!(message.contains("parallelisms"), "{message}");
    }

    #[test]
    fn a_budget_is_overridden_with_a_reason() {
        let args = PolicyArgs { override_budgets: vec!["shop/web=moves=away".into()], ..PolicyArgs::default() };
        let budget = policy(&args).unwrap().budget_overrides.remove(0);
        assert_eq!(
            budget,
            BudgetOverride { namespace: "shop".into(), budget: "web".into(), reason: "moves=away".into() }
        );
        for text in ["web=x", "shop/web", "shop/web=", "/web=x", "shop/web= "] {
            assert!(budget_override(text).is_err(), "{text:?}");
        }
    }
}
