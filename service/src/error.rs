//! What can go wrong, in nodeward's own terms: one closed enum, made from Kubernetes' answers in `cluster::fault` and
//! turned into a `google.rpc.Status` in `rpc::status`, and nowhere else.

use std::time::Duration;

use crate::node::claim::ClaimError;
use crate::node::taint::ControllerOwnedTaint;
use crate::node::{Violation, Violations};

/// Why an RPC could not be carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Fields of the request can't be accepted.
    #[error("the request is invalid: {0}")]
    Invalid(#[from] Violations),
    /// The page token is not one of a request with the same filter, selector and order.
    #[error("the page token does not belong to this request")]
    InvalidPageToken,
    /// The resume token is not one of a watch with the same filter, selector and mask.
    #[error("the resume token does not belong to this watch")]
    InvalidResumeToken,
    /// The request is larger than its RPC takes.
    #[error("the request is larger than {limit} bytes")]
    MessageTooLarge {
        /// The size of the largest.
        limit: usize,
    },
    /// The changes since the token are no longer known.
    #[error("too much has happened since the resume token was given")]
    ResumeTokenExpired,
    /// The caller has not shown who they are.
    #[error("the caller is not known: {detail}")]
    Unauthenticated {
        /// What is wrong with what they have shown.
        detail: String,
    },
    /// The caller may be known, but more is asked than the server asks Kubernetes for strangers.
    #[error("too many tokens are shown that nobody knows: yours was not looked at")]
    AuthenticationOverloaded {
        /// Which limit it is: `questions` at a time, or `failures` of the caller's network.
        limit: &'static str,
        /// When to try again.
        retry_after: Duration,
    },
    /// The caller may not do this. Whether what it is about exists is not told.
    #[error("the caller may not {permission}")]
    AccessDenied {
        /// The right that is missing, for example `patch nodes`.
        permission: String,
    },
    /// The caller sends more than one user may.
    #[error("too many {class} of {user:?}: {allowed} are allowed")]
    RateLimited {
        /// The user name.
        user: String,
        /// What there is too much of: `reads`, `watches` or `mutations`.
        class: &'static str,
        /// Which limit it is: `rate` or `concurrency`.
        limit: &'static str,
        /// What the limit is, for example `50 at a time`.
        allowed: String,
        /// When to try again: to the nanosecond for a rate; what a call in progress still takes is not known.
        retry_after: Duration,
    },
    /// All callers together send more than the server can do.
    #[error("the server is overloaded: it takes no more {class} for now")]
    Overloaded {
        /// What it takes no more of: `reads`, `watches` or `mutations`.
        class: &'static str,
        /// Which limit it is: `calls` or `streams`.
        limit: &'static str,
        /// When to try again.
        retry_after: Duration,
    },
    /// As many creations and deletions are remembered as may be. Without a request id, there is nothing to remember.
    #[error("{allowed} creations and deletions with request ids are remembered already, which is as many as may be")]
    LedgerFull {
        /// The user name.
        user: String,
        /// Whose limit it is: the `user`'s, or that of the whole `server`.
        limit: &'static str,
        /// How many there may be.
        allowed: u32,
        /// When the oldest is forgotten.
        retry_after: Duration,
    },
    /// There is no such node.
    #[error("node {node:?} does not exist")]
    NotFound {
        /// Its name, without `nodes/`.
        node: String,
    },
    /// There is no such operation.
    #[error("operation {operation:?} does not exist")]
    OperationNotFound {
        /// Its name, without `operations/`.
        operation: String,
    },
    /// The operation has not ended, and so can't be deleted.
    #[error("operation {operation:?} has not ended: it is {state}")]
    OperationNotDone {
        /// Its name, without `operations/`.
        operation: String,
        /// How far it has come, for example `RUNNING`.
        state: &'static str,
    },
    /// A node of that name exists.
    #[error("node {node:?} exists already")]
    AlreadyExists {
        /// Its name, without `nodes/`.
        node: String,
    },
    /// The node, or the set of nodes, is no longer what the caller's etag stands for.
    #[error("{what} is no longer at etag {expected}")]
    EtagMismatch {
        /// What the etag was of: `node "worker-1"` or `the set of matching nodes`.
        what: String,
        /// The etag of the request.
        expected: String,
        /// The etag now.
        current: String,
    },
    /// Others kept changing the node for as long as the server tried.
    #[error("node {node:?} was changed by others at the same time")]
    Conflict {
        /// Its name.
        node: String,
    },
    /// Server-side apply without force met fields that belong to other managers.
    #[error("fields of node {node:?} belong to other managers: {fields} ({managers})")]
    FieldConflict {
        /// Its name.
        node: String,
        /// The fields, as Kubernetes writes them.
        fields: String,
        /// Who owns them, in Kubernetes' words.
        managers: String,
    },
    /// A `test` operation of a JSON patch did not hold.
    #[error("the patch's test did not hold: {detail}")]
    PatchTestFailed {
        /// Which operation.
        detail: String,
    },
    /// The change is about a taint that a controller would at once put back or take away.
    #[error("taint {key:?} belongs to {controller}: {advice}")]
    ControllerOwnedTaint {
        /// The taint's key.
        key: String,
        /// Who owns it.
        controller: String,
        /// What to do instead.
        advice: String,
    },
    /// The request id was used by another request.
    #[error("request id {request_id} was used by another request ({method})")]
    RequestIdConflict {
        /// The id.
        request_id: String,
        /// The RPC that used it.
        method: String,
    },
    /// Another number of nodes matches than the caller expected. None was deleted.
    #[error("{actual} nodes match, {expected} were expected")]
    CountMismatch {
        /// What the caller expected.
        expected: usize,
        /// How many match.
        actual: usize,
    },
    /// A claim on the node's cordon can't be made or taken back.
    #[error("{refusal} (node {node:?})")]
    Claim {
        /// Its name.
        node: String,
        /// Why not.
        refusal: ClaimError,
    },
    /// Some nodes of a collection could not be deleted.
    #[error("{deleted} nodes were deleted, {} were not: {}", failed.len(), failed.join("; "))]
    PartiallyDeleted {
        /// How many were deleted.
        deleted: usize,
        /// The others, each with the reason.
        failed: Vec<String>,
    },
    /// The policy refuses pods of the node. None was touched.
    #[error("the policy refuses to drain node {node:?}: {} (and {} more)", first(refusals), refusals.len().saturating_sub(1))]
    DrainRefused {
        /// Its name.
        node: String,
        /// Each pod, with a reason.
        refusals: Vec<(String, String)>,
        /// How many pods they are.
        pods: usize,
    },
    /// The node is being drained already.
    #[error("node {node:?} is being drained by {operation}")]
    OperationInProgress {
        /// Its name.
        node: String,
        /// The operation, with `operations/`.
        operation: String,
    },
    /// A drain would not do what was planned.
    #[error("draining node {node:?} would not do now what the plan says")]
    PlanChanged {
        /// Its name.
        node: String,
        /// The hash of the plan as it is now.
        plan_hash: String,
    },
    /// The cluster does not know the resource in which operations are kept.
    #[error("the cluster has no resource nodeoperations.nodeward.dev")]
    OperationsUnavailable,
    /// Kubernetes refused: its RBAC, an admission plugin or a webhook. They can't be told apart without reading the text.
    #[error("Kubernetes refused the request: {message}")]
    Denied {
        /// Kubernetes' words.
        message: String,
    },
    /// `validate_only` met a webhook that can't do dry runs.
    #[error("the request can't be validated without carrying it out: {message}")]
    ValidationUnsupported {
        /// Kubernetes' words.
        message: String,
    },
    /// The apiserver asked to slow down.
    #[error("Kubernetes is throttling requests")]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// The apiserver could not be reached or failed. Whether a change was carried out is not known.
    #[error("Kubernetes can't be reached: {detail}")]
    Unreachable {
        /// What happened.
        detail: String,
    },
    /// The issuer of the caller's token does not tell its keys, so that it is not known whose the token is.
    #[error("the token's issuer can't be reached: {detail}")]
    IssuerUnreachable {
        /// What happened.
        detail: String,
    },
    /// The record of a change could not be written, so that it was not made.
    #[error("the audit record can't be written: {detail}")]
    AuditUnavailable {
        /// What happened.
        detail: String,
    },
    /// The server keeps no audit log that could be read.
    #[error("this server keeps no audit log")]
    NoAuditLog,
    /// The token is of another audit log, or of a later state of this one.
    #[error("the token is of another audit log than this server's, or of a later state of it")]
    AuditLogMismatch,
    /// The audit log is damaged, or can't be read.
    #[error("the audit log can't be read: {detail}")]
    AuditLogUnreadable {
        /// What happened.
        detail: String,
    },
    /// The caches are not filled yet.
    #[error("the server has not read the cluster's state yet")]
    NotReady,
    /// The cache has not come to the version that the caller wants to see.
    #[error("the cache has come to version {reached}, and not to {wanted} yet")]
    CacheBehind {
        /// The resource version up to which it knows all.
        reached: u64,
        /// The one that is wanted.
        wanted: u64,
    },
    /// The server is stopping, or gives up the connection.
    #[error("the server ends this connection: connect again")]
    ShuttingDown,
    /// The deadline passed. Whether a change was carried out is not known.
    #[error("the deadline passed while {stage}")]
    DeadlineExceeded {
        /// What was being done.
        stage: &'static str,
    },
    /// A bug, here or in Kubernetes.
    #[error("internal error: {detail}")]
    Internal {
        /// What happened.
        detail: String,
    },
}

