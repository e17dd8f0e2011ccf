//! Changes that depend on what the node holds: read, decide, and write only if the node is still as it was read.

use nodeward_client::api::{Consistency, Node};
use nodeward_client::{Change, Changed, ReadOptions};

use crate::commands::Session;
use crate::failure::Failure;

/// How often to decide anew while others keep changing the node.
const MOST_DECISIONS: usize = 10;

/// What is decided: the fields of the node that the mask names, to be written.
pub struct Update {
    pub node: Node,
    pub update_mask: Vec<String>,
}

/// What came of it.
pub enum Outcome {
    /// The node was changed.
    Changed(Changed<Node>),
    /// There was nothing to change.
    Same(Node),
}

impl Session {
    /// Reads a node and makes the update that is decided on it. With `is_bound`, the update is made only to the very node
    /// that was read; if others were faster, the decision is made anew.
    pub async fn update_by(
        &self,
        name: &str,
        change: &Change,
        is_bound: bool,
        decide: impl Fn(&Node) -> Result<Option<Update>, Failure>,
    ) -> Result<Outcome, Failure> {
        // A cache that is behind would only cost another round.
        let options = ReadOptions { read_mask: Vec::new(), consistency: Consistency::Consistent };
        let mut decisions = 0;
        loop {
            decisions += 1;
            let node = self.client.get_node(name, options.clone()).await?;
            let Some(Update { node: wanted, update_mask }) = decide(&node)? else { return Ok(Outcome::Same(node)) };
            let mut change = change.clone();
            let is_ours = is_bound && change.etag.is_none();
            if is_ours {
                change.etag = Some(node.etag);
            }
            let wanted = Node { name: node.name, ..wanted };
            match self.client.update(wanted, update_mask, change).await {
                Ok(changed) => return Ok(Outcome::Changed(changed)),
                Err(error) if is_ours && error.reason() == Some("ETAG_MISMATCH") && decisions < MOST_DECISIONS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
