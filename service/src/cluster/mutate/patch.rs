//! Changes of one node: of named fields (`update`) and by a patch of the caller's (`patch`).

use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use serde_json::{Map, Value, json};

use super::decide::{Change, Sent};
use super::{ANNOTATION_PREFIX, Changed, FIELD_MANAGER, Mutation, Mutator, Outcome, Subresource, record};
use crate::cluster::fault;
use crate::error::Error;
use crate::node::{Violation, taint};

/// A patch that a caller sends.
#[derive(Clone, Debug)]
pub struct NodePatch {
    /// Its format and body.
    pub format: PatchFormat,
    /// What it patches.
    pub subresource: Subresource,
    /// The field manager, if the caller names one.
    pub manager: Option<String>,
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
    /// Changes fields of a node. `plan` gives the merge patch for the node as it is, or `None` if nothing is to change;
    /// it may be asked more than once, if others change the node meanwhile.
    pub async fn update(
        &self,
        mutation: &Mutation,
        name: &str,
        subresource: Subresource,
        plan: impl Fn(&Node) -> Result<Option<Value>, Error> + Sync,
    ) -> Result<Changed, Error> {
        self.change(mutation, name, &FieldUpdate { name, subresource, plan }).await
    }

    /// Applies a caller's patch to a node.
    pub async fn patch(&self, mutation: &Mutation, name: &str, patch: &NodePatch) -> Result<Changed, Error> {
        let changed = self.change(mutation, name, &CallersPatch { name, patch }).await?;
        let was_created =
            changed.outcome == Outcome::Changed && changed.changed_paths.iter().any(|path| path == "name");
        if was_created {
            tracing::debug!(node = name, "the apply created the node");
        }
        Ok(changed)
    }

    async fn send_patch(
        &self,
        mutation: &Mutation,
        name: &str,
        subresource: Subresource,
        params: &PatchParams,
        body: &Patch<Value>,
    ) -> Result<kube::Result<Node>, Error> {
        mutation.within("patching the node", self.write.patch(name, subresource, params, body)).await
    }
}

struct FieldUpdate<'a, F> {
    name: &'a str,
    subresource: Subresource,
    plan: F,
}

impl<F> Change for FieldUpdate<'_, F>
where
    F: Fn(&Node) -> Result<Option<Value>, Error> + Sync,
{
    type Write = Value;

    fn decide(&self, mutation: &Mutation, current: Option<&Node>) -> Result<Option<Value>, Error> {
        let current = current.ok_or_else(|| Error::NotFound { node: self.name.to_owned() })?;
        // A request that has nothing to change is remembered all the same: sent again after somebody else's change, it
        // must not undo that.
        let nothing = mutation.to_record().map(|_| json!({}));
        let Some(Value::Object(mut body)) = (self.plan)(current)?.or(nothing) else { return Ok(None) };
        lock(&mut body, current)?;
        remember(&mut body, current, mutation)?;
        Ok(Some(body.into()))
    }

    async fn send(
        &self,
        mutator: &Mutator,
        mutation: &Mutation,
        _current: Option<&Node>,
        body: Value,
    ) -> Result<Node, Sent> {
        let params = PatchParams { dry_run: mutation.validate_only, ..manager(None) };
        let sent = mutator.send_patch(mutation, self.name, self.subresource, &params, &Patch::Merge(body)).await?;
        sent.map_err(|error| Sent::locked(mutation.failed(error, self.name)))
    }
}

struct CallersPatch<'a> {
    name: &'a str,
    patch: &'a NodePatch,
}

impl Change for CallersPatch<'_> {
    type Write = Patch<Value>;

    fn decide(&self, mutation: &Mutation, current: Option<&Node>) -> Result<Option<Patch<Value>>, Error> {
        let body = match (&self.patch.format, current) {
            (PatchFormat::Apply { body, .. }, current) => Patch::Apply(self.apply(body, mutation, current)?),
            (_, None) => return Err(Error::NotFound { node: self.name.to_owned() }),
            (PatchFormat::Json(patch), Some(node)) => Patch::Json(json_operations(patch, mutation, node)?),
            (PatchFormat::Merge(body), Some(node)) => Patch::Merge(merge(body, mutation, node)?),
            (PatchFormat::StrategicMerge(body), Some(node)) => Patch::Strategic(merge(body, mutation, node)?),
        };
        Ok(Some(body))
    }

    async fn send(
        &self,
        mutator: &Mutator,
        mutation: &Mutation,
        current: Option<&Node>,
        body: Patch<Value>,
    ) -> Result<Node, Sent> {
        let send = async |dry_run| {
            let params = PatchParams { dry_run, ..self.params() };
            let sent = mutator.send_patch(mutation, self.name, self.patch.subresource, &params, &body).await?;
            sent.map_err(|error| self.failed(error))
        };
        // What a patch does to protected fields only Kubernetes can tell. A dry run under the same resource version shows
        // it before it is done.
        if let Some(current) = current.filter(|_| may_touch_protected(&self.patch.format)) {
            refuse_protected_changes(current, &send(true).await?)?;
        }
        send(mutation.validate_only).await
    }
}

