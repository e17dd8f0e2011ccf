//! `drain --dry-run`: what would be done, in the words in which it would be told.

use nodeward_client::api::pod_plan::Action;
use nodeward_client::api::{DrainPlan, PodPlan};
use nodeward_client::{DrainOptions, node_id};

use super::change;
use crate::args::{DrainArgs, DrainDryRun, FollowFormat};
use crate::commands::Session;
use crate::commands::each::{Report, Teller};
use crate::exit_code;
use crate::failure::{Failure, warn};
use crate::output::{Kind, cell_text, json_line};

/// Shows the plan of each node; with the server, what it would refuse is an error as it would be.
pub async fn dry_run(
    session: &Session,
    targets: &[String],
    options: &DrainOptions,
    args: &DrainArgs,
) -> Result<(), Failure> {
    let mut teller = Teller::default();
    let plan = async |name: &str| {
        let plan = session.client.plan_drain(name, options.policy.clone()).await?;
        if args.dry_run == DrainDryRun::Server {
            session.client.drain_node(name, options.clone(), change(args, true)).await?;
        }
        not_refused(&plan)?;
        Ok(plan)
    };
    let mut told = Ok(());
    let done = |plan: DrainPlan| match text(&plan, args) {
        Ok(text) => {
            plan.warnings.iter().chain(&plan.obstacles).for_each(|line| warn(line));
            teller.tell(&Report { notes: Vec::new(), text });
        }
        Err(failure) => told = Err(failure),
    };
    let result = session.each(targets, plan, done).await;
    teller.outcome(result.and(told), &session.server)
}

fn not_refused(plan: &DrainPlan) -> Result<(), Failure> {
    if plan.refusals.is_empty() {
        return Ok(());
    }
    let message = format!("the drain of node {:?} would be refused", node_id(&plan.node));
    let details = plan.refusals.iter().map(|line| format!("  {line}")).collect();
    Err(Failure::Ended { message, details, code: exit_code::REFUSED })
}

fn text(plan: &DrainPlan, args: &DrainArgs) -> Result<String, Failure> {
    if args.output == FollowFormat::Json {
        return json_line(plan, Kind::DrainPlan);
    }
    let suffix = if args.dry_run == DrainDryRun::Server { "server dry run" } else { "dry run" };
    let node = format!("node/{}", node_id(&plan.node));
    let lines = std::iter::once(format!("{node} cordoned"))
        .chain(plan.pods.iter().map(pod_line))
        .chain(std::iter::once(format!("{node} drained")));
    Ok(lines.map(|line| format!("{} ({suffix})\n", cell_text(&line))).collect())
}

fn pod_line(plan: &PodPlan) -> String {
    let pod = plan.pod.as_ref().map(|pod| format!("{}/{}", pod.namespace, pod.pod)).unwrap_or_default();
    match plan.action() {
        Action::Evict => format!("evicting pod {pod}"),
        Action::Delete => format!("deleting pod {pod}"),
        Action::WaitForCompletion => format!("waiting for pod {pod} to finish"),
        Action::Skip | Action::Refuse | Action::Unspecified => format!("pod {pod} stays"),
    }
}
