//! Creating a node object.

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;

use super::{Changed, FIELD_MANAGER, Mutation, Mutator, Outcome, record};
use crate::error::Error;

impl Mutator {
    /// Creates the node.
    pub async fn create(&self, mutation: &Mutation, name: &str, mut node: Node) -> Result<Changed, Error> {
        self.refuse_foreign_request(mutation, name)?;
        node.metadata = creatable(node.metadata);
        node.metadata.name = Some(name.to_owned());
        if let Some(request) = mutation.to_record() {
            let (key, value) = record::with(None, record::Record::of(request, mutation));
            node.metadata.annotations.get_or_insert_default().insert(key, value);
        }
        let params = PostParams { dry_run: mutation.validate_only, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let created = mutation.within("creating the node", self.write.create(&node, &params)).await?;
        match created.map_err(|error| mutation.failed(error, name)) {
            Ok(created) => Ok(Changed::between(&Node::default(), created, mutation)),
            Err(Error::AlreadyExists { .. }) => self.created_before(mutation, name).await,
            Err(error) => Err(error),
        }
    }

    /// A node of that name exists: perhaps because this request made it.
    async fn created_before(&self, mutation: &Mutation, name: &str) -> Result<Changed, Error> {
        match self.live(mutation, name).await? {
            Some(node) if record::is_replay(&node, mutation)? => Ok(Changed::same(node, Outcome::Replayed)),
            _ => Err(Error::AlreadyExists { node: name.to_owned() }),
        }
    }
}

/// What of the metadata a creator may set.
fn creatable(metadata: ObjectMeta) -> ObjectMeta {
    let ObjectMeta { labels, annotations, finalizers, owner_references, .. } = metadata;
    ObjectMeta { labels, annotations, finalizers, owner_references, ..ObjectMeta::default() }
}
