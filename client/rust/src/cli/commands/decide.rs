//! Changes that depend on what the node holds: read, decide, and write only if the node is still as it was read.
//!
//! What is written depends on the command line alone, never on what was read: a command that is repeated with its request id
//! and etag sends the same request, which the server answers as it did before.

use nodeward_client::api::{Consistency, Node};
use nodeward_client::{Change, Changed, ReadOptions};

use crate::args::ChangeArgs;
use crate::commands::each::Report;
use crate::commands::{Session, text};
use crate::failure::Failure;

/// How often to decide anew while others keep changing the node.
const MOST_DECISIONS: usize = 10;

/// What is to be written: the fields of the node that the mask names.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    pub node: Node,
    pub update_mask: Vec<String>,
}

/// What is decided on a node.
#[derive(Debug, Default)]
pub struct Decision {
    /// Whether the update would change anything.
    pub is_needed: bool,
    /// What there is to say about the node as it is.
    pub notes: Vec<String>,
}

/// What came of it.
pub struct Outcome {
    notes: Vec<String>,
    result: Written,
}

enum Written {
    /// The node was changed.
    Changed(Box<Changed<Node>>),
    /// There was nothing to change.
    Same(Box<Node>),
}

impl Session {
    /// Reads a node and makes the update if it is decided that it is needed. With `is_bound`, the update is made only to
    /// the very node that was read; if others were faster, it is decided anew.
    pub async fn update_by(
        &self,
        name: &str,
        update: &Update,
        change: &Change,
        is_bound: bool,
        decide: impl Fn(&Node) -> Result<Decision, Failure>,
    ) -> Result<Outcome, Failure> {
        // A cache that is behind would only cost another round.
        let options = ReadOptions { consistency: Consistency::Consistent, ..ReadOptions::default() };
        let mut decisions = 0;
        loop {
            decisions += 1;
            let node = self.client.get_node(name, options.clone()).await?;
            // At another version than the caller's, the server knows whether this very request has made it so.
            let is_at_etag = change.etag.as_ref().is_none_or(|etag| *etag == node.etag);
            let Decision { is_needed, notes } =
                if is_at_etag { decide(&node)? } else { Decision { is_needed: true, notes: Vec::new() } };
            if !is_needed {
                return Ok(Outcome { notes, result: Written::Same(Box::new(node)) });
            }
            let own_etag = Some(node.etag).filter(|_| is_bound && change.etag.is_none());
            let mut change = change.clone();
            change.etag = change.etag.or_else(|| own_etag.clone());
            let wanted = Node { name: node.name, ..update.node.clone() };
            match self.client.update(wanted, update.update_mask.clone(), change).await {
                Ok(changed) => return Ok(Outcome { notes, result: Written::Changed(Box::new(changed)) }),
                Err(error)
                    if own_etag.is_some() && error.reason() == Some("ETAG_MISMATCH") && decisions < MOST_DECISIONS => {}
                Err(error) => return Err(Failure::Request { error, etag: own_etag, repeat: None }),
            }
        }
    }

    /// What is told of it.
    pub fn report_outcome(
        &self,
        outcome: Outcome,
        done: &str,
        not_done: &str,
        args: &ChangeArgs,
    ) -> Result<Report, Failure> {
        let Outcome { mut notes, result } = outcome;
        match result {
            Written::Same(node) => Ok(Report { notes, text: text(&node, not_done, args)? }),
            Written::Changed(changed) => {
                let report = self.report(done, &changed, args)?;
                notes.extend(report.notes);
                Ok(Report { notes, ..report })
            }
        }
    }
}
