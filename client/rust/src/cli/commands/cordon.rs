//! `cordon` and `uncordon`.

use std::time::SystemTime;

use nodeward_client::api::{Consistency, Node, SchedulingState};
use nodeward_client::{Code, CordonOptions, ReadOptions, UncordonOptions};

use crate::args::{ChangeArgs, CordonArgs, UncordonArgs};
use crate::commands::{Session, change};
use crate::failure::Failure;
use crate::output::printable;

/// Keeps new pods off nodes.
pub async fn cordon(session: &Session, args: CordonArgs) -> Result<(), Failure> {
    let targets = session.targets(&args.names, &args.select).await?;
    let change = change(&args.change, targets.len())?;
    let expire_time = args.duration.map(|duration| SystemTime::now() + duration);
    let options = CordonOptions { owner: args.owner, expire_time };
    session
        .change_each(&targets, &args.change, async |name| {
            let is_already = session.is_already(name, &args.change, SchedulingState::Cordoned).await?;
            let changed = session.client.cordon_with(name, options.clone(), change.clone()).await?;
            session.report(if is_already { "already cordoned" } else { "cordoned" }, &changed, &args.change)
        })
        .await
}

/// Lets new pods be scheduled on nodes again.
pub async fn uncordon(session: &Session, args: UncordonArgs) -> Result<(), Failure> {
    let targets = session.targets(&args.names, &args.select).await?;
    let change = change(&args.change, targets.len())?;
    let options = UncordonOptions { owner: args.owner, take_over: args.take_over };
    session
        .change_each(&targets, &args.change, async |name| {
            let is_already = session.is_already(name, &args.change, SchedulingState::Schedulable).await?;
            let changed = session.client.uncordon_with(name, options.clone(), change.clone()).await?;
            let done = match still_cordoned(&changed.value) {
                Some(done) => done,
                None if is_already => "already uncordoned".to_owned(),
                None => "uncordoned".to_owned(),
            };
            session.report(&done, &changed, &args.change)
        })
        .await
}

/// For whom a node stays cordoned, after a claim was taken back.
fn still_cordoned(node: &Node) -> Option<String> {
    if node.scheduling_state() != SchedulingState::Cordoned {
        return None;
    }
    let owner = |claim: &nodeward_client::api::CordonClaim| match claim.is_foreign {
        true => "somebody who did not use nodeward".to_owned(),
        false => printable(&claim.owner).into_owned(),
    };
    let owners: Vec<String> = node.cordon_claims.iter().map(owner).collect();
    Some(format!("still cordoned for {}", owners.join(", ")))
}

impl Session {
    /// Whether a node is as it is to be. A repeated request may have made it so itself.
    async fn is_already(&self, name: &str, args: &ChangeArgs, state: SchedulingState) -> Result<bool, Failure> {
        let is_cordoned = state == SchedulingState::Cordoned;
        Ok(args.request_id.is_none() && self.is_cordoned(name).await? == Some(is_cordoned))
    }

    /// Whether a node is cordoned, for what is said afterwards. The request is sent in any case: it leaves its trace.
    async fn is_cordoned(&self, name: &str) -> Result<Option<bool>, Failure> {
        let read_mask = vec!["scheduling_state".to_owned()];
        let options = ReadOptions { read_mask, consistency: Consistency::Consistent, ..ReadOptions::default() };
        match self.client.get_node(name, options).await {
            Ok(node) => Ok(Some(node.scheduling_state() == SchedulingState::Cordoned)),
            // Who may change nodes need not be allowed to read them.
            Err(error) if error.code() == Code::PermissionDenied => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
