//! Where audit records are kept, as the command line says.

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

/// Where audit records are kept.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Audit")]
pub struct AuditOptions {
    /// The directory of the audit log. A change is refused unless its record can be written there first
    #[arg(long, env = "NODEWARD_AUDIT_DIR", value_name = "DIR")]
    pub audit_dir: Option<PathBuf>,

    /// The file of the key that the audit log is signed with, made if there is none. Without it: `audit-key.pem` beside
    /// the directory of the log
    #[arg(long, env = "NODEWARD_AUDIT_KEY", value_name = "FILE")]
    pub audit_key: Option<PathBuf>,

    /// Keep no audit records. For development
    #[arg(long, env = "NODEWARD_NO_AUDIT", value_parser = BoolishValueParser::new(), conflicts_with = "audit_dir")]
    pub no_audit: bool,
}
