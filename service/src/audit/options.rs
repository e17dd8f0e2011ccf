//! Where audit records are kept, as the command line says.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use crate::args::seconds;

/// Where audit records are kept.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Audit")]
pub struct AuditOptions {
    /// The directory of the audit log. A change is refused unless its record can be written there first
    #[arg(long, env = "NODEWARD_AUDIT_DIR", value_name = "DIR")]
    pub audit_dir: Option<PathBuf>,

    /// The file of the key that the audit log is signed with, made if there is none. Without it: `audit-key.pem` beside
    /// the directory of the log
    #[arg(long, env = "NODEWARD_AUDIT_KEY", value_name = "FILE")]
    pub audit_key: Option<PathBuf>,

    /// How long, in seconds, Kubernetes may still be at work on a change whose server has crashed: the apiserver's
    /// `--request-timeout`. What can't be seen by then was not carried out
    #[arg(long, env = "NODEWARD_AUDIT_SETTLE_SECONDS", value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub audit_settle: Duration,

    /// Keep no audit records. For development
    #[arg(long, env = "NODEWARD_NO_AUDIT", value_parser = BoolishValueParser::new(), conflicts_with = "audit_dir")]
    pub no_audit: bool,
}

/// The same as without any flag or environment variable.
impl Default for AuditOptions {
    fn default() -> Self {
        Self { audit_dir: None, audit_key: None, audit_settle: Duration::from_secs(60), no_audit: false }
    }
}
