//! `drain`: begun on every node, then followed.

mod dry_run;
mod ended;
mod follow;

use nodeward_client::longrunning::Operation;
use nodeward_client::{Change, Changed, Code, DrainOptions, ReadOptions};

use crate::args::{DrainArgs, DrainDryRun, FollowFormat};
use crate::commands::{Session, of_one_node};
use crate::drain;
use crate::failure::{Failure, note};
use crate::output::{Kind, json_line, print};

pub use ended::ended;
pub use follow::follow;

/// Empties nodes.
pub async fn drain(session: &Session, args: DrainArgs) -> Result<(), Failure> {
    let policy = drain::policy(&args.policy)?;
    let targets = session.targets(&args.names, &args.select).await?;
    of_one_node(&args.request_id, &args.etag, targets.len())?;
    of_one_plan(&args, targets.len())?;
    if !args.names.is_empty() {
        session.find_all(&targets).await?;
    }
    let options = DrainOptions { policy, plan_hash: args.plan_hash.clone() };
    if args.dry_run != DrainDryRun::None {
        return dry_run::dry_run(session, &targets, &options, &args).await;
    }
    let mut begun = Vec::new();
    let result = begin(session, &targets, &options, &args, &mut begun).await;
    if begun.is_empty() {
        return result;
    }
    if args.detach {
        tell_names(&begun, args.output)?;
        return result;
    }
    let drained = follow(session, &begun, args.output).await;
    both(result, drained)
}

/// Begins the drain of each node, also if that of another one can't be begun.
async fn begin(
    session: &Session,
    targets: &[String],
    options: &DrainOptions,
    args: &DrainArgs,
    begun: &mut Vec<Operation>,
) -> Result<(), Failure> {
    let change = change(args, false);
    let is_one_of_many = targets.len() > 1;
    let begin = async |name: &str| {
        let result = session.client.drain_node(name, options.clone(), change.clone()).await;
        let node = Some(name).filter(|_| is_one_of_many);
        result.map_err(|error| Failure::from(error).of_change(node))
    };
    let done = |changed: Changed<Operation>| {
        session.trace(&changed).iter().for_each(|line| note(line));
        begun.push(changed.value);
    };
    session.each(targets, begin, done).await
}

/// What goes with the request.
fn change(args: &DrainArgs, validate_only: bool) -> Change {
    Change { request_id: args.request_id.clone(), etag: args.etag.clone(), validate_only, reason: args.reason.clone() }
}

fn of_one_plan(args: &DrainArgs, targets: usize) -> Result<(), Failure> {
    match args.plan_hash {
        Some(_) if targets > 1 => Err(Failure::usage(format!("--plan-hash is for one node, these are {targets}"))),
        _ => Ok(()),
    }
}

/// Says what to follow the operations by.
fn tell_names(begun: &[Operation], format: FollowFormat) -> Result<(), Failure> {
    let told: Result<String, Failure> = begun
        .iter()
        .map(|operation| match format {
            FollowFormat::Text => Ok(format!("{}\n", operation.name)),
            FollowFormat::Json => json_line(operation, Kind::Operation),
        })
        .collect();
    print(&told?)
}

/// What came of two parts of a command, of which the first was reported.
fn both(first: Result<(), Failure>, second: Result<(), Failure>) -> Result<(), Failure> {
    match (first, second) {
        (Err(first), Err(second)) if first.exit_code() != second.exit_code() => Err(Failure::Reported(1)),
        (Err(first), Ok(())) => Err(first),
        (_, second) => second,
    }
}

impl Session {
    /// That all of these nodes are there: if one is not, none is touched.
    async fn find_all(&self, targets: &[String]) -> Result<(), Failure> {
        let read_mask = vec!["name".to_owned()];
        let find = async |name: &str| {
            let options = ReadOptions { read_mask: read_mask.clone(), ..ReadOptions::default() };
            match self.client.get_node(name, options).await {
                Ok(_) => Ok(()),
                // Who may drain nodes need not be allowed to read them.
                Err(error) if error.code() == Code::PermissionDenied => Ok(()),
                Err(error) => Err(Failure::from(error)),
            }
        };
        let found = self.each(targets, find, |()| {}).await;
        if found.is_err() && targets.len() > 1 {
            note("No node was touched");
        }
        found
    }
}
