//! What the audit log does, one behaviour in each test. The files are in the order in which one gets to know it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod append;
mod docs;
mod follow;
mod open;
mod properties;
mod read;
mod rotate;
mod support;
mod verify;
