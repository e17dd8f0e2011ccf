//! `cordon` and `uncordon`.

use nodeward_client::api::{Consistency, SchedulingState};
use nodeward_client::{Code, ReadOptions};

use crate::args::CordonArgs;
use crate::commands::{Session, change};
use crate::failure::Failure;

/// Keeps new pods off nodes, or lets them come again.
pub async fn cordon(session: &Session, args: CordonArgs, is_cordon: bool) -> Result<(), Failure> {
    let targets = session.targets(&args.names, &args.select).await?;
    let change = change(&args.change, targets.len())?;
    session
        .change_each(&targets, &args.change, async |name| {
            // A repeated request may have made it so itself.
            let is_repeat = args.change.request_id.is_some();
            let is_already = !is_repeat && session.is_cordoned(name).await? == Some(is_cordon);
            let change = change.clone();
            let (changed, done) = if is_cordon {
                (session.client.cordon(name, change).await?, "cordoned")
            } else {
                (session.client.uncordon(name, change).await?, "uncordoned")
            };
            let done = if is_already { format!("already {done}") } else { done.to_owned() };
            session.report(&done, &changed, &args.change)
        })
        .await
}

impl Session {
    /// Whether a node is cordoned, for what is said afterwards. The request is sent in any case: it leaves its trace.
    async fn is_cordoned(&self, name: &str) -> Result<Option<bool>, Failure> {
        let read_mask = vec!["scheduling_state".to_owned()];
        let options = ReadOptions { read_mask, consistency: Consistency::Consistent };
        match self.client.get_node(name, options).await {
            Ok(node) => Ok(Some(node.scheduling_state() == SchedulingState::Cordoned)),
            // Who may change nodes need not be allowed to read them.
            Err(error) if error.code() == Code::PermissionDenied => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
