//! What the requests have in common: deadlines, and the fields of every change.

use std::time::Duration;

use nodeward_api::google::longrunning::DeleteOperationRequest;
use nodeward_api::v1;
use prost::Message;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use uuid::Uuid;

use crate::access::Session;
use crate::audit::AuditCall;
use crate::caller::Caller;
use crate::cluster::WritesAs;
use crate::cluster::mutate::{Digest, Mutation, Request};
use crate::error::Error;
use crate::grpc_timeout;
use crate::node::{Violation, Violations, parse_etag};

/// The deadline of a call whose client set none.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// Longer than this nobody waits for a unary call.
const LONGEST_DEADLINE: Duration = Duration::from_secs(600);

/// The entries of a page, if a list does not say how many.
const DEFAULT_PAGE: usize = 500;

/// The most that a page may have.
const LARGEST_PAGE: usize = 1000;

/// The longest reason, in characters.
const LONGEST_REASON: usize = 1024;

/// The fields that all changes have.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) request_id: String,
    etag: String,
    pub(super) validate_only: bool,
    pub(super) reason: String,
    /// The name of the node that is to change, without `nodes/`. Empty if the request names none, or many.
    pub(super) node: String,
    /// The name of the operation that is to change, without `operations/`. Empty if the request names none.
    pub(super) operation: String,
    /// The encoded request without its id: what the id stands for.
    content: Vec<u8>,
}

/// A request of an RPC that changes something.
pub(super) trait Change: Message + Clone + Default {
    /// The name of the RPC.
    const METHOD: &'static str;

    /// The fields that all changes have.
    fn common(&self) -> Common;
}

macro_rules! changes {
    ($($method:literal => $request:ident, $node:expr $(, $etag:ident)?;)*) => {$(
        impl Change for v1::$request {
            const METHOD: &'static str = $method;

            fn common(&self) -> Common {
                let node: fn(&Self) -> &str = $node;
                let content = Self { request_id: String::new(), ..self.clone() }.encode_to_vec();
                #[allow(unused_mut)] // not all have an etag
                let mut common = Common {
                    request_id: self.request_id.clone(),
                    etag: String::new(),
                    validate_only: self.validate_only,
                    reason: self.reason.clone(),
                    node: node(self).trim_start_matches("nodes/").to_owned(),
                    operation: String::new(),
                    content,
                };
                $(common.$etag.clone_from(&self.$etag);)?
                common
            }
        }
    )*};
}

fn name_in(node: &Option<v1::Node>) -> &str {
    node.as_ref().map(|node| node.name.as_str()).unwrap_or_default()
}

changes! {
    "CreateNode" => CreateNodeRequest, |request| &request.node_id;
    "UpdateNode" => UpdateNodeRequest, |request| name_in(&request.node), etag;
    "UpdateNodeStatus" => UpdateNodeStatusRequest, |request| name_in(&request.node), etag;
    "PatchNode" => PatchNodeRequest, |request| &request.name, etag;
    "DeleteNode" => DeleteNodeRequest, |request| &request.name, etag;
    // The etag of a DeleteNodesRequest is that of a set of nodes, which no single node can be compared with.
    "DeleteNodes" => DeleteNodesRequest, |_| "";
    "CordonNode" => CordonNodeRequest, |request| &request.name, etag;
    "UncordonNode" => UncordonNodeRequest, |request| &request.name, etag;
    "DrainNode" => DrainNodeRequest, |request| &request.name, etag;
}

impl Change for v1::CancelOperationRequest {
    const METHOD: &'static str = "CancelOperation";

    fn common(&self) -> Common {
        Common {
            request_id: self.request_id.clone(),
            etag: self.etag.clone(),
            validate_only: self.validate_only,
            reason: self.reason.clone(),
            node: String::new(),
            operation: self.name.trim_start_matches("operations/").to_owned(),
            content: Self { request_id: String::new(), ..self.clone() }.encode_to_vec(),
        }
    }
}

/// It is Google's, and has none of the fields that all changes have here.
impl Change for DeleteOperationRequest {
    const METHOD: &'static str = "DeleteOperation";

    fn common(&self) -> Common {
        let [request_id, etag, reason, node] = [(); 4].map(|()| String::new());
        let operation = self.name.trim_start_matches("operations/").to_owned();
        Common { request_id, etag, validate_only: false, reason, node, operation, content: self.encode_to_vec() }
    }
}

/// The mutation that a request asks for. All that is wrong with its common fields is added to `violations`.
pub(super) fn mutation<R: Change>(
    caller: Caller,
    writes_as: WritesAs,
    common: Common,
    metadata: &MetadataMap,
    audit_id: Uuid,
    violations: &mut Violations,
) -> Mutation {
    let Common { request_id, etag, validate_only, reason, node: _, operation: _, content } = common;
    let etag = parse_etag(&etag).unwrap_or_else(|violation| {
        violations.0.push(violation);
        None
    });
    let id = parse_request_id(&request_id, violations);
    if reason.chars().count() > LONGEST_REASON {
        violations.add("reason", format!("must have at most {LONGEST_REASON} characters"));
    }
    let request = id.map(|id| Request { id, digest: Digest::of(R::METHOD, caller.username(), &content) });
    let deadline = deadline(metadata);
    Mutation { caller, writes_as, method: R::METHOD, request, etag, validate_only, reason, audit_id, deadline }
}

