//! Durable operations: what takes longer than a call, and must go on whatever happens to the server or to its caller.
//!
//! An operation is a custom resource, `NodeOperation`. Its spec says what is to be done, in whose name and why, and is
//! written when it is asked for; its status says how far it has come, and is written by the one server that carries it out.
//! All else is derived from the cluster as it is: a server that takes an operation over needs nothing that another one
//! knew.

mod cordon;
mod drainer;
mod ending;
mod executor;
mod filter;
mod forget;
mod happening;
mod journal;
mod options;
mod queue;
mod record;
mod removals;
mod sight;
mod status;
#[cfg(test)]
mod testing;
mod trail;
mod turn;

pub use executor::Executor;
pub use filter::OperationFilter;
pub use options::OperationOptions;
pub use record::{
    Cancel, Cordon, CordonState, Drain, NODE_UID_LABEL, NodeIdentity, NodeOperation, OperationFailure, OperationSpec,
    OperationStatus, Requester, State,
};
