//! Patches that callers send, in Kubernetes' four formats.
//!
//! What a patch would make of the protected parts of the node is told before it is sent: JSON patches and merges are
//! carried out here first, an apply is weighed against what its manager owns. Only strategic merges with directives are
//! Kubernetes' to work out: those are sent as a dry run first, under the same resource version.

mod apply;
mod body;
mod json;
mod typed;

use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use serde_json::{Map, Value, json};

use self::body::{keep_own_annotations, metadata, refuse_own_annotations};
use self::typed::Typed;
use super::create::Created;
use super::decide::{Change, Sent};
use super::guard::Protected;
use super::{Changed, FIELD_MANAGER, Mutation, Mutator, Subresource, guard, record};
use crate::cluster::fault;
use crate::error::Error;
use crate::node::Violation;

pub(super) use self::body::{lock, remember};

/// A patch that a caller sends.
#[derive(Clone, Debug)]
pub struct NodePatch {
    /// Its format and body.
    pub format: PatchFormat,
    /// What it patches.
    pub subresource: Subresource,
    /// The field manager, if the caller names one.
    pub manager: Option<String>,
    /// Whether an apply may create the node, as far as that is for nodeward to say.
    pub may_create: bool,
}

/// Kubernetes' patch formats. Bodies are objects in Kubernetes' own field names.
#[derive(Clone, Debug)]
pub enum PatchFormat {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7386.
    Merge(Map<String, Value>),
    /// Kubernetes' strategic merge.
    StrategicMerge(Map<String, Value>),
    /// Server-side apply.
    Apply {
        /// The configuration to apply.
        body: Map<String, Value>,
        /// Whether to take over fields of other managers.
        force: bool,
    },
}

impl Mutator {
    /// Applies a caller's patch to a node.
    pub async fn patch(&self, mutation: &Mutation, name: &str, patch: &NodePatch) -> Result<Changed, Error> {
        self.change(mutation, name, &CallersPatch { name, patch }).await
    }
}

/// A patch that may be sent for the node as it is.
struct Prepared {
    body: Patch<Value>,
    /// Whether it names known fields only, so that Kubernetes can read it.
    is_known: bool,
    /// Whether only Kubernetes can tell what becomes of the protected parts.
    try_first: bool,
}

struct CallersPatch<'a> {
    name: &'a str,
    patch: &'a NodePatch,
}

impl Change for CallersPatch<'_> {
    type Write = Prepared;

    /// An apply removes what its manager owns and leaves out.
    fn needs_managed_fields(&self) -> bool {
        matches!(self.patch.format, PatchFormat::Apply { .. })
    }

    fn decide(&self, mutation: &Mutation, current: Option<&Node>) -> Result<Option<Prepared>, Error> {
        let prepared = match (&self.patch.format, current) {
            (PatchFormat::Apply { body, .. }, current) => {
                // An etag is that of a node that there was.
                if current.is_none() && mutation.etag.is_some() {
                    return Err(self.not_found());
                }
                if current.is_none() && !self.patch.may_create {
                    return Err(Error::AccessDenied { permission: "create nodes".to_owned() });
                }
                apply::prepare(self.patch, body, mutation, self.name, current)?
            }
            (_, None) => return Err(self.not_found()),
            (PatchFormat::Json(patch), Some(node)) => operations(patch, mutation, node)?,
            (PatchFormat::Merge(body), Some(node)) => merge(body, mutation, node)?,
            (PatchFormat::StrategicMerge(body), Some(node)) => strategic_merge(body, mutation, node)?,
        };
        Ok(Some(prepared))
    }

    async fn send(
        &self,
        mutator: &Mutator,
        mutation: &Mutation,
        current: Option<&Node>,
        prepared: Prepared,
    ) -> Result<Node, Sent> {
        let write = async |dry_run| self.write(mutator, mutation, &prepared, dry_run).await;
        let Some(current) = current else {
            let create = async { write(mutation.validate_only).await.map(Created::Now) };
            return match mutator.create_once(mutation, self.name, create).await? {
                Created::Now(node) => Ok(node),
                // It exists after all.
                Created::Before(_) => Err(Sent::Overtaken),
            };
        };
        if prepared.try_first {
            let after = write(true).await.map_err(Sent::locked)?;
            prepared.expected(current).refuse_change(&Protected::of(&after), "patch")?;
        }
        write(mutation.validate_only).await.map_err(Sent::locked)
    }
}

