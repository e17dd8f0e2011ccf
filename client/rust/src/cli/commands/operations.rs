//! `operations`.

use std::time::SystemTime;

use futures::TryStreamExt;
use nodeward_client::api::OperationState;
use nodeward_client::api::cancel_operation_request::Cordon;
use nodeward_client::longrunning::{ListOperationsResponse, Operation};
use nodeward_client::{CancelOptions, OperationListOptions, drain_metadata, node_id, operation_name};

use crate::args::{
    OperationsCancelArgs, OperationsCommand, OperationsDeleteArgs, OperationsGetArgs, OperationsListArgs,
    OperationsWaitArgs, OperationsWatchArgs,
};
use crate::commands::drain::{ended, follow};
use crate::commands::each::{combined, failed};
use crate::commands::{Session, change, dry_run_suffix};
use crate::failure::{Failure, note};
use crate::output::{Format, Kind, aligned, cell_text, message_value, print, since, value_json, value_yaml};

const HEADER: [&str; 8] = ["NAME", "NODE", "STATE", "GONE", "BLOCKED", "AGE", "CALLER", "WHY"];

/// Carries out one of the commands.
pub async fn run(session: &Session, command: OperationsCommand) -> Result<(), Failure> {
    match command {
        OperationsCommand::List(args) => list(session, args).await,
        OperationsCommand::Get(args) => get(session, args).await,
        OperationsCommand::Watch(args) => watch(session, args).await,
        OperationsCommand::Wait(args) => wait(session, args).await,
        OperationsCommand::Cancel(args) => cancel(session, args).await,
        OperationsCommand::Delete(args) => delete(session, args).await,
    }
}

async fn list(session: &Session, args: OperationsListArgs) -> Result<(), Failure> {
    let options = OperationListOptions { filter: args.filter, page_size: 0 };
    let operations: Vec<Operation> = session.client.operations(options).try_collect().await?;
    match args.output {
        Some(format @ (Format::Json | Format::Yaml)) => {
            let response = ListOperationsResponse { operations, ..ListOperationsResponse::default() };
            print(&document(message_value(&response, Kind::ListOperationsResponse)?, format)?)
        }
        Some(Format::Name) => print(&operations.iter().map(|one| format!("{}\n", one.name)).collect::<String>()),
        Some(Format::Wide) | None if operations.is_empty() => {
            note("No operations found");
            Ok(())
        }
        Some(Format::Wide) | None => print(&table(&operations)),
    }
}

async fn get(session: &Session, args: OperationsGetArgs) -> Result<(), Failure> {
    print(&shown(&session.client.operation(&args.name).await?, args.output)?)
}

async fn watch(session: &Session, args: OperationsWatchArgs) -> Result<(), Failure> {
    let mut operations = Vec::new();
    for name in &args.names {
        operations.push(session.client.operation(name).await?);
    }
    follow(session, &operations, args.output).await
}

async fn wait(session: &Session, args: OperationsWaitArgs) -> Result<(), Failure> {
    let timeout = args.wait_timeout.and_then(|timeout| timeout.0);
    let operation = session.client.wait_operation(&args.name, timeout).await?;
    ended(&operation, false)?;
    let node = drain_metadata(&operation).unwrap_or_default().node;
    print(&format!("node/{} drained\n", node_id(&node)))
}

async fn cancel(session: &Session, args: OperationsCancelArgs) -> Result<(), Failure> {
    let cordon = if args.release_cordon { Cordon::Release } else { Cordon::Keep };
    let request = change(&args.change, 1)?;
    let result = session.client.cancel_operation(&args.name, CancelOptions { cordon }, request).await;
    let cancelled = result.map_err(|error| failed(error.into(), &args.change, None))?;
    session.trace(&cancelled).iter().for_each(|line| note(line));
    match args.change.output {
        None => {
            let done = if cancelled.value.done { "has ended already" } else { "is being cancelled" };
            print(&format!("{} {done}{}\n", operation_name(&args.name), dry_run_suffix(&args.change)))
        }
        format => print(&shown(&cancelled.value, format)?),
    }
}

/// Forgets each, also if another one can't be forgotten.
async fn delete(session: &Session, args: OperationsDeleteArgs) -> Result<(), Failure> {
    let mut codes = Vec::new();
    for name in &args.names {
        match session.client.delete_operation(name).await {
            Ok(()) => print(&format!("{} deleted\n", operation_name(name)))?,
            Err(error) => {
                let failure = Failure::from(error);
                failure.report(None, Some(&session.server));
                codes.push(failure.exit_code());
            }
        }
    }
    combined(&codes)
}

fn shown(operation: &Operation, format: Option<Format>) -> Result<String, Failure> {
    match format {
        Some(format @ (Format::Json | Format::Yaml)) => document(message_value(operation, Kind::Operation)?, format),
        Some(Format::Name) => Ok(format!("{}\n", operation.name)),
        Some(Format::Wide) | None => Ok(table(std::slice::from_ref(operation))),
    }
}

fn document(value: serde_json::Value, format: Format) -> Result<String, Failure> {
    if format == Format::Yaml { value_yaml(&value) } else { value_json(&value) }
}

fn table(operations: &[Operation]) -> String {
    let now = SystemTime::now();
    aligned(&HEADER, operations.iter().map(|operation| cells(operation, now)))
}

fn cells(operation: &Operation, now: SystemTime) -> Vec<String> {
    let metadata = drain_metadata(operation).unwrap_or_default();
    let progress = metadata.progress.unwrap_or_default();
    let cells = [
        operation.name.clone(),
        node_id(&metadata.node).to_owned(),
        state(metadata.state()),
        format!("{}/{}", progress.gone, progress.total),
        progress.blocked.to_string(),
        since(metadata.create_time.as_ref(), now),
        metadata.caller,
        metadata.reason,
    ];
    cells.iter().map(|cell| cell_text(cell)).collect()
}

/// As filters name it.
fn state(state: OperationState) -> String {
    state.as_str_name().trim_start_matches("OPERATION_STATE_").to_owned()
}
