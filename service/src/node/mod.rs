//! What a node is: its conversion to the contract, its state, filters, field masks and tokens.
//!
//! Everything here is a pure function of its arguments: no tonic, no I/O.

pub mod claim;
pub mod convert;
mod etag;
pub mod filter;
pub mod mask;
mod name;
mod parse_error;
pub mod quantity;
pub mod query;
pub mod selector;
pub mod state;
pub mod syntax;
pub mod taint;
pub mod token;
pub mod update;
mod violation;

#[cfg(test)]
pub(crate) mod arbitrary;

pub use etag::{parse_etag, set_etag};
pub use name::NodeName;
pub use parse_error::ParseError;
pub use violation::{Violation, Violations};

/// The prefix of the annotations that nodeward keeps for itself: no caller changes them.
pub const OWN_PREFIX: &str = "nodeward.dev/";
