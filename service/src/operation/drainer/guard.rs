//! The cordon while a drain lasts: whoever makes the node schedulable is seen, and the policy says what is done about it.

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Drainer, unless_for_good};
use crate::cluster::store::NodeView;
use crate::drain::OnUncordon;
use crate::operation::CordonState;
use crate::operation::cordon::{Cordoned, is_cordoned};
use crate::operation::ending::Ending;

impl Drainer {
    /// Writes down that the node is cordoned; again, if this manager has made it schedulable. Pods that were bound before the
    /// scheduler knows of it may come from now on.
    pub(super) async fn note_cordon(&mut self, cordoned: Cordoned, lifted_by: &str) -> anyhow::Result<()> {
        self.cordoned_at = cordoned.version;
        self.last_came = Instant::now();
        let manager = if cordoned.manager.is_empty() { lifted_by } else { &cordoned.manager };
        let mut after = self.journal.status();
        after.set_cordon(cordoned.state, manager, Timestamp::now());
        self.journal.write(after).await
    }

    /// Sees whether the node is still cordoned, and does what the policy says if it is not. How the drain ends, if it does.
    pub(super) async fn guard_cordon(&mut self, node: &NodeView) -> anyhow::Result<Option<Ending>> {
        let cordon = self.journal.cordon();
        let was_lifted = cordon.state == CordonState::Lifted;
        if node.version() < self.cordoned_at || self.journal.cancel().is_some() {
            return Ok(None);
        }
        let seems_cordoned = is_cordoned(node.object());
        if seems_cordoned && !was_lifted {
            return Ok(None);
        }
        // What was seen of the node may be older than what is written down. Kubernetes is asked before either is believed.
        let manager = match (was_lifted, seems_cordoned) {
            (true, false) => cordon.manager,
            _ => match self.cordoner.lifted().await? {
                Some(manager) if !was_lifted => manager,
                Some(_) => cordon.manager,
                None if was_lifted => return self.cordon_again("", true).await,
                None => return Ok(None),
            },
        };
        // Before it is written down: who takes the drain over from here on can't tell whether it was done, and would take the
        // cordon of whoever cordons the node next for the drain's own.
        if self.policy.on_uncordon == OnUncordon::Pause && !was_lifted {
            unless_for_good(self.cordoner.tidy().await)?;
        }
        let mut after = self.journal.status();
        after.set_cordon(CordonState::Lifted, &manager, Timestamp::now());
        self.journal.write(after).await?;
        match self.policy.on_uncordon {
            OnUncordon::CordonAgain => self.cordon_again(&manager, false).await,
            OnUncordon::Pause => Ok(None),
            OnUncordon::Cancel => Ok(Some(Ending::uncordoned(&manager))),
        }
    }

    /// Adds the drain's claim to a node that is cordoned again, or, if it is not `only_to_join` that cordon, is to be. How the drain
    /// ends, if it can't be.
    async fn cordon_again(&mut self, lifted_by: &str, only_to_join: bool) -> anyhow::Result<Option<Ending>> {
        match self.cordoner.cordon(&|| true, only_to_join).await {
            Ok(Some(cordoned)) => self.note_cordon(cordoned, lifted_by).await.map(|()| None),
            // Somebody has made it schedulable once more.
            Ok(None) => Ok(None),
            Err(error) => Ending::not_cordoned(&error).map(Some).ok_or(error),
        }
    }
}
