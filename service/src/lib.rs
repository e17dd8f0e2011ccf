//! The nodeward server: carries out the RPCs of `nodeward.v1` as Kubernetes calls.

pub mod node;
pub mod telemetry;
