//! `delete`.

use nodeward_client::api::{DeleteNodesResponse, PropagationPolicy};
use nodeward_client::{DeleteOptions, Selection, node_id};

use crate::args::{Cascade, DeleteArgs};
use crate::commands::{Session, change, dry_run_suffix, list_options};
use crate::failure::Failure;
use crate::names;
use crate::output::{Format, Kind, json_line, print, yaml_document};

/// Deletes the nodes that are named, or all that match.
pub async fn delete(session: &Session, args: DeleteArgs) -> Result<(), Failure> {
    let names = names::nodes(&args.names)?;
    let is_selection = args.select.selector.is_some() || args.select.filter.is_some();
    match (names.is_empty(), is_selection) {
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
    let options = DeleteOptions { allow_missing: args.ignore_not_found, propagation_policy: propagation(args) };
    session
        .each(names, async |name| {
            let changed = session.client.delete(name, options.clone(), change.clone()).await?;
            session.trace(&changed);
            show(std::slice::from_ref(&name.to_owned()), args)
        })
        .await
}

async fn delete_matching(session: &Session, args: &DeleteArgs) -> Result<(), Failure> {
    let options = list_options(args.select.clone());
    let Some(expected_count) = args.expect else {
        let matching = session.targets(&[], &args.select).await?;
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
    let changed = session.client.delete_nodes(selection, change(&args.change, 1)?).await?;
    session.trace(&changed);
    show(&changed.value, args)
}

/// The first of many names.
fn some(names: &[String]) -> String {
    const MOST: usize = 10;
    let shown = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{shown}, ...") } else { shown }
}

fn show(names: &[String], args: &DeleteArgs) -> Result<(), Failure> {
    let deleted_nodes = || names.iter().map(|name| format!("nodes/{}", node_id(name))).collect();
    match args.change.output {
        Some(Format::Json) => {
            print(&json_line(&DeleteNodesResponse { deleted_nodes: deleted_nodes() }, Kind::DeleteNodesResponse)?)
        }
        Some(Format::Yaml) => {
            print(&yaml_document(&DeleteNodesResponse { deleted_nodes: deleted_nodes() }, Kind::DeleteNodesResponse)?)
        }
        Some(Format::Name) => print(&names.iter().map(|name| format!("node/{}\n", node_id(name))).collect::<String>()),
        Some(Format::Wide) | None => {
            let suffix = dry_run_suffix(&args.change);
            let line = |name: &String| format!("node {:?} deleted{suffix}\n", node_id(name));
            print(&names.iter().map(line).collect::<String>())
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
