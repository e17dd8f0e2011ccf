//! Between the drains of the domain and those of the contract.

mod blocker;
mod choice;
mod plan;
mod pod;
mod policy;
mod reason;

pub(in crate::rpc) use blocker::blocker;
pub(in crate::rpc) use plan::plan;
pub(in crate::rpc) use pod::{action, pod_reference};
pub(in crate::rpc) use policy::{parse_policy, policy};

/// A number of the contract, which knows none without a sign.
fn count(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

/// A duration of the contract. What is longer than it can say is the longest that it can.
fn duration(duration: std::time::Duration) -> prost_types::Duration {
    let longest = prost_types::Duration { seconds: policy::LONGEST_SECONDS, nanos: 0 };
    let within = i64::try_from(duration.as_secs()).ok().filter(|seconds| *seconds < policy::LONGEST_SECONDS);
    let nanos = i32::try_from(duration.subsec_nanos()).unwrap_or(0);
    within.map_or(longest, |seconds| prost_types::Duration { seconds, nanos })
}
