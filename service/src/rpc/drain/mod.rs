//! DrainService: plans of drains, and drains.

#[allow(dead_code, unused_imports, reason = "its users come next")]
pub(in crate::rpc) mod convert;