impl CallersPatch<'_> {
    async fn write(
        &self,
        mutator: &Mutator,
        mutation: &Mutation,
        prepared: &Prepared,
        dry_run: bool,
    ) -> Result<Node, Error> {
        let sent = self.send_once(mutator, mutation, prepared, dry_run).await?;
        let Err(error) = sent else { return sent.map_err(fault::from_kube) };
        if self.may_be_malformed(&error) && (dry_run || self.fails_dry(mutator, mutation, prepared).await?) {
            let message = fault::api_status(&error).map(|status| status.message.clone()).unwrap_or_default();
            return Err(Violation::new("patch", message).into());
        }
        Err(self.failed(error, prepared.is_known, dry_run))
    }

    async fn send_once(
        &self,
        mutator: &Mutator,
        mutation: &Mutation,
        prepared: &Prepared,
        dry_run: bool,
    ) -> Result<kube::Result<Node>, Error> {
        let params = PatchParams { dry_run, ..self.params() };
        let (user, subresource) = (mutation.impersonated(), self.patch.subresource);
        let call = mutator.write.patch(user, self.name, subresource, &params, &prepared.body);
        mutation.within("patching the node", call).await
    }

    /// The apiserver knows most mistakes in a strategic merge as none of the caller's: they are failures without a reason, as
    /// are those of etcd (interpretStrategicMergePatchError in apiserver's endpoints/handlers/patch.go).
    fn may_be_malformed(&self, error: &kube::Error) -> bool {
        let is_strategic = matches!(self.patch.format, PatchFormat::StrategicMerge(_));
        is_strategic && fault::api_status(error).is_some_and(fault::is_unexplained)
    }

    /// Whether the apiserver fails at it also where nothing is written: then it is the patch, and no failure of etcd.
    async fn fails_dry(&self, mutator: &Mutator, mutation: &Mutation, prepared: &Prepared) -> Result<bool, Error> {
        let tried = self.send_once(mutator, mutation, prepared, true).await?;
        Ok(tried.is_err_and(|error| self.may_be_malformed(&error)))
    }

    fn params(&self) -> PatchParams {
        let mut params = manager(self.patch.manager.as_deref()).validation_strict();
        params.force = matches!(self.patch.format, PatchFormat::Apply { force: true, .. });
        params
    }

    fn failed(&self, error: kube::Error, is_known: bool, dry_run: bool) -> Error {
        let Some(status) = fault::api_status(&error) else { return fault::from_kube(error) };
        if let Some(conflict) = fault::field_conflict(status, self.name) {
            return conflict;
        }
        match status.code {
            // How the apiserver refuses an apply of fields that it does not know.
            500 if !is_known => Violation::new("patch", status.message.clone()).into(),
            _ if is_known && dry_run => fault::about_dry_run(error, self.name),
            _ => fault::about_node(error, self.name),
        }
    }

    fn not_found(&self) -> Error {
        Error::NotFound { node: self.name.to_owned() }
    }
}

impl Prepared {
    /// The protected parts as they must be afterwards: as they are, with what nodeward itself writes.
    fn expected(&self, current: &Node) -> Protected {
        let mut expected = Protected::of(current);
        if let Patch::Strategic(body) = &self.body {
            let annotations = body.pointer("/metadata/annotations").and_then(Value::as_object);
            let ours = annotations.into_iter().flatten().filter(|(key, _)| guard::is_own(key));
            let ours = ours.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
            expected.annotations.extend(ours);
        }
        expected
    }
}

