//! The command line: each command's arguments, in kubectl's words where it has them.

mod audit;
mod drain;
mod operations;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::connection::ConnectionArgs;
use crate::exit_code;
use crate::output::Format;

pub use audit::{AuditCommand, AuditFollowArgs, AuditFormat, AuditListArgs, AuditVerifyArgs};

pub use drain::{
    AtDeadline, DrainArgs, DrainDryRun, FollowFormat, OnUncordon, Ordering, PlanArgs, PolicyArgs, Unreachable, Volumes,
};
pub use operations::{
    OperationsCancelArgs, OperationsCommand, OperationsDeleteArgs, OperationsGetArgs, OperationsListArgs,
    OperationsWaitArgs, OperationsWatchArgs,
};

/// Read, watch and change the nodes of a Kubernetes cluster through nodeward.
#[derive(Debug, Parser)]
#[command(name = "nodeward", version, after_help = exit_code::help())]
pub struct Cli {
    #[command(flatten)]
    pub connection: ConnectionArgs,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show nodes: those named, or all
    Get(GetArgs),
    /// List the nodes that match
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show nodes and their changes as they happen; goes on by itself after interruptions
    Watch(WatchArgs),
    /// Keep new pods off nodes
    Cordon(CordonArgs),
    /// Let new pods be scheduled on nodes again
    Uncordon(UncordonArgs),
    /// Empty nodes, with kubectl's flags and defaults; the server carries it out, also if this command ends
    Drain(Box<DrainArgs>),
    /// Show what draining a node would do, pod by pod, and change nothing
    Plan(Box<PlanArgs>),
    /// Show, follow and cancel what the server carries out: drains
    #[command(subcommand, visible_alias = "op")]
    Operations(OperationsCommand),
    /// Set and remove labels
    Label(PairsArgs),
    /// Set and remove annotations
    Annotate(PairsArgs),
    /// Set and remove taints
    Taint(TaintArgs),
    /// Apply a patch in one of Kubernetes' formats
    Patch(PatchArgs),
    /// Create nodes from Kubernetes manifests
    Create(CreateArgs),
    /// Delete node objects; the machines are not touched
    Delete(DeleteArgs),
    /// Show who changed what, when, why and with which result, and verify that record
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Show the contexts of the configuration, and choose one
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completion {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show what all files of the configuration say together
    View,
    /// List the contexts; the current one has a star
    #[command(visible_alias = "get-contexts")]
    Contexts,
    /// Make a context the current one, in your own file
    UseContext {
        /// Its name.
        name: String,
    },
}

/// Which nodes, other than by name.
#[derive(Clone, Debug, Default, Args)]
pub struct SelectArgs {
    /// A label selector, for example `team in (blue,green),!gpu`
    #[arg(short = 'l', long)]
    pub selector: Option<String>,
    /// A filter, for example `readiness = LOST_CONTACT AND labels.team = "blue"`; `name = "*"` is all nodes
    #[arg(long)]
    pub filter: Option<String>,
}

/// What all changes have in common.
#[derive(Clone, Debug, Args)]
pub struct ChangeArgs {
    /// Check the request with the cluster and show the result, but change nothing
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_value = "none", default_missing_value = "server")]
    pub dry_run: DryRun,
    /// Why: for the trace and the record of the change
    #[arg(long, env = "NODEWARD_REASON", default_value = "", hide_default_value = true)]
    pub reason: String,
    /// A UUID that makes the change safe to send again; made if it is not given
    #[arg(long, value_name = "UUID")]
    pub request_id: Option<String>,
    /// Change the node only if it is still at this version (`etag` in `-o yaml`; its quotes may be left out)
    #[arg(long, value_parser = quoted_etag)]
    pub etag: Option<String>,
    /// How to show the result
    #[arg(short, long, value_enum)]
    pub output: Option<Format>,
}

