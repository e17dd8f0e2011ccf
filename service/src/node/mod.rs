//! What a node is: its conversion to the contract, its state, filters, field masks and tokens.
//!
//! Everything here is a pure function of its arguments: no tonic, no I/O.

pub mod quantity;
pub mod state;
mod violation;

pub use violation::{Violation, Violations};
