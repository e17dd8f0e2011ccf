//! The arguments of `operations`.

use clap::{Args, Subcommand};

use crate::args::{ChangeArgs, FollowFormat};
use crate::connection::{Timeout, timeout};
use crate::output::Format;

#[derive(Debug, Subcommand)]
pub enum OperationsCommand {
    /// List operations
    #[command(visible_alias = "ls")]
    List(OperationsListArgs),
    /// Show an operation
    Get(OperationsGetArgs),
    /// Follow operations while they are carried out, as `drain` does
    Watch(OperationsWatchArgs),
    /// Wait until an operation has ended
    Wait(OperationsWaitArgs),
    /// Ask an operation to end
    Cancel(OperationsCancelArgs),
    /// Forget operations that have ended
    Delete(OperationsDeleteArgs),
}

#[derive(Debug, Args)]
pub struct OperationsListArgs {
    /// A filter, for example `state = BLOCKED`
    #[arg(long, default_value = "", hide_default_value = true)]
    pub filter: String,
    /// How to show them
    #[arg(short, long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Debug, Args)]
pub struct OperationsGetArgs {
    /// Its name, with or without `operations/`
    pub name: String,
    /// How to show it
    #[arg(short, long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Debug, Args)]
pub struct OperationsWatchArgs {
    /// Their names, with or without `operations/`
    #[arg(required = true)]
    pub names: Vec<String>,
    /// How to show them
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: FollowFormat,
}

#[derive(Debug, Args)]
pub struct OperationsWaitArgs {
    /// Its name, with or without `operations/`
    pub name: String,
    /// How long to wait, for example `10m`; 0s for as long as it takes [default: 0s]
    #[arg(id = "wait_timeout", long = "timeout", value_name = "DURATION", value_parser = timeout)]
    pub wait_timeout: Option<Timeout>,
    /// How long a request may take, retries included; what --timeout is to other commands
    // The id of the connection's own, as for `drain`.
    #[arg(id = "timeout", long = "request-timeout", value_name = "DURATION", value_parser = timeout, help_heading = "Connection")]
    pub request_timeout: Option<Timeout>,
}

#[derive(Debug, Args)]
pub struct OperationsCancelArgs {
    /// Its name, with or without `operations/`
    pub name: String,
    /// Make the node schedulable again, if nobody else keeps it cordoned
    #[arg(long, conflicts_with = "keep_cordon")]
    pub release_cordon: bool,
    /// Leave the node cordoned, which is the default
    #[arg(long)]
    pub keep_cordon: bool,
    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Debug, Args)]
pub struct OperationsDeleteArgs {
    /// Their names, with or without `operations/`
    #[arg(required = true)]
    pub names: Vec<String>,
}