/// The quotes are a part of every etag, and shells eat them.
fn quoted_etag(text: &str) -> Result<String, String> {
    match text.trim_matches('"') {
        "" => Err("it is empty".to_owned()),
        bare => Ok(format!("\"{bare}\"")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    None,
    Server,
}

#[derive(Debug, Args)]
pub struct GetArgs {
    /// Names: `worker-1`, `nodes/worker-1`, or as with kubectl `node worker-1`
    pub names: Vec<String>,
    #[command(flatten)]
    pub select: SelectArgs,
    /// The order of a list: `name` or `name desc`
    #[arg(long, visible_alias = "sort-by", value_name = "ORDER")]
    pub sort: Option<String>,
    /// Then go on showing changes
    #[arg(short, long)]
    pub watch: bool,
    /// How to show the nodes
    #[arg(short, long, value_enum)]
    pub output: Option<Format>,
    /// Ask Kubernetes itself instead of the server's cache
    #[arg(long)]
    pub consistent: bool,
    /// Show who set which field, too, in json and yaml. It asks Kubernetes itself
    #[arg(long, conflicts_with = "watch")]
    pub show_managed_fields: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub select: SelectArgs,
    /// The order: `name` or `name desc`
    #[arg(long, visible_alias = "sort-by", value_name = "ORDER")]
    pub sort: Option<String>,
    /// How to show the nodes
    #[arg(short, long, value_enum)]
    pub output: Option<Format>,
    /// Ask Kubernetes itself instead of the server's cache
    #[arg(long)]
    pub consistent: bool,
    /// Show who set which field, too, in json and yaml. It asks Kubernetes itself
    #[arg(long)]
    pub show_managed_fields: bool,
}

#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Only these nodes
    pub names: Vec<String>,
    #[command(flatten)]
    pub select: SelectArgs,
    /// Only changes from now on
    #[arg(long)]
    pub watch_only: bool,
    /// Go on after the message with this token (`resumeToken` in `-o json`)
    #[arg(long, value_name = "TOKEN", conflicts_with = "watch_only")]
    pub resume_token: Option<String>,
    /// How to show the changes; json is one message a line
    #[arg(short, long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Debug, Args)]
pub struct CordonArgs {
    /// The nodes
    pub names: Vec<String>,
    #[command(flatten)]
    pub select: SelectArgs,
    /// For whom they are kept cordoned, for example a team or a job, instead of yourself
    #[arg(long, default_value = "", hide_default_value = true)]
    pub owner: String,
    /// For how long, for example 2h; without it until they are uncordoned
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Debug, Args)]
pub struct UncordonArgs {
    /// The nodes
    pub names: Vec<String>,
    #[command(flatten)]
    pub select: SelectArgs,
    /// Whose claim is taken back, instead of your own
    #[arg(long, default_value = "", hide_default_value = true)]
    pub owner: String,
    /// Make them schedulable whoever keeps them cordoned, with nodeward or without
    #[arg(long)]
    pub take_over: bool,
    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Debug, Args)]
pub struct PairsArgs {
    /// The nodes, then KEY=VALUE to set and KEY- to remove
    #[arg(required = true, value_name = "NAME|KEY=VALUE|KEY-")]
    pub arguments: Vec<String>,
    #[command(flatten)]
    pub select: SelectArgs,
    /// Change values that exist already
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Debug, Args)]
pub struct TaintArgs {
    /// The nodes, then KEY=VALUE:EFFECT or KEY:EFFECT to set, KEY:EFFECT- or KEY- to remove
    #[arg(required = true, value_name = "NAME|KEY=VALUE:EFFECT|KEY-")]
    pub arguments: Vec<String>,
    #[command(flatten)]
    pub select: SelectArgs,
    /// Change taints that exist already
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PatchKind {
    /// A list of operations (RFC 6902)
    Json,
    /// A partial object whose lists replace the node's (RFC 7386)
    Merge,
    /// A partial object whose lists are merged by Kubernetes' keys
    Strategic,
    /// Server-side apply
    Apply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SubresourceName {
    Status,
}

#[derive(Debug, Args)]
pub struct PatchArgs {
    /// The nodes
    pub names: Vec<String>,
    #[command(flatten)]
    pub select: SelectArgs,
    /// The format of the patch
    #[arg(long = "type", value_enum, default_value = "strategic")]
    pub kind: PatchKind,
    /// The patch, as JSON or YAML, in Kubernetes' field names
    #[arg(short, long, required_unless_present = "patch_file", conflicts_with = "patch_file")]
    pub patch: Option<String>,
    /// A file with the patch, `-` for the standard input
    #[arg(long, value_name = "FILE")]
    pub patch_file: Option<PathBuf>,
    /// Patch the node's status instead of the node
    #[arg(long, value_enum)]
    pub subresource: Option<SubresourceName>,
    /// Under which name Kubernetes notes who set the fields; `nodeward-cli` for an apply patch
    #[arg(long, value_name = "NAME")]
    pub field_manager: Option<String>,
    /// Take over the fields of other managers; for an apply patch
    #[arg(long, visible_alias = "force-conflicts")]
    pub force: bool,
    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Debug, Args)]
pub struct CreateArgs {
    /// A file with Node manifests in YAML or JSON, `-` for the standard input
    #[arg(short, long = "filename", visible_alias = "file", required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cascade {
    Background,
    Foreground,
    Orphan,
}

#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// The nodes
    pub names: Vec<String>,
    #[command(flatten)]
    pub select: SelectArgs,
    /// With a selector or a filter: how many nodes must match; none is deleted if it is another number
    #[arg(long, value_name = "N")]
    pub expect: Option<i32>,
    /// Succeed also if there is no such node
    #[arg(long)]
    pub ignore_not_found: bool,
    /// What happens to the objects that a node owns
    #[arg(long, value_enum)]
    pub cascade: Option<Cascade>,
    #[command(flatten)]
    pub change: ChangeArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_etag_is_taken_with_and_without_its_quotes() {
        assert_eq!(quoted_etag("7"), Ok("\"7\"".to_owned()));
        assert_eq!(quoted_etag("\"7\""), Ok("\"7\"".to_owned()));
        assert!(quoted_etag("").is_err());
    }

    #[test]
    fn a_dry_run_needs_no_value() {
        let cli = Cli::try_parse_from(["nodeward", "cordon", "--dry-run", "worker-1"]).unwrap();
        let Command::Cordon(cordon) = cli.command else { panic!("not cordon") };
        assert_eq!((cordon.change.dry_run, cordon.names), (DryRun::Server, vec!["worker-1".to_owned()]));
    }
}
