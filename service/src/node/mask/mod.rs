//! Read masks, and what has changed between two versions of a node. Both work on encoded nodes: nothing is decoded.
//!
//! A mask is parsed once, against the descriptor of the contract, into a tree that tells for each field number whether it
//! is kept. Reads copy the bytes of what is kept; watches compare them where they are. No bytes make this room panic: what
//! follows the first byte that is not protobuf is not seen.
//!
//! Encoded nodes are compared as bytes. That is a comparison of nodes as long as both were encoded by this program, whose
//! encoding is deterministic.

mod changes;
mod keep;
mod path;
mod project;
mod resolve;
mod schema;
mod wire;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::LazyLock;

use prost_types::FieldMask;

use super::Violations;
use keep::Keep;

pub(in crate::node) use path::{Segment, join_key, parse as parse_path};
pub(in crate::node) use resolve::MAX_BYTES as MAX_PATH_BYTES;

/// The most paths in a mask.
pub(in crate::node) const MAX_PATHS: usize = 128;

/// What a watch without a mask is not told of when nothing else changes with it (watch.proto).
const HEARTBEAT_PATHS: [&str; 4] =
    ["etag", "metadata.resource_version", "metadata.managed_fields", "status.conditions.*.last_heartbeat_time"];

/// All fields but those that change with each heartbeat.
static WITHOUT_HEARTBEATS: LazyLock<Keep> = LazyLock::new(|| {
    let mut keep = Keep::All;
    for steps in HEARTBEAT_PATHS.into_iter().filter_map(|path| resolve::resolve(path).ok()) {
        keep.exclude(&steps);
    }
    keep
});

/// Which fields of a node a caller wants to see.
///
/// Two masks are equal if they show the same, however they were spelled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadMask {
    keep: Keep,
    /// The canonical paths, sorted. Empty if the caller gave no mask.
    paths: Vec<String>,
}

impl ReadMask {
    /// No mask: all fields.
    pub fn everything() -> Self {
        Self { keep: Keep::All, paths: Vec::new() }
    }

    /// Parses the mask of a request. Without paths it is [`ReadMask::everything`]; `*` shows everything too, but is
    /// explicit (see [`ReadMask::shows_change`]).
    ///
    /// # Errors
    /// Violations of `field`: one for each path that leads nowhere, with the fields that exist there, or one if there are
    /// too many paths.
    pub fn parse(mask: &FieldMask, field: &str) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        if mask.paths.is_empty() {
            return Ok(Self::everything());
        }
        if mask.paths.len() > MAX_PATHS {
            violations.add(field, format!("has {} paths: send at most {MAX_PATHS}", mask.paths.len()));
            return Err(violations);
        }
        let mut keep = Keep::Nothing;
        for path in &mask.paths {
            if path == "*" {
                keep.include(&[]);
                continue;
            }
            match resolve::resolve(path) {
                Ok(steps) => keep.include(&steps),
                Err(problem) => violations.add(field, problem),
            }
        }
        keep.simplify();
        let paths = canonical_paths(&keep);
        violations.or(Self { keep, paths })
    }

    /// Whether all fields are shown.
    pub fn is_everything(&self) -> bool {
        self.keep == Keep::All
    }

    /// The canonical paths, sorted: equal masks have equal paths. Empty without a mask, `*` for an explicit mask of
    /// everything.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// The encoded node with nothing but what the mask names. A message on the way to a named field stays, perhaps empty.
    pub fn project(&self, node: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(if self.is_everything() { node.len() } else { node.len().min(512) });
        project::project(&self.keep, node, &mut out);
        out
    }

    /// Whether a watch with this mask is told of this change of a node.
    ///
    /// With a mask: whether anything that it names changed. Without one: whether anything but the traces of a heartbeat
    /// changed, which are `etag`, `metadata.resource_version`, `metadata.managed_fields` and the heartbeat times of
    /// conditions.
    pub fn shows_change(&self, before: &[u8], after: &[u8]) -> bool {
        let keep = if self.paths.is_empty() { &*WITHOUT_HEARTBEATS } else { &self.keep };
        !project::same(keep, before, after)
    }

    /// The sorted paths of the fields that the mask shows and in which two encoded nodes differ; see [`changed_paths`].
    pub fn changed_paths(&self, before: &[u8], after: &[u8]) -> Vec<String> {
        if self.is_everything() {
            return changed_paths(before, after);
        }
        changed_paths(&self.project(before), &self.project(after))
    }
}

/// The canonical paths, separated by commas, for fingerprints and logs.
impl fmt::Display for ReadMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.paths.join(","))
    }
}

/// The sorted paths of the fields in which two encoded nodes differ, for example `spec.unschedulable` or
/// `metadata.labels.team`.
///
/// Lists are named whole, but conditions by their types (`status.conditions.Ready`); maps by their keys, and the values of
/// maps whole. Timestamps are named whole.
pub fn changed_paths(before: &[u8], after: &[u8]) -> Vec<String> {
    let mut paths = Vec::new();
    changes::add_changes(schema::root(), "", before, after, &mut paths);
    paths.sort_unstable();
    paths.dedup();
    paths
}

fn canonical_paths(keep: &Keep) -> Vec<String> {
    if *keep == Keep::All {
        return vec!["*".to_owned()];
    }
    let mut paths = Vec::new();
    keep.add_paths(Some(schema::root()), "", &mut paths);
    paths.sort_unstable();
    paths
}
