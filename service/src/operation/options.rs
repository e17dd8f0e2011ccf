//! Whether this server carries operations out, as the command line says.

use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use crate::args::seconds;
use crate::cluster::lease::LeaseTiming;

/// Whether this server carries operations out.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Operations")]
pub struct OperationOptions {
    /// Carry no operations out here: other replicas do. Callers can ask for them and follow them all the same
    #[arg(long, env = "NODEWARD_NO_OPERATIONS", value_parser = BoolishValueParser::new())]
    pub no_operations: bool,

    /// After how many seconds without a sign of life of the replica that carries operations out another one does
    #[arg(
        long = "operations-lease-seconds",
        env = "NODEWARD_OPERATIONS_LEASE_SECONDS",
        value_name = "SECONDS",
        default_value = "15",
        value_parser = seconds
    )]
    pub lease: Duration,
}

impl Default for OperationOptions {
    fn default() -> Self {
        Self { no_operations: false, lease: LeaseTiming::default().duration }
    }
}

impl OperationOptions {
    /// The times of the lease, in the proportions of client-go's.
    pub(crate) fn timing(&self) -> LeaseTiming {
        LeaseTiming { duration: self.lease, renew_deadline: self.lease * 2 / 3, retry: self.lease * 2 / 15 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_those_of_client_go_by_default() {
        assert_eq!(OperationOptions::default().timing(), LeaseTiming::default());
    }
}
