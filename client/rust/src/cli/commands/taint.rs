//! `taint`.

use nodeward_client::api::{Node, NodeSpec};
use nodeward_client::path;

use crate::args::TaintArgs;
use crate::commands::decide::{Outcome, Update};
use crate::commands::{Session, change, show_node};
use crate::failure::Failure;
use crate::pairs::split;
use crate::taints::{Obstacle, Step, Taints, is_taint};

/// Sets and removes taints.
pub async fn taint(session: &Session, args: TaintArgs) -> Result<(), Failure> {
    let (names, taints) = split(&args.arguments, "taint", is_taint)?;
    let taints = Taints::parse(&taints)?;
    let targets = session.targets(&names, &args.select).await?;
    let change = change(&args.change, targets.len())?;
    let done = done(&taints, args.overwrite);
    session
        .each(&targets, async |name| {
            let decide = |node: &Node| decide(name, node, &taints, args.overwrite);
            match session.update_by(name, &change, !args.overwrite, decide).await? {
                Outcome::Changed(changed) => session.show(done, &changed, &args.change),
                Outcome::Same(node) => show_node(&node, &format!("not {done}"), &args.change),
            }
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

fn decide(name: &str, node: &Node, taints: &Taints, overwrite: bool) -> Result<Option<Update>, Failure> {
    let present = node.spec.as_ref().map_or(&[][..], |spec| spec.taints.as_slice());
    let step = taints.decide(present, overwrite).map_err(|obstacle| refusal(name, obstacle))?;
    Ok((!step.is_empty()).then(|| update(step)))
}

fn update(step: Step) -> Update {
    let Step { set, remove } = step;
    let set_paths = set.iter().map(|taint| path::taint(&taint.key, &taint.effect));
    let update_mask = set_paths.chain(remove.iter().map(|(key, effect)| path::taint(key, effect))).collect();
    let spec = NodeSpec { taints: set, ..NodeSpec::default() };
    Update { node: Node { spec: Some(spec), ..Node::default() }, update_mask }
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
