//! Creating a node object, at most once for each request id.

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;

use super::entry::{Deed, Entry};
use super::guard::Protected;
use super::ledger::Begun;
use super::{Changed, FIELD_MANAGER, Mutation, Mutator, Outcome, record};
use crate::error::Error;

/// A node that a request has created.
pub(super) enum Created {
    /// Just now.
    Now(Node),
    /// When it was sent before.
    Before(Node),
}

impl Mutator {
    /// Creates the node.
    pub async fn create(&self, mutation: &Mutation, name: &str, mut node: Node) -> Result<Changed, Error> {
        self.refuse_reuse(mutation, name).await?;
        Protected::default().refuse_change(&Protected::of(&node), "node.metadata.annotations")?;
        node.metadata = creatable(node.metadata);
        node.metadata.name = Some(name.to_owned());
        let notes = record::notes(None, mutation, true);
        if !notes.is_empty() {
            node.metadata.annotations.get_or_insert_default().extend(notes);
        }
        let send = self.send_new(mutation, name, &node);
        match Box::pin(self.create_once(mutation, name, send)).await? {
            Created::Now(created) => Ok(Changed::between(&Node::default(), created, mutation)),
            Created::Before(created) => Ok(Changed::same(created, Outcome::Replayed)),
        }
    }

    async fn send_new(&self, mutation: &Mutation, name: &str, node: &Node) -> Result<Created, Error> {
        let params = PostParams { dry_run: mutation.validate_only, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let created =
            mutation.within("creating the node", self.write.create(mutation.impersonated(), node, &params)).await?;
        match created.map_err(|error| mutation.failed(error, name)) {
            Ok(created) => Ok(Created::Now(created)),
            // Perhaps it was this request that made it.
            Err(Error::AlreadyExists { node }) => match self.live(mutation, name).await? {
                Some(live) if record::is_replay(&live, mutation)? => Ok(Created::Before(live)),
                _ => Err(Error::AlreadyExists { node }),
            },
            Err(error) => Err(error),
        }
    }

    /// Carries out a creation unless the same request did so before, whether its node still exists or not.
    pub(super) async fn create_once(
        &self,
        mutation: &Mutation,
        name: &str,
        create: impl Future<Output = Result<Created, Error>>,
    ) -> Result<Created, Error> {
        let Some(request) = mutation.to_record() else { return create.await };
        let (entry, is_new) = match self.ledger.begin(mutation, request, Deed::Create(name.to_owned())).await? {
            Begun::Before(Entry { created: Some(uid), .. }) => return self.created_before(mutation, name, &uid).await,
            // What an earlier try began may have come no further.
            Begun::Before(entry) => (entry, false),
            Begun::Now(entry) => (entry, true),
        };
        let result = create.await;
        match &result {
            Ok(Created::Now(node) | Created::Before(node)) => {
                self.ledger.created(mutation, &entry, node.metadata.uid.as_deref().unwrap_or_default()).await;
            }
            Err(error) if error.is_refusal() && is_new => self.ledger.forget(mutation, &entry).await,
            Err(_) => {}
        }
        result
    }

    /// The node that the request created, if it is still there.
    async fn created_before(&self, mutation: &Mutation, name: &str, uid: &str) -> Result<Created, Error> {
        let live = self.live(mutation, name).await?;
        let same = live.filter(|node| node.metadata.uid.as_deref() == Some(uid));
        same.map(Created::Before).ok_or_else(|| Error::NotFound { node: name.to_owned() })
    }
}

/// What of the metadata a creator may set.
fn creatable(metadata: ObjectMeta) -> ObjectMeta {
    let ObjectMeta { labels, annotations, finalizers, owner_references, .. } = metadata;
    ObjectMeta { labels, annotations, finalizers, owner_references, ..ObjectMeta::default() }
}