fn parse_request_id(text: &str, violations: &mut Violations) -> Option<Uuid> {
    if text.is_empty() {
        return None;
    }
    match Uuid::try_parse(text) {
        Ok(id) if !id.is_nil() => Some(id),
        _ => {
            let example = "for example 123e4567-e89b-42d3-a456-426614174000";
            violations.add("request_id", format!("must be empty or a UUID, {example}"));
            None
        }
    }
}

/// Who is calling.
pub(super) fn session<T>(request: &tonic::Request<T>) -> Result<Session, Error> {
    // Without the layer that finds it out, nobody gets in.
    let missing = || Error::Internal { detail: "nobody has asked who is calling".to_owned() };
    request.extensions().get::<Session>().cloned().ok_or_else(missing)
}

/// The records of the call.
pub(super) fn audit_call<T>(request: &tonic::Request<T>) -> Result<AuditCall, Error> {
    let missing = || Error::Internal { detail: "nobody keeps records of this call".to_owned() };
    request.extensions().get::<AuditCall>().cloned().ok_or_else(missing)
}

/// By when the call must be answered: a little before the client's own deadline, so that our answer, which says what was
/// being done, is the one that it gets.
pub(super) fn deadline(metadata: &MetadataMap) -> Instant {
    let timeout = grpc_timeout::of(metadata.as_ref());
    let timeout = timeout.map(|timeout| timeout - (timeout / 20).min(Duration::from_millis(20)));
    Instant::now() + timeout.unwrap_or(DEFAULT_DEADLINE).min(LONGEST_DEADLINE)
}

/// How many entries a page has at most, by what a list asks for.
pub(super) fn page_size(size: i32) -> Result<usize, Violation> {
    match usize::try_from(size) {
        Ok(0) => Ok(DEFAULT_PAGE),
        Ok(size) => Ok(size.min(LARGEST_PAGE)),
        Err(_) => Err(Violation::new("page_size", "must not be negative; 0 lets the server choose")),
    }
}

/// Puts the paths of what Kubernetes found wrong under the field of the request that they are about.
pub(super) fn in_field(field: &str) -> impl Fn(Error) -> Error + '_ {
    move |error| match error {
        Error::Invalid(mut violations) => {
            for violation in &mut violations.0 {
                let is_named = ["", field, "etag", "request_id", "update_mask"].contains(&violation.field.as_str())
                    || violation.field.starts_with(&format!("{field}."));
                if violation.field.is_empty() {
                    violation.field = field.to_owned();
                } else if !is_named {
                    violation.field = format!("{field}.{}", violation.field);
                }
            }
            Error::Invalid(violations)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutation_of<R: Change>(request: &R, violations: &mut Violations) -> Mutation {
        let (common, metadata) = (request.common(), MetadataMap::new());
        mutation::<R>(Caller::Server, WritesAs::Caller, common, &metadata, Uuid::nil(), violations)
    }

    #[test]
    fn the_same_request_with_another_id_has_the_same_digest() {
        let digest = |id: &str, reason: &str| {
            let request = v1::CordonNodeRequest {
                name: "nodes/a".into(),
                request_id: id.into(),
                reason: reason.into(),
                ..Default::default()
            };
            let mutation = mutation_of(&request, &mut Violations::default());
            mutation.request.unwrap().digest
        };
        let [a, b] = ["123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-42d3-a456-426614174001"];
        assert_eq!(digest(a, "x"), digest(b, "x"));
        assert_ne!(digest(a, "x"), digest(a, "y"));
    }

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        let request = v1::CordonNodeRequest {
            request_id: "not a uuid".into(),
            etag: "42".into(),
            reason: "x".repeat(1025),
            ..Default::default()
        };
        let mut violations = Violations::default();
        mutation_of(&request, &mut violations);
        let fields: Vec<&str> = violations.0.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["etag", "request_id", "reason"]);
    }

    #[test]
    fn kubernetes_paths_are_put_under_the_requests_field() {
        let error = in_field("node")(Violation::new("spec.taints[0].effect", "x").into());
        let Error::Invalid(violations) = error else { panic!("{error}") };
        assert_eq!(violations.0[0].field, "node.spec.taints[0].effect");
    }

    #[test]
    fn the_size_of_a_page_is_bounded() {
        assert_eq!(page_size(0), Ok(DEFAULT_PAGE));
        assert_eq!(page_size(i32::MAX), Ok(LARGEST_PAGE));
        assert!(page_size(-1).is_err());
    }
}
