//! What can be configured about the store.

use clap::Args;

/// What the server keeps in memory beside the present state of the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
#[command(next_help_heading = "Memory")]
pub struct StoreOptions {
    /// The memory, in MiB, for the latest changes of nodes: a watch that was cut can be resumed as long as the server
    /// remembers what has happened since. A change takes 10 to 50 KiB, most of it for the list of images; each heartbeat
    /// of a node is one
    #[arg(
        long,
        env = "NODEWARD_CHANGE_LOG_MIB",
        value_name = "MIB",
        default_value_t = Self::default().change_log_mib,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub change_log_mib: u32,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { change_log_mib: 128 }
    }
}

impl StoreOptions {
    /// The memory for changes, in bytes.
    pub(super) fn change_log_bytes(self) -> usize {
        (self.change_log_mib as usize).saturating_mul(1 << 20)
    }
}