impl CallersPatch<'_> {
    fn params(&self) -> PatchParams {
        let mut params = manager(self.patch.manager.as_deref()).validation_strict();
        params.force = matches!(self.patch.format, PatchFormat::Apply { force: true, .. });
        params
    }

    fn failed(&self, error: kube::Error) -> Sent {
        match fault::api_status(&error).and_then(|status| fault::field_conflict(status, self.name)) {
            Some(conflict) => Sent::Failed(conflict),
            None => Sent::locked(fault::about_node(error, self.name)),
        }
    }

    fn apply(&self, body: &Map<String, Value>, mutation: &Mutation, current: Option<&Node>) -> Result<Value, Error> {
        let mut body = body.clone();
        body.entry("apiVersion").or_insert_with(|| "v1".into());
        body.entry("kind").or_insert_with(|| "Node".into());
        metadata(&mut body)?.entry("name").or_insert_with(|| self.name.into());
        refuse_own_annotations(metadata(&mut body)?)?;
        if let Some(node) = current {
            lock(&mut body, node)?;
        }
        let request = mutation.to_record().map(|request| record::Record::of(request, mutation));
        let manager = self.patch.manager.as_deref().unwrap_or(FIELD_MANAGER);
        if let Some((key, value)) = record::with_apply(current, manager, request) {
            annotations(&mut body)?.insert(key, value.into());
        }
        Ok(body.into())
    }
}

fn manager(name: Option<&str>) -> PatchParams {
    PatchParams { field_manager: Some(name.unwrap_or(FIELD_MANAGER).to_owned()), ..PatchParams::default() }
}

/// A merge patch with what nodeward adds to it.
fn merge(body: &Map<String, Value>, mutation: &Mutation, node: &Node) -> Result<Value, Error> {
    let mut body = body.clone();
    refuse_own_annotations(metadata(&mut body)?)?;
    keep_own_annotations(&mut body, node)?;
    lock(&mut body, node)?;
    remember(&mut body, node, mutation)?;
    Ok(body.into())
}

/// The write is made only if the node is still at the version that it was decided on.
fn lock(body: &mut Map<String, Value>, node: &Node) -> Result<(), Error> {
    let version = node.metadata.resource_version.as_deref().unwrap_or_default();
    let metadata = metadata(body)?;
    match metadata.get("resourceVersion") {
        Some(Value::String(expected)) if expected != version => Err(Error::EtagMismatch {
            what: format!("node {:?}", node.metadata.name.as_deref().unwrap_or_default()),
            expected: format!("{expected:?}"),
            current: format!("{version:?}"),
        }),
        _ => {
            metadata.insert("resourceVersion".into(), version.into());
            Ok(())
        }
    }
}

fn remember(body: &mut Map<String, Value>, node: &Node, mutation: &Mutation) -> Result<(), Error> {
    if let Some(request) = mutation.to_record() {
        let (key, value) = record::with(Some(node), record::Record::of(request, mutation));
        annotations(body)?.insert(key, value.into());
    }
    Ok(())
}

/// `annotations: null` removes all annotations: all but nodeward's.
fn keep_own_annotations(body: &mut Map<String, Value>, node: &Node) -> Result<(), Error> {
    let metadata = metadata(body)?;
    if metadata.get("annotations") == Some(&Value::Null) {
        let keys = node.metadata.annotations.iter().flatten().map(|(key, _)| key.clone());
        let nulls: Map<String, Value> =
            keys.filter(|key| !key.starts_with(ANNOTATION_PREFIX)).map(|key| (key, Value::Null)).collect();
        metadata.insert("annotations".into(), nulls.into());
    }
    Ok(())
}

