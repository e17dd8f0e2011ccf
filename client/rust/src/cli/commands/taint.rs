//! `taint`.

use nodeward_client::api::{Node, NodeSpec};
use nodeward_client::path;

use crate::args::TaintArgs;
use crate::commands::decide::{Decision, Update};
use crate::commands::{Session, change};
use crate::failure::Failure;
use crate::pairs::split;
use crate::taints::{Obstacle, Taints, is_taint};

/// Sets and removes taints.
pub async fn taint(session: &Session, args: TaintArgs) -> Result<(), Failure> {
    let (names, taints) = split(&args.arguments, "taint", is_taint)?;
    let taints = Taints::parse(&taints)?;
    let targets = session.targets(&names, &args.select).await?;
    let change = change(&args.change, targets.len())?;
    let (update, done) = (update(&taints), done(&taints, args.overwrite));
    // A repeated request finds what it has done before.
    let is_repeat = args.change.request_id.is_some();
    session
        .change_each(&targets, &args.change, async |name| {
            let decide = |node: &Node| decide(name, node, &taints, args.overwrite, is_repeat);
            let outcome = session.update_by(name, &update, &change, !args.overwrite, decide).await?;
            session.report_outcome(outcome, done, "unchanged", &args.change)
        })
        .await
}

/// What kubectl says was done.
fn done(taints: &Taints, overwrite: bool) -> &'static str {
    match (taints.set.is_empty(), taints.remove.is_empty()) {
        (false, false) => "modified",
        _ if overwrite => "modified",
        (false, true) => "tainted",
        (true, _) => "untainted",
    }
}

fn decide(name: &str, node: &Node, taints: &Taints, overwrite: bool, is_repeat: bool) -> Result<Decision, Failure> {
    let present = node.spec.as_ref().map_or(&[][..], |spec| spec.taints.as_slice());
    match taints.obstacle(present, overwrite, is_repeat) {
        Some(obstacle) => Err(refusal(name, obstacle)),
        None => Ok(Decision { is_needed: taints.is_needed(present), notes: Vec::new() }),
    }
}

fn update(taints: &Taints) -> Update {
    let paths = taints.identities().into_iter().map(|(key, effect)| path::taint(key, effect));
    let spec = NodeSpec { taints: taints.kept().cloned().collect(), ..NodeSpec::default() };
    Update { node: Node { spec: Some(spec), ..Node::default() }, update_mask: paths.collect() }
}

fn refusal(name: &str, obstacle: Obstacle) -> Failure {
    match obstacle {
        Obstacle::Present(keys) => Failure::Refused {
            message: format!("node/{name} has taints of the same key and effect already: {}", keys.join(", ")),
            hint: "give --overwrite to change them".to_owned(),
        },
        Obstacle::Absent(removal) => Failure::Refused {
            message: format!("node/{name} has no taint {removal}"),
            hint: format!("see its taints with: nodeward get {name} -o wide"),
        },
    }
}
