//! What goes with a change, and what comes back from it.

use std::time::SystemTime;

use uuid::Uuid;

use crate::api::PropagationPolicy;
use crate::api::patch_node_request::{PatchType, Subresource};
use crate::error::Error;

/// What all changes have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Makes the change safe to send again: a UUID. One is made if it is none.
    pub request_id: Option<String>,
    /// Change the node only if it is still at this version.
    pub etag: Option<String>,
    /// Check the request and show the result, but change nothing.
    pub validate_only: bool,
    /// Why, for the trace and the record of the change.
    pub reason: String,
}

impl Change {
    /// A change with a reason.
    pub fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::default() }
    }

    /// The change only if the node is still at this version.
    pub fn if_etag(mut self, etag: impl Into<String>) -> Self {
        self.etag = Some(etag.into());
        self
    }

    /// The change only checked, and its result shown.
    pub fn dry_run(mut self) -> Self {
        self.validate_only = true;
        self
    }

    /// The change with the caller's own request id.
    pub fn with_request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = Some(request_id.into());
        self
    }

    /// The parts of the change, with a request id made once: it stays the same over all attempts.
    pub(crate) fn identified(self) -> Identified {
        let Self { request_id, etag, validate_only, reason } = self;
        let request_id = request_id.unwrap_or_else(|| Uuid::new_v4().to_string());
        Identified { request_id, etag: etag.unwrap_or_default(), validate_only, reason }
    }

    /// As [`identified`](Self::identified), for a request that has no etag.
    pub(crate) fn identified_without_etag(self) -> Result<Identified, Error> {
        match self.etag {
            Some(_) => Err(Error::invalid("a node that does not exist yet has no etag")),
            None => Ok(self.identified()),
        }
    }
}

/// A change that has its request id, in the form of the requests.
#[derive(Clone, Debug)]
pub(crate) struct Identified {
    pub(crate) request_id: String,
    pub(crate) etag: String,
    pub(crate) validate_only: bool,
    pub(crate) reason: String,
}

/// What a change resulted in.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed<T> {
    /// The answer: most often the node as it is now.
    pub value: T,
    /// The request id that the change was sent with.
    pub request_id: String,
    /// The trace of the change.
    pub trace_id: Option<String>,
}

/// A patch in one of Kubernetes' formats, in Kubernetes' own field names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The format.
    pub format: PatchType,
    /// The patch as JSON.
    pub json: String,
    /// What is patched: the node itself (`Unspecified`) or its status.
    pub subresource: Subresource,
    /// The name under which Kubernetes notes who set the fields. Required for an apply patch.
    pub field_manager: String,
    /// Take over the fields of other managers. Only for an apply patch.
    pub force: bool,
}

impl Patch {
    /// A list of operations (RFC 6902).
    pub fn json(json: impl Into<String>) -> Self {
        Self::new(PatchType::Json, json)
    }

    /// A partial object whose lists replace those of the node (RFC 7386).
    pub fn merge(json: impl Into<String>) -> Self {
        Self::new(PatchType::Merge, json)
    }

    /// A partial object whose lists are merged as Kubernetes defines it.
    pub fn strategic_merge(json: impl Into<String>) -> Self {
        Self::new(PatchType::StrategicMerge, json)
    }

    /// A partial object whose fields belong to the manager from now on: server-side apply.
    pub fn apply(json: impl Into<String>, field_manager: impl Into<String>) -> Self {
        Self { field_manager: field_manager.into(), ..Self::new(PatchType::Apply, json) }
    }

    /// The same patch, of the node's status.
    pub fn of_status(mut self) -> Self {
        self.subresource = Subresource::Status;
        self
    }

    fn new(format: PatchType, json: impl Into<String>) -> Self {
        let (subresource, field_manager) = (Subresource::Unspecified, String::new());
        Self { format, json: json.into(), subresource, field_manager, force: false }
    }
}

/// How a node is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Succeed also if there is no such node.
    pub allow_missing: bool,
    /// What happens to the objects that the node owns.
    pub propagation_policy: PropagationPolicy,
}

/// For whom a node is cordoned, and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CordonOptions {
    /// For whom, for example a team or a job. The caller if it is empty.
    pub owner: String,
    /// Until when. Without it: until it is uncordoned.
    pub expire_time: Option<SystemTime>,
}

/// Whose claim on a node's cordon is taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UncordonOptions {
    /// Whose. The caller's if it is empty.
    pub owner: String,
    /// Take back all claims, also those of others.
    pub take_over: bool,
}

/// Which nodes are deleted together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The filter, as in [`ListOptions`](crate::ListOptions).
    pub filter: String,
    /// The label selector. A node must match both.
    pub label_selector: String,
    /// How many nodes must match: none is deleted if it is another number.
    pub expected_count: i32,
    /// What happens to the objects that the nodes own.
    pub propagation_policy: PropagationPolicy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_made_if_the_caller_gave_none() {
        let made = Change::default().identified().request_id;
        assert_eq!(Uuid::parse_str(&made).unwrap().get_version_num(), 4);
    }

    #[test]
    fn the_callers_request_id_is_kept() {
        assert_eq!(Change::default().with_request_id("mine").identified().request_id, "mine");
    }

    #[test]
    fn a_creation_with_an_etag_is_refused() {
        assert!(Change::default().if_etag("\"1\"").identified_without_etag().is_err());
    }
}
