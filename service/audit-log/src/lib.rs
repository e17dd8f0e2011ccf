//! A tamper-evident, append-only log of JSON records, in a directory of files.
//!
//! It promises:
//!
//! - **What was acknowledged is there.** [`AuditLog::append`] returns once the record is durable, and after whatever
//!   crash it is in the log. What was refused is not in the log, unless the disk would not even have it cut off, and the
//!   process ended then.
//! - **A full, failing or read-only disk refuses records and loses none**, and the log goes on by itself once it can.
//! - **Records have the order in which they were appended**, each with a sequence number, none left out.
//! - **Whoever changes, removes, moves, repeats or inserts something is found out** by the [`Verifier`], which says where.
//!   What nobody can see from the log alone is that its end was cut off, or that all of it was put back to an older state:
//!   that takes a checkpoint kept elsewhere, which [`AuditLog::checkpoints`] hands out.
//! - **A log that is not whole is never gone on with or begun anew.** [`AuditLog::open`] refuses it, and says where it is
//!   broken. The one thing that it mends is the unfinished, never acknowledged end that a crash leaves, and the log says so.
//! - **Readers hold up nobody.** They read the files, and no queue grows behind a slow one.
//!
//! The format, and what an attacker can still do, are described in `docs/audit-log.md`. This crate knows neither gRPC nor
//! Kubernetes, and nothing of what the records say.

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod faulty_disk;

mod back_lines;
mod bisect;
mod checkpoint;
mod disk;
mod entry;
mod error;
mod follow;
mod hash;
mod key;
mod lines;
mod log;
mod open;
mod options;
mod problem;
mod prune;
mod reader;
mod record;
mod rules;
mod scan;
mod segment;
mod tail;
mod verify;
mod worker;

pub use checkpoint::Checkpoint;
pub use entry::{Body, Entry, FORMAT_VERSION, Header, MAX_LINE_BYTES, MAX_RECORD_BYTES, Prune, Repair, Seal};
pub use error::{AppendError, Damage, IoFault, OpenError};
pub use follow::Follower;
pub use hash::{LineHash, ParseError, Position};
pub use key::{KeyError, PublicKey, Signature, SigningKey};
pub use log::AuditLog;
pub use options::{Options, Retention};
pub use problem::{Place, Problem, What, Witness};
pub use prune::Pruned;
pub use reader::{Entries, EntriesBack, ReadError, Reader};
pub use record::{Record, RecordError};
pub use verify::{Expected, Repaired, Report, Verifier};
pub use worker::Health;
