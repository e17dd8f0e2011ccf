//! What a node is: its conversion to the contract, its state, filters, field masks and tokens.
//!
//! Everything here is a pure function of its arguments: no tonic, no I/O.

pub mod convert;
pub mod mask;
mod name;
pub mod quantity;
pub mod state;
pub mod syntax;
pub mod taint;
pub mod update;
mod violation;

#[cfg(test)]
mod arbitrary;

pub use name::NodeName;
pub use violation::{Violation, Violations};
