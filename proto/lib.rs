//! The contract of nodeward.
