//! `kubectl drain`'s flags as a policy.

use std::time::Duration;

use super::{DaemonSetPods, DrainPolicy, EmptyDirData, OrphanedDaemonSetPods, PodOrdering, Removal, UnmanagedPods};
use crate::node::selector::LabelSelector;

/// The flags of `kubectl drain` that are about pods, by their names. The default ones are kubectl's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubectlFlags {
    /// `--force`: remove pods that nobody replaces.
    pub force: bool,
    /// `--ignore-daemonsets`: leave pods of DaemonSets instead of refusing.
    pub ignore_daemonsets: bool,
    /// `--delete-emptydir-data`: lose what is in `emptyDir` volumes.
    pub delete_emptydir_data: bool,
    /// `--grace-period`, in seconds. Negative: the pods' own.
    pub grace_period: i32,
    /// `--timeout`. Zero: none.
    pub timeout: Duration,
    /// `--pod-selector`.
    pub pod_selector: LabelSelector,
    /// `--disable-eviction`: delete, whatever budgets say.
    pub disable_eviction: bool,
    /// `--skip-wait-for-delete-timeout`, in seconds. Zero: pods are waited for.
    pub skip_wait_for_delete_timeout: u32,
}

impl Default for KubectlFlags {
    fn default() -> Self {
        Self {
            force: false,
            ignore_daemonsets: false,
            delete_emptydir_data: false,
            grace_period: -1,
            timeout: Duration::ZERO,
            pod_selector: LabelSelector::default(),
            disable_eviction: false,
            skip_wait_for_delete_timeout: 0,
        }
    }
}

impl DrainPolicy {
    /// What `kubectl drain` does with these flags: all pods at once, as many as budgets allow.
    ///
    /// Pods that say of themselves that they are to be skipped or waited for are still heeded; kubectl does not know the label.
    pub fn kubectl(flags: &KubectlFlags) -> Self {
        let leave_after = Duration::from_secs(flags.skip_wait_for_delete_timeout.into());
        Self {
            unmanaged_pods: if flags.force { UnmanagedPods::Drain } else { UnmanagedPods::Refuse },
            daemon_set_pods: if flags.ignore_daemonsets { DaemonSetPods::Leave } else { DaemonSetPods::Refuse },
            orphaned_daemon_set_pods: match flags.force {
                true => OrphanedDaemonSetPods::Drain,
                false => OrphanedDaemonSetPods::Refuse,
            },
            empty_dir_data: if flags.delete_emptydir_data { EmptyDirData::Delete } else { EmptyDirData::Refuse },
            removal: if flags.disable_eviction { Removal::Delete } else { Removal::Evict },
            pod_selector: flags.pod_selector.clone(),
            grace_period_seconds: u32::try_from(flags.grace_period).ok(),
            deadline: Some(flags.timeout).filter(|timeout| !timeout.is_zero()),
            leave_terminating_after: Some(leave_after).filter(|after| !after.is_zero()),
            ordering: PodOrdering::AllAtOnce,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_flags_kubectl_refuses_what_the_default_leaves() {
        let policy = DrainPolicy::kubectl(&KubectlFlags::default());
        let expected = DrainPolicy {
            daemon_set_pods: DaemonSetPods::Refuse,
            ordering: PodOrdering::AllAtOnce,
            ..DrainPolicy::default()
        };
        assert_eq!(policy, expected);
    }

    #[test]
    fn force_is_about_two_kinds_of_pods() {
        let policy = DrainPolicy::kubectl(&KubectlFlags { force: true, ..KubectlFlags::default() });
        assert_eq!(policy.unmanaged_pods, UnmanagedPods::Drain);
        assert_eq!(policy.orphaned_daemon_set_pods, OrphanedDaemonSetPods::Drain);
        assert_eq!(policy.empty_dir_data, EmptyDirData::Refuse);
    }

    #[test]
    fn zero_means_none_except_for_the_grace_period() {
        let policy = DrainPolicy::kubectl(&KubectlFlags { grace_period: 0, ..KubectlFlags::default() });
        assert_eq!(policy.grace_period_seconds, Some(0));
        assert_eq!(policy.deadline, None);
        assert_eq!(policy.leave_terminating_after, None);
    }

    #[test]
    fn times_are_taken_over() {
        let flags = KubectlFlags {
            grace_period: 900,
            timeout: Duration::from_secs(60),
            skip_wait_for_delete_timeout: 20,
            ..KubectlFlags::default()
        };
        let policy = DrainPolicy::kubectl(&flags);
        assert_eq!(policy.grace_period_seconds, Some(900));
        assert_eq!(policy.deadline, Some(Duration::from_secs(60)));
        assert_eq!(policy.leave_terminating_after, Some(Duration::from_secs(20)));
    }
}