/// The parameters of a patch by this manager, or by nodeward itself.
pub(super) fn manager(name: Option<&str>) -> PatchParams {
    PatchParams { field_manager: Some(name.unwrap_or(FIELD_MANAGER).to_owned()), ..PatchParams::default() }
}

/// The caller's operations, then ours.
fn operations(patch: &json_patch::Patch, mutation: &Mutation, node: &Node) -> Result<Prepared, Error> {
    let after = Typed::of(json::try_out(patch, to_json(node)?)?)?;
    Protected::of(node).refuse_change(&Protected::of(&after.node), "patch")?;

    let mut ours =
        vec![json!({"op": "add", "path": "/metadata/resourceVersion", "value": node.metadata.resource_version})];
    let notes = record::notes(Some(node), mutation, after.node != *node);
    if !notes.is_empty() && after.node.metadata.annotations.is_none() {
        ours.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    }
    for (key, value) in notes {
        let path = format!("/metadata/annotations/{}", key.replace('/', "~1"));
        ours.push(json!({"op": "add", "path": path, "value": value}));
    }
    let ours: json_patch::Patch = serde_json::from_value(ours.into()).map_err(internal)?;
    let body = Patch::Json(json_patch::Patch([patch.0.clone(), ours.0].concat()));
    Ok(Prepared { body, is_known: after.is_known, try_first: false })
}

fn merge(body: &Map<String, Value>, mutation: &Mutation, node: &Node) -> Result<Prepared, Error> {
    let mut body = body.clone();
    refuse_own_annotations(metadata(&mut body)?)?;
    keep_own_annotations(&mut body, node)?;
    let mut after = to_json(node)?;
    json_patch::merge(&mut after, &body.clone().into());
    let after = Typed::of(after)?;
    Protected::of(node).refuse_change(&Protected::of(&after.node), "patch")?;

    lock(&mut body, node)?;
    remember(&mut body, node, mutation, after.node != *node)?;
    Ok(Prepared { body: Patch::Merge(body.into()), is_known: after.is_known, try_first: false })
}

/// To the protected parts a strategic merge without directives does what a merge does: taints are replaced whole, they have
/// no `patchStrategy` in core/v1.
fn strategic_merge(body: &Map<String, Value>, mutation: &Mutation, node: &Node) -> Result<Prepared, Error> {
    let mut body = body.clone();
    refuse_own_annotations(metadata(&mut body)?)?;
    keep_own_annotations(&mut body, node)?;
    let is_known = Typed::of_partial(body.clone().into())?.is_known;
    let try_first = has_directives(&body);
    if !try_first {
        let mut after = to_json(node)?;
        let protected = body.iter().filter(|(field, _)| *field != "status");
        let protected: Map<String, Value> = protected.map(|(field, value)| (field.clone(), value.clone())).collect();
        json_patch::merge(&mut after, &protected.into());
        Protected::of(node).refuse_change(&Protected::of(&Typed::of(after)?.node), "patch")?;
    }
    lock(&mut body, node)?;
    // Whether it changes anything, only Kubernetes can tell; a patch that does not must stay one.
    remember(&mut body, node, mutation, false)?;
    Ok(Prepared { body: Patch::Strategic(body.into()), is_known, try_first })
}

/// Whether there is a directive, such as `$patch` or `$retainKeys`, outside the status, in which nothing is protected.
fn has_directives(body: &Map<String, Value>) -> bool {
    fn is_within(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.iter().any(|(key, field)| key.starts_with('$') || is_within(field)),
            Value::Array(items) => items.iter().any(is_within),
            _ => false,
        }
    }
    body.iter().any(|(field, value)| field.starts_with('$') || (field != "status" && is_within(value)))
}

fn to_json(node: &Node) -> Result<Value, Error> {
    serde_json::to_value(node).map_err(internal)
}

fn internal(error: serde_json::Error) -> Error {
    Error::Internal { detail: error.to_string() }
}
