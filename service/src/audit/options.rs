//! Where audit records are kept, as the command line says.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, value_parser};
use nodeward_audit_log::{Options, Retention};

use crate::args::seconds;

/// The length of a day in seconds.
const DAY: u64 = 24 * 3600;

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

    /// Send copies of all records, and of the log's signatures, to the OTLP endpoint as log records. The log stays what
    /// counts: copies are lost, and counted, while the endpoint does not take them
    #[arg(long, env = "NODEWARD_AUDIT_OTLP", value_parser = BoolishValueParser::new(), conflicts_with = "no_audit")]
    pub audit_otlp: bool,

    /// How many days records are kept. Whole files are removed, when all that is in them is older. Without it: for ever
    #[arg(long, env = "NODEWARD_AUDIT_MAX_AGE_DAYS", value_name = "DAYS", value_parser = value_parser!(u32).range(1..))]
    pub audit_max_age: Option<u32>,

    /// How large the audit log may become, in bytes. The oldest files are removed, but never the one that is written to.
    /// Without it: any size
    #[arg(long, env = "NODEWARD_AUDIT_MAX_BYTES", value_name = "BYTES", value_parser = value_parser!(u64).range(1..))]
    pub audit_max_bytes: Option<u64>,

    /// The size at which another file is begun, in bytes
    #[arg(
        long,
        env = "NODEWARD_AUDIT_SEGMENT_BYTES",
        value_name = "BYTES",
        default_value_t = Self::SEGMENT_BYTES,
        value_parser = value_parser!(u64).range(4096..)
    )]
    pub audit_segment_bytes: u64,

    /// How long, in seconds, Kubernetes may still be at work on a change whose server has crashed: the apiserver's
    /// `--request-timeout`. What can't be seen by then was not carried out
    #[arg(long, env = "NODEWARD_AUDIT_SETTLE_SECONDS", value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub audit_settle: Duration,

    /// Keep no audit records. For development
    #[arg(long, env = "NODEWARD_NO_AUDIT", value_parser = BoolishValueParser::new(), conflicts_with = "audit_dir")]
    pub no_audit: bool,
}

impl AuditOptions {
    const SEGMENT_BYTES: u64 = 64 << 20;

    /// How the log is kept; `None` if there is to be none.
    pub(super) fn log(&self) -> anyhow::Result<Option<Options>> {
        let dir = match (&self.audit_dir, self.no_audit) {
            (Some(dir), _) => dir,
            (None, true) => return Ok(None),
            (None, false) => anyhow::bail!("say where audit records are kept: --audit-dir DIR, or --no-audit"),
        };
        let key = self.audit_key.clone().unwrap_or_else(|| dir.with_file_name("audit-key.pem"));
        Ok(Some(Options { segment_bytes: self.audit_segment_bytes, ..Options::new(dir, key) }))
    }

    /// What is to be kept; `None` if that is all.
    pub(super) fn retention(&self) -> Option<Retention> {
        let max_age = self.audit_max_age.map(|days| Duration::from_secs(u64::from(days) * DAY));
        let max_bytes = self.audit_max_bytes;
        (max_age.is_some() || max_bytes.is_some()).then_some(Retention { max_age, max_bytes })
    }
}

/// The same as without any flag or environment variable.
impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            audit_dir: None,
            audit_key: None,
            audit_otlp: false,
            audit_max_age: None,
            audit_max_bytes: None,
            audit_segment_bytes: Self::SEGMENT_BYTES,
            audit_settle: Duration::from_secs(60),
            no_audit: false,
        }
    }
}