impl Error {
    /// Whether nothing was done, for certain: Kubernetes or nodeward refused.
    pub fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::Unreachable { .. }
                | Self::DeadlineExceeded { .. }
                | Self::Internal { .. }
                | Self::PartiallyDeleted { .. }
        )
    }

    /// The machine-readable reason of `google.rpc.ErrorInfo`; docs/errors.md lists them all.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "INVALID_FIELD",
            Self::InvalidPageToken => "INVALID_PAGE_TOKEN",
            Self::InvalidResumeToken => "INVALID_RESUME_TOKEN",
            Self::MessageTooLarge { .. } => "MESSAGE_TOO_LARGE",
            Self::ResumeTokenExpired => "RESUME_TOKEN_EXPIRED",
            Self::Unauthenticated { .. } => "CREDENTIALS_INVALID",
            Self::AuthenticationOverloaded { .. } => "AUTHENTICATION_OVERLOADED",
            Self::AccessDenied { .. } => "ACCESS_DENIED",
            Self::RateLimited { .. } => "RATE_LIMITED",
            Self::Overloaded { .. } => "OVERLOADED",
            Self::LedgerFull { .. } => "REQUEST_LEDGER_FULL",
            Self::NotFound { .. } => "NODE_NOT_FOUND",
            Self::OperationNotFound { .. } => "OPERATION_NOT_FOUND",
            Self::OperationNotDone { .. } => "OPERATION_NOT_DONE",
            Self::OperationsUnavailable => "OPERATIONS_UNAVAILABLE",
            Self::AlreadyExists { .. } => "NODE_ALREADY_EXISTS",
            Self::EtagMismatch { .. } => "ETAG_MISMATCH",
            Self::Conflict { .. } => "CONFLICT",
            Self::FieldConflict { .. } => "FIELD_CONFLICT",
            Self::PatchTestFailed { .. } => "PATCH_TEST_FAILED",
            Self::ControllerOwnedTaint { .. } => "CONTROLLER_OWNED_TAINT",
            Self::RequestIdConflict { .. } => "REQUEST_ID_CONFLICT",
            Self::CountMismatch { .. } => "COUNT_MISMATCH",
            Self::Claim { refusal: ClaimError::OfOthers(_), .. } => "CORDONED_BY_OTHERS",
            Self::Claim { refusal: ClaimError::TooMany, .. } => "TOO_MANY_CLAIMS",
            Self::PartiallyDeleted { .. } => "PARTIALLY_DELETED",
            Self::DrainRefused { .. } => "DRAIN_REFUSED",
            Self::OperationInProgress { .. } => "OPERATION_IN_PROGRESS",
            Self::PlanChanged { .. } => "PLAN_CHANGED",
            Self::Denied { .. } => "CLUSTER_DENIED",
            Self::ValidationUnsupported { .. } => "VALIDATION_UNSUPPORTED",
            Self::Throttled { .. } => "CLUSTER_THROTTLED",
            Self::Unreachable { .. } => "CLUSTER_UNREACHABLE",
            Self::IssuerUnreachable { .. } => "ISSUER_UNREACHABLE",
            Self::AuditUnavailable { .. } => "AUDIT_UNAVAILABLE",
            Self::NoAuditLog => "NO_AUDIT_LOG",
            Self::AuditLogMismatch => "AUDIT_LOG_MISMATCH",
            Self::AuditLogUnreadable { .. } => "AUDIT_LOG_UNREADABLE",
            Self::NotReady => "NOT_READY",
            Self::CacheBehind { .. } => "CACHE_BEHIND",
            Self::ShuttingDown => "DRAINING",
            Self::DeadlineExceeded { .. } => "DEADLINE_EXCEEDED",
            Self::Internal { .. } => "INTERNAL",
        }
    }
}

fn first(refusals: &[(String, String)]) -> String {
    refusals.first().map(|(pod, reason)| format!("{pod}: {reason}")).unwrap_or_default()
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Invalid(violation.into())
    }
}

impl From<ControllerOwnedTaint> for Error {
    fn from(taint: ControllerOwnedTaint) -> Self {
        let ControllerOwnedTaint { key, controller, advice } = taint;
        Self::ControllerOwnedTaint { key, controller: controller.to_owned(), advice: advice.to_owned() }
    }
}
