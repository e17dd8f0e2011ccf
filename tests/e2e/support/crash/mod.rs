//! Drains that go on whatever happens to whoever carries them out, and those who watch them: the apiserver's own account of
//! what was asked of it, a watch of the pods, and a watch of the operation. None of them asks nodeward anything.

mod account;
mod ground;
mod held;
mod held_node;
mod replica;
mod site;
mod story;
mod witness;

pub use account::{Asked, asked};
pub use ground::{Ground, seed, shared_ground, times};
pub use held::{Course, Held};
pub use held_node::HeldNode;
pub use replica::Replica;
pub use site::{Ended, Site, deployment, drain, healthy, label};
pub use story::{Story, assert_coherent};
pub use witness::Witness;
