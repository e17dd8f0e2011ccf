//! The choices of a policy and those of the contract, which have one more: to say nothing, which is the default.

use nodeward_api::v1::drain_policy as contract;

use crate::drain::{
    AtDeadline, DaemonSetPods, EmptyDirData, OnUncordon, OrphanedDaemonSetPods, PodOrdering, PodVolumes, Removal,
    UnmanagedPods, UnreachableNode,
};
use crate::node::Violations;

/// A choice of a policy.
pub(super) trait Choice: Sized {
    /// What a number of the contract says. None if it says nothing that this version knows.
    fn of(number: i32) -> Option<Self>;

    /// Its number in the contract.
    fn number(self) -> i32;
}

macro_rules! choices {
    ($($choice:ident, $contract:ident: $($name:ident),+;)*) => {$(
        impl Choice for $choice {
            fn of(number: i32) -> Option<Self> {
                Some(match contract::$contract::try_from(number).ok()? {
                    contract::$contract::Unspecified => Self::default(),
                    $(contract::$contract::$name => Self::$name,)+
                })
            }

            fn number(self) -> i32 {
                match self {
                    $(Self::$name => contract::$contract::$name.into(),)+
                }
            }
        }
    )*};
}

choices! {
    UnmanagedPods, UnmanagedPods: Refuse, Drain;
    DaemonSetPods, DaemonSetPods: Leave, Refuse, Drain;
    OrphanedDaemonSetPods, OrphanedDaemonSetPods: Refuse, Drain;
    EmptyDirData, EmptyDirData: Refuse, Delete;
    Removal, Removal: Evict, Delete;
    AtDeadline, AtDeadline: Fail, Delete;
    PodOrdering, Ordering: ByTier, AllAtOnce;
    UnreachableNode, UnreachableNode: Wait, LeaveTerminating;
    OnUncordon, OnUncordon: CordonAgain, Pause, Cancel;
    PodVolumes, Volumes: Ignore, WaitDetached;
}

/// What a field of a request says. What it does not say is noted, and the default then stands in its place.
pub(super) fn choose<C: Choice + Default>(number: i32, field: &str, violations: &mut Violations) -> C {
    C::of(number).unwrap_or_else(|| {
        violations.add(field, format!("{number} is none of its values"));
        C::default()
    })
}