fn refuse_own_annotations(metadata: &Map<String, Value>) -> Result<(), Error> {
    let annotations = metadata.get("annotations").and_then(Value::as_object);
    match annotations.into_iter().flatten().find(|(key, _)| key.starts_with(ANNOTATION_PREFIX)) {
        Some((key, _)) => Err(own_annotation(key)),
        None => Ok(()),
    }
}

fn own_annotation(key: &str) -> Error {
    let advice =
        format!("annotation {key:?} is nodeward's own: leave keys with the prefix {ANNOTATION_PREFIX:?} as they are");
    Violation::new("patch", advice).into()
}

fn metadata(body: &mut Map<String, Value>) -> Result<&mut Map<String, Value>, Error> {
    object(body, "metadata")
}

fn annotations(body: &mut Map<String, Value>) -> Result<&mut Map<String, Value>, Error> {
    object(metadata(body)?, "annotations")
}

/// The object in this field, which is made if there is none.
fn object<'a>(parent: &'a mut Map<String, Value>, field: &str) -> Result<&'a mut Map<String, Value>, Error> {
    match parent.entry(field).or_insert_with(|| json!({})) {
        Value::Object(object) => Ok(object),
        _ => Err(Violation::new("patch", format!("{field:?} must be an object")).into()),
    }
}

/// The caller's operations, then ours. They are tried out on the node as it is, which tells a failed test from a path
/// that does not exist, and shows the result.
fn json_operations(patch: &json_patch::Patch, mutation: &Mutation, node: &Node) -> Result<json_patch::Patch, Error> {
    let internal = |error: serde_json::Error| Error::Internal { detail: error.to_string() };
    let mut patched = serde_json::to_value(node).map_err(internal)?;
    json_patch::patch(&mut patched, patch).map_err(patch_failed)?;
    let after: Node = serde_json::from_value(patched)
        .map_err(|error| Violation::new("patch", format!("the patched object is no Node: {error}")))?;
    refuse_protected_changes(node, &after)?;

    let mut ours =
        vec![json!({"op": "add", "path": "/metadata/resourceVersion", "value": node.metadata.resource_version})];
    if let Some(request) = mutation.to_record() {
        if after.metadata.annotations.is_none() {
            ours.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
        }
        let (key, value) = record::with(Some(node), record::Record::of(request, mutation));
        ours.push(
            json!({"op": "add", "path": format!("/metadata/annotations/{}", key.replace('/', "~1")), "value": value}),
        );
    }
    let ours: json_patch::Patch = serde_json::from_value(ours.into()).map_err(internal)?;
    Ok(json_patch::Patch([patch.0.clone(), ours.0].concat()))
}

fn patch_failed(error: json_patch::PatchError) -> Error {
    let detail = format!("operation {} ({}): {}", error.operation, error.path, error.kind);
    match error.kind {
        json_patch::PatchErrorKind::TestFailed => Error::PatchTestFailed { detail },
        _ => Violation::new("patch", format!("{detail}; the path must exist in the node as it is now")).into(),
    }
}

fn may_touch_protected(format: &PatchFormat) -> bool {
    match format {
        PatchFormat::Json(_) => false, // tried out already
        PatchFormat::Merge(body) => touches_taints(body),
        // `$patch` and its like can replace or remove what the patch does not name.
        PatchFormat::StrategicMerge(body) => {
            touches_taints(body) || Value::from(body.clone()).to_string().contains("\"$")
        }
        // What an apply leaves out is removed, if the manager applied it before.
        PatchFormat::Apply { .. } => true,
    }
}

fn touches_taints(body: &Map<String, Value>) -> bool {
    match body.get("spec") {
        Some(Value::Object(spec)) => spec.contains_key("taints"),
        Some(_) => true,
        None => false,
    }
}

fn refuse_protected_changes(before: &Node, after: &Node) -> Result<(), Error> {
    let taints = |node: &Node| node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    if let Some(refusal) = taint::refuse_controller_owned(&taints(before), &taints(after)) {
        return Err(refusal.into());
    }
    let after_annotations = after.metadata.annotations.as_ref();
    let lost = before.metadata.annotations.iter().flatten().find(|(key, value)| {
        let is_records = key.starts_with(ANNOTATION_PREFIX);
        let kept = after_annotations.and_then(|annotations| annotations.get(*key));
        is_records && kept.is_none_or(|kept| kept.is_empty() && !value.is_empty())
    });
    match lost {
        Some((key, _)) => Err(own_annotation(key)),
        None => Ok(()),
    }
}
