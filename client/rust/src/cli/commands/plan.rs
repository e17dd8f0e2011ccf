//! `plan`.

use nodeward_client::api::pod_plan::Action;
use nodeward_client::api::{DrainPlan, DrainTotals, PodPlan, placement};
use nodeward_client::node_id;

use crate::args::PlanArgs;
use crate::commands::Session;
use crate::drain;
use crate::failure::Failure;
use crate::names;
use crate::output::{Format, Kind, aligned, cell_text, human_duration, message_value, print, value_json, value_yaml};

const HEADER: [&str; 7] = ["POD", "ACTION", "TURN", "ROUND", "BUDGETS", "REPLACEMENT", "WHY"];
const NONE: &str = "-";

/// Shows what draining a node would do.
pub async fn plan(session: &Session, args: PlanArgs) -> Result<(), Failure> {
    let names = names::nodes(std::slice::from_ref(&args.name))?;
    let [name] = names.as_slice() else {
        return Err(Failure::usage(format!("{:?} names no node", args.name)));
    };
    let plan = session.client.plan_drain(name, drain::policy(&args.policy)?).await?;
    match args.output {
        Some(Format::Json) => print(&value_json(&message_value(&plan, Kind::DrainPlan)?)?),
        Some(Format::Yaml) => print(&value_yaml(&message_value(&plan, Kind::DrainPlan)?)?),
        Some(Format::Name) => {
            print(&plan.pods.iter().map(|pod| format!("pod/{}\n", pod_name(pod))).collect::<String>())
        }
        Some(Format::Wide) | None => print(&text(&plan)),
    }
}

/// The table, and below it what holds for the whole node.
fn text(plan: &DrainPlan) -> String {
    let table = if plan.pods.is_empty() { String::new() } else { aligned(&HEADER, plan.pods.iter().map(cells)) + "\n" };
    let lines = notes(plan).into_iter().map(|(label, text)| format!("{label:<10} {}\n", cell_text(&text)));
    table + &lines.collect::<String>()
}

fn cells(plan: &PodPlan) -> Vec<String> {
    let number = |number: Option<i32>| number.map_or_else(|| NONE.to_owned(), |number| number.to_string());
    let budgets: Vec<String> = plan.budgets.iter().map(|name| format!("{}/{}", name.namespace, name.budget)).collect();
    let reasons: Vec<&str> = plan.reasons.iter().map(|reason| reason.message.as_str()).collect();
    let cells = [
        pod_name(plan),
        action(plan.action()).to_owned(),
        number(plan.turn),
        number(plan.round),
        if budgets.is_empty() { NONE.to_owned() } else { budgets.join(",") },
        replacement(plan),
        reasons.join("; "),
    ];
    cells.iter().map(|cell| cell_text(cell)).collect()
}

fn pod_name(plan: &PodPlan) -> String {
    plan.pod.as_ref().map(|pod| cell_text(&format!("{}/{}", pod.namespace, pod.pod))).unwrap_or_default()
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Evict => "evict",
        Action::Delete => "delete",
        Action::Skip => "skip",
        Action::WaitForCompletion => "wait",
        Action::Refuse => "refuse",
        Action::Unspecified => "unknown",
    }
}

fn replacement(plan: &PodPlan) -> String {
    let Some(placement) = &plan.placement else { return NONE.to_owned() };
    match placement.kind() {
        placement::Kind::Fits => format!("fits {}", node_id(&placement.node)),
        placement::Kind::NoPlace => "no place".to_owned(),
        placement::Kind::NoReplacement => "none".to_owned(),
        placement::Kind::Unspecified => NONE.to_owned(),
    }
}

/// What is below the table: each line with its label.
fn notes(plan: &DrainPlan) -> Vec<(&'static str, String)> {
    let estimate = plan.estimate.and_then(|estimate| std::time::Duration::try_from(estimate).ok());
    let mut notes =
        vec![("Node:", node_id(&plan.node).to_owned()), ("Totals:", totals(plan.totals.unwrap_or_default()))];
    notes.extend(estimate.map(|estimate| ("Estimate:", format!("at most {}", human_duration(estimate)))));
    notes.extend(plan.pods.iter().filter_map(waits).map(|text| ("Waits:", text)));
    notes.extend(plan.pods.iter().filter_map(no_place).map(|text| ("No place:", text)));
    let all = |label, lines: &[String]| lines.iter().map(|line| (label, line.clone())).collect::<Vec<_>>();
    notes.extend(all("Warning:", &plan.warnings));
    notes.extend(all("Obstacle:", &plan.obstacles));
    notes.extend(all("Refused:", &plan.refusals));
    notes.push(("Plan hash:", plan.plan_hash.clone()));
    notes
}

fn totals(totals: DrainTotals) -> String {
    let DrainTotals { evict, delete, skip, wait_for_completion, refuse } = totals;
    format!("{evict} evict, {delete} delete, {skip} skip, {wait_for_completion} wait, {refuse} refuse")
}

fn waits(plan: &PodPlan) -> Option<String> {
    let blocker = plan.blocker.as_ref()?;
    let hint = if blocker.hint.is_empty() { String::new() } else { format!(" ({})", blocker.hint) };
    Some(format!("{}: {}{hint}", pod_name(plan), blocker.message))
}

fn no_place(plan: &PodPlan) -> Option<String> {
    let placement = plan.placement.as_ref().filter(|placement| placement.kind() == placement::Kind::NoPlace)?;
    Some(format!("{}: {}", pod_name(plan), placement.message))
}
