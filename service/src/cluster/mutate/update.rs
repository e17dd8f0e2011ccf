//! Changes of named fields of a node.

use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::decide::{Change, Sent};
use super::patch::{lock, manager, remember};
use super::{Changed, Mutation, Mutator, Subresource};
use crate::error::Error;

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
        let planned = (self.plan)(current)?;
        let changes = planned.is_some();
        let Some(Value::Object(mut body)) = planned.or(nothing) else { return Ok(None) };
        lock(&mut body, current)?;
        remember(&mut body, current, mutation, changes)?;
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
        let body = Patch::Merge(body);
        let call = mutator.write.patch(mutation.impersonated(), self.name, self.subresource, &params, &body);
        let sent = mutation.within("patching the node", call).await?;
        sent.map_err(|error| Sent::locked(mutation.failed(error, self.name)))
    }
}
