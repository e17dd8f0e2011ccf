//! What a pod is: who controls it, how it stands, how long it may take to go, what it requests.
//!
//! Everything here is a pure function of the Pod object: no tonic, no I/O, no clock. Drains decide by it, and descriptions of
//! nodes report it. What the fields mean is decided by Kubernetes; each function says by which part of it.

mod amount;
mod controller;
mod facts;
mod grace;
mod record;
mod reference;
pub mod resources;
mod shared;

#[cfg(test)]
pub(crate) mod example;

pub use amount::Amount;
pub use controller::Controller;
pub use facts::{Phase, PodFacts, Terminating, is_ready};
pub use grace::{DEFAULT_GRACE_SECONDS, grace_seconds};
pub use record::{InCommon, Labels, PodKind, PodRecord};
pub use reference::PodReference;
pub use resources::Resources;
