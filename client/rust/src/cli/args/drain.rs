//! The arguments of `drain` and `plan`: kubectl's flags with kubectl's defaults, and those of the policy that kubectl lacks.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::{SelectArgs, quoted_etag};
use crate::connection::{Timeout, timeout};
use crate::output::Format;

/// How nodes are drained.
///
/// Without --policy all that no flag says is as with kubectl: pods of DaemonSets, pods without a controller and data in emptyDir
/// volumes make the drain refuse, and all pods go at once. With --policy it is as the file says, and what the file does not say
/// is nodeward's careful default: pods of DaemonSets stay, and tiers go one after the other. Flags override the file.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Policy")]
pub struct PolicyArgs {
    /// A file with a DrainPolicy in YAML or JSON, in the JSON names of the contract, `-` for the standard input. What neither it
    /// nor a flag says is nodeward's careful default (tiers, pods of DaemonSets stay), not kubectl's
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Remove pods without a controller too, for good, and those of DaemonSets that don't exist any more
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub force: Option<bool>,
    /// Leave pods of DaemonSets where they are, instead of refusing
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub ignore_daemonsets: Option<bool>,
    /// Remove pods although the data in their emptyDir volumes is lost, instead of refusing
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub delete_emptydir_data: Option<bool>,
    /// Delete pods instead of evicting them: their disruption budgets are not asked
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub disable_eviction: Option<bool>,
    /// How many seconds each pod has to end; -1 for as long as it asks for itself [default: -1]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub grace_period: Option<i64>,
    /// How long the drain of a node may take, for example `10m`; 0s for as long as it takes [default: 0s]
    #[arg(id = "deadline", long = "timeout", value_name = "DURATION", value_parser = timeout)]
    pub deadline: Option<Timeout>,
    /// Only pods that this label selector selects
    #[arg(long, value_name = "SELECTOR")]
    pub pod_selector: Option<String>,
    /// Don't wait for pods whose grace period is over for more than so many seconds; 0 to wait [default: 0]
    #[arg(long, value_name = "SECONDS")]
    pub skip_wait_for_delete_timeout: Option<u32>,
    /// A budget that need not be kept, and why, which is put on record; may be repeated
    #[arg(long = "override-budget", value_name = "NAMESPACE/NAME=REASON")]
    pub override_budgets: Vec<String>,
    /// What happens to pods that are left at the deadline
    #[arg(long, value_enum)]
    pub at_deadline: Option<AtDeadline>,
    /// How many pods may be on their way out at a time; 0 for as many as their budgets allow
    #[arg(long, value_name = "N")]
    pub parallelism: Option<u16>,
    /// What waits for what
    #[arg(long, visible_alias = "order", value_enum)]
    pub ordering: Option<Ordering>,
    /// What happens if somebody makes the node schedulable meanwhile
    #[arg(long, value_enum)]
    pub on_uncordon: Option<OnUncordon>,
    /// What happens if the node has lost contact
    #[arg(long, value_enum)]
    pub unreachable: Option<Unreachable>,
    /// When pods with PersistentVolumes are gone
    #[arg(long, value_enum)]
    pub volumes: Option<Volumes>,
    /// kubectl's: has no effect
    #[arg(long, hide = true, value_name = "N")]
    pub chunk_size: Option<i64>,
    /// How long a request may take, retries included; what --timeout is to other commands
    // The id of the connection's own: a value given here is the connection's, and `--timeout` is free for kubectl's meaning.
    #[arg(id = "timeout", long = "request-timeout", value_name = "DURATION", value_parser = timeout, help_heading = "Connection")]
    pub request_timeout: Option<Timeout>,
}

/// What happens to what is left at the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AtDeadline {
    /// The drain fails and says which pods are left, and why
    Fail,
    /// They are deleted, whatever their budgets say
    Delete,
}

/// What waits for what, among pods of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ordering {
    /// Ordinary pods, those of DaemonSets, critical pods, those of DaemonSets
    ByTier,
    /// All at once, as with kubectl
    AllAtOnce,
}

/// Somebody makes the node schedulable while it is drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnUncordon {
    /// It is cordoned again
    CordonAgain,
    /// No further pod is removed until somebody cordons it
    Pause,
    /// The drain is cancelled
    Cancel,
}

/// A node that has lost contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Unreachable {
    /// Its pods are waited for
    Wait,
    /// Pods whose grace period is over are left: only when the machine is off
    LeaveTerminating,
}

/// The PersistentVolumes of pods that have gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Volumes {
    /// They may still be attached to the node, as with kubectl
    Ignore,
    /// A pod is gone only when its volumes are detached from the node
    WaitDetached,
}

/// Whether something is only tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DrainDryRun {
    /// It is done
    None,
    /// The plan is shown
    Client,
    /// The plan is shown, and the server checks the request as it would before it begins
    Server,
}

/// How a drain is shown while it is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FollowFormat {
    /// Bars on a terminal, and else a line for each thing that happens
    #[default]
    Text,
    /// Each event as JSON on a line, with the name of its operation
    Json,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Without --policy all that no flag says is as with kubectl: pods of DaemonSets, pods without a controller \
    and data in emptyDir volumes make the drain refuse, and all pods go at once. With --policy, even of an empty file, what is \
    not said is nodeward's careful default: pods of DaemonSets stay, and tiers go one after the other.\n\nThe drain is carried \
    out by the server: Ctrl-C ends the watching of it, not the drain."
)]
pub struct DrainArgs {
    /// The nodes
    pub names: Vec<String>,
    #[command(flatten)]
    pub select: SelectArgs,
    /// Change nothing, and show what would be done: by the plan (client), or also checked as a request (server)
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_value = "none", default_missing_value = "server")]
    pub dry_run: DrainDryRun,
    /// Why: for the trace and the record of the drain
    #[arg(long, env = "NODEWARD_REASON", default_value = "", hide_default_value = true)]
    pub reason: String,
    /// A UUID that makes the request safe to send again; made if it is not given
    #[arg(long, value_name = "UUID")]
    pub request_id: Option<String>,
    /// Drain the node only if it is still at this version (`etag` in `get -o yaml`; its quotes may be left out)
    #[arg(long, value_parser = quoted_etag)]
    pub etag: Option<String>,
    /// Drain the node only as this plan of `nodeward plan` says
    #[arg(long, value_name = "HASH")]
    pub plan_hash: Option<String>,
    /// Begin the drain, print the name of its operation, and don't follow it
    #[arg(long)]
    pub detach: bool,
    /// How to show it
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: FollowFormat,
    #[command(flatten)]
    pub policy: PolicyArgs,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The node
    pub name: String,
    /// How to show the plan
    #[arg(short, long, value_enum)]
    pub output: Option<Format>,
    #[command(flatten)]
    pub policy: PolicyArgs,
}
