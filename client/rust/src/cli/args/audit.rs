//! The arguments of `audit`.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand, ValueEnum};
use nodeward_audit_log::Position;
use nodeward_client::Code;
use nodeward_client::api::AuditRecordFilter;
use nodeward_client::api::audit_outcome::Result as Outcome;
use nodeward_client::resource_name;
use prost_types::Timestamp;

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Show who changed what, when, why and with which result, the newest first. With a node also what was not changed
    /// through nodeward, from the node's managedFields
    List(AuditListArgs),
    /// Show changes as they are recorded; goes on by itself after interruptions
    Follow(AuditFollowArgs),
    /// Verify the files of an audit log, without a server
    Verify(AuditVerifyArgs),
}

/// Which records.
#[derive(Clone, Debug, Default, Args)]
pub struct AuditFilterArgs {
    /// What was done to this node
    #[arg(long)]
    pub node: Option<String>,
    /// What this user did
    #[arg(long)]
    pub user: Option<String>,
    /// The calls of this RPC, for example CordonNode
    #[arg(long)]
    pub rpc: Option<String>,
    /// What became of them: changed, unchanged, validated, replayed, failed, unknown, a gRPC code such as PERMISSION_DENIED, or
    /// the reason of an error such as ACCESS_DENIED
    #[arg(long)]
    pub outcome: Option<String>,
    /// This call: `x-audit-id` of its answer, `auditID` in Kubernetes' audit log
    #[arg(long, value_name = "UUID")]
    pub audit_id: Option<String>,
    /// The steps of this operation, such as evictions, and its end
    #[arg(long, value_name = "OPERATION")]
    pub operation: Option<String>,
    /// Only calls since then: a time such as 2026-11-24T10:00:00Z, or how long ago, such as 90m or 2d
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<SystemTime>,
}

#[derive(Debug, Args)]
pub struct AuditListArgs {
    #[command(flatten)]
    pub filter: AuditFilterArgs,
    /// Only calls before then
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<SystemTime>,
    /// The most calls to show; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// How to show them
    #[arg(short, long, value_enum)]
    pub output: Option<AuditFormat>,
}

#[derive(Debug, Args)]
pub struct AuditFollowArgs {
    #[command(flatten)]
    pub filter: AuditFilterArgs,
    /// Go on after the message with this token (`resumeToken` in `-o json`)
    #[arg(long, value_name = "TOKEN")]
    pub resume_token: Option<String>,
    /// How to show the changes; json is one message a line, intents included
    #[arg(short, long, value_enum)]
    pub output: Option<AuditFormat>,
}

#[derive(Debug, Args)]
pub struct AuditVerifyArgs {
    /// The directory of the log
    pub dir: PathBuf,
    /// The public key of the log, from elsewhere than its directory: a PEM file, or the key in base64
    // `--key` is the client's, of the connection.
    #[arg(long, value_name = "FILE|BASE64", required_unless_present = "trust_the_log")]
    pub public_key: Option<String>,
    /// Take the key from the log itself: finds accidents, but nobody who could write to the log
    #[arg(long, conflicts_with = "public_key")]
    pub trust_the_log: bool,
    /// An entry that the log must have, as `position` and `logEnd` of `audit list -o json` name them
    #[arg(long, value_name = "SEQUENCE:HASH")]
    pub expect: Vec<Position>,
    /// A file with checkpoints or positions that were kept elsewhere, one a line, which the log must have
    #[arg(long = "checkpoint", value_name = "FILE")]
    pub checkpoints: Vec<PathBuf>,
    /// How to show the report
    #[arg(short, long, value_enum)]
    pub output: Option<ReportFormat>,
}

/// How records are shown, other than as a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    /// The messages of the contract, as JSON
    Json,
    /// The same as YAML
    Yaml,
    /// The table with more columns
    Wide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    Json,
}

impl AuditFilterArgs {
    /// The filter of the contract.
    pub fn filter(&self) -> AuditRecordFilter {
        let given = |text: &Option<String>| text.clone().unwrap_or_default();
        let mut filter = AuditRecordFilter {
            node: self.node.as_deref().map(resource_name).unwrap_or_default(),
            username: given(&self.user),
            rpc: given(&self.rpc),
            audit_id: given(&self.audit_id),
            operation: given(&self.operation),
            ..AuditRecordFilter::default()
        };
        let outcome = given(&self.outcome);
        match (outcome_named(&outcome), outcome.to_uppercase()) {
            (Some(outcome), _) => filter.result = outcome.into(),
            (None, name) if is_code(&name) => filter.code = name,
            (None, name) => filter.error_reason = name,
        }
        filter
    }

    /// Whether nothing but a node and a time is asked for.
    pub fn is_of_a_node_alone(&self) -> bool {
        let others = [&self.user, &self.rpc, &self.outcome, &self.audit_id, &self.operation];
        self.node.is_some() && others.iter().all(|field| field.is_none())
    }
}

fn outcome_named(name: &str) -> Option<Outcome> {
    match name {
        "changed" => Some(Outcome::Changed),
        "unchanged" => Some(Outcome::Unchanged),
        "validated" => Some(Outcome::Validated),
        "replayed" => Some(Outcome::Replayed),
        "failed" => Some(Outcome::Failed),
        "unknown" => Some(Outcome::Unknown),
        _ => None,
    }
}

fn is_code(name: &str) -> bool {
    // NOT_FOUND of gRPC is NotFound in Rust.
    (0..17).map(Code::from_i32).any(|code| format!("{code:?}").to_uppercase() == name.replace('_', ""))
}

/// A time, or how long ago.
fn time(text: &str) -> Result<SystemTime, String> {
    let expected = || "a time such as 2026-11-24T10:00:00Z is expected, or how long ago, such as 90m or 2d".to_owned();
    if let Ok(ago) = humantime::parse_duration(text) {
        return SystemTime::now().checked_sub(ago).ok_or_else(expected);
    }
    let time: Timestamp = text.parse().map_err(|_| expected())?;
    SystemTime::try_from(time).map_err(|_| expected())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of_outcome(outcome: &str) -> AuditRecordFilter {
        AuditFilterArgs { outcome: Some(outcome.to_owned()), ..AuditFilterArgs::default() }.filter()
    }

    #[test]
    fn an_outcome_is_a_result_a_code_or_a_reason() {
        assert_eq!(of_outcome("changed").result(), Outcome::Changed);
        assert_eq!(of_outcome("PERMISSION_DENIED").code, "PERMISSION_DENIED");
        assert_eq!(of_outcome("ok").code, "OK");
        assert_eq!(of_outcome("access_denied").error_reason, "ACCESS_DENIED");
        assert_eq!(AuditFilterArgs::default().filter(), AuditRecordFilter::default());
    }

    #[test]
    fn a_node_is_named_with_or_without_its_collection() {
        for node in ["worker-3", "nodes/worker-3"] {
            let args = AuditFilterArgs { node: Some(node.into()), ..AuditFilterArgs::default() };
            assert_eq!(args.filter().node, "nodes/worker-3");
        }
    }

    #[test]
    fn a_time_is_a_moment_or_how_long_ago() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(3600);
        assert_eq!(time("1970-01-01T01:00:00Z"), Ok(moment));
        assert_eq!(time("1970-01-01T02:00:00+01:00"), Ok(moment));
        let ago = time("90m").unwrap().elapsed().unwrap().as_secs();
        assert!((5400..5500).contains(&ago), "{ago}");
        assert!(time("yesterday").is_err());
    }
}
