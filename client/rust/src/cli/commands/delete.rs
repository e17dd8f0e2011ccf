//! `delete`.

use nodeward_client::api::{DeleteNodesResponse, PropagationPolicy};
use nodeward_client::{DeleteOptions, Selection, node_id};

use crate::args::{Cascade, ChangeArgs, DeleteArgs};
use crate::commands::each::{Report, Teller, failed};
use crate::commands::{Session, change, dry_run_suffix, is_selection, list_options};
use crate::failure::Failure;
use crate::names;
use crate::output::{Format, Kind, json_line, yaml_document};

/// Deletes the nodes that are named, or all that match.
pub async fn delete(session: &Session, args: DeleteArgs) -> Result<(), Failure> {
    let names = names::nodes(&args.names)?;
    match (names.is_empty(), is_selection(&args.select)?) {
        (false, true) => Err(Failure::usage("give either names or a selector or filter, not both")),
        (true, false) => Err(Failure::usage("give the names of nodes, or a selector or filter with --expect")),
        (false, false) => delete_named(session, &names, &args).await,
        (true, true) => delete_matching(session, &args).await,
    }
}

async fn delete_named(session: &Session, names: &[String], args: &DeleteArgs) -> Result<(), Failure> {
    if args.expect.is_some() {
        return Err(Failure::usage("--expect is for a selector or a filter"));
    }
    let change = change(&args.change, names.len())?;
    let options = DeleteOptions { allow_missing: false, propagation_policy: propagation(args) };
    session
        .change_each(names, &args.change, async |name| {
            match session.client.delete(name, options.clone(), change.clone()).await {
                Ok(changed) => {
                    Ok(Report { notes: session.trace(&changed), text: text(&[name.to_owned()], &args.change)? })
                }
                // As with kubectl, nothing is said of it. The server is not asked to allow it: it would not tell.
                Err(error) if args.ignore_not_found && error.reason() == Some("NODE_NOT_FOUND") => {
                    Ok(Report::default())
                }
                Err(error) => Err(error.into()),
            }
        })
        .await
}

async fn delete_matching(session: &Session, args: &DeleteArgs) -> Result<(), Failure> {
    let options = list_options(args.select.clone());
    let Some(expected_count) = args.expect else {
        let matching = session.matching(&args.select).await?;
        return Err(Failure::Usage {
            message: "--expect is required with a selector or a filter".to_owned(),
            hint: Some(match matching.as_slice() {
                [] => "no node matches now".to_owned(),
                names => format!("{} match now: {}", names.len(), some(names)),
            }),
        });
    };
    let selection = Selection {
        filter: options.filter,
        label_selector: options.label_selector,
        expected_count,
        propagation_policy: propagation(args),
    };
    let result = session.client.delete_nodes(selection, change(&args.change, 1)?).await;
    let changed = result.map_err(|error| failed(error.into(), &args.change, None))?;
    let mut teller = Teller::default();
    teller.tell(&Report { notes: session.trace(&changed), text: text(&changed.value, &args.change)? });
    teller.outcome(Ok(()), &session.server)
}

/// The first of many names.
fn some(names: &[String]) -> String {
    const MOST: usize = 10;
    let shown = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{shown}, ...") } else { shown }
}

/// What is told of nodes that were deleted.
fn text(names: &[String], args: &ChangeArgs) -> Result<String, Failure> {
    let response = || {
        let deleted_nodes = names.iter().map(|name| format!("nodes/{}", node_id(name))).collect();
        DeleteNodesResponse { deleted_nodes }
    };
    match args.output {
        Some(Format::Json) => json_line(&response(), Kind::DeleteNodesResponse),
        Some(Format::Yaml) => yaml_document(&response(), Kind::DeleteNodesResponse),
        Some(Format::Name) => Ok(names.iter().map(|name| format!("node/{}\n", node_id(name))).collect()),
        Some(Format::Wide) | None => {
            let suffix = dry_run_suffix(args);
            Ok(names.iter().map(|name| format!("node {:?} deleted{suffix}\n", node_id(name))).collect())
        }
    }
}

fn propagation(args: &DeleteArgs) -> PropagationPolicy {
    match args.cascade {
        None => PropagationPolicy::Unspecified,
        Some(Cascade::Background) => PropagationPolicy::Background,
        Some(Cascade::Foreground) => PropagationPolicy::Foreground,
        Some(Cascade::Orphan) => PropagationPolicy::Orphan,
    }
}
