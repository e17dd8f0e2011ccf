//! The command line.

use std::path::PathBuf;

use clap::{Parser, value_parser};

/// Measures what nodeward costs and how fast it is, beside the apiserver, etcd, a stock tonic server and a tonic echo.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo ratios", bin_name = "cargo ratios", after_help = crate::measure::help())]
pub struct Args {
    /// See whether everything works, on 1,000 nodes and in minutes: short blocks, few pairs, nothing judged
    #[arg(long)]
    pub quick: bool,

    /// Only the measures whose names begin with this; may be given several times
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,

    /// How many pairs of blocks. 10 unless --quick
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u32).range(1..))]
    pub pairs: Option<u32>,

    /// How long one block is. 5 s unless --quick
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(1..))]
    pub seconds: Option<u32>,

    /// How many nodes. 5,000 unless --quick
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u32).range(10..))]
    pub nodes: Option<u32>,

    /// Write the findings to this file, one JSON object on each line
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Draw how costs grow with streams and nodes into this directory, as SVG
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Whether this is to show that everything works, and not to judge.
    pub quick: bool,
    /// How many pairs of blocks.
    pub pairs: usize,
    /// How long a block is, in seconds.
    pub seconds: u32,
    /// How many nodes there are.
    pub nodes: usize,
}

impl Args {
    /// How much is to be measured.
    pub fn plan(&self) -> Plan {
        let or = |asked: Option<u32>, quick, full| asked.unwrap_or(if self.quick { quick } else { full });
        Plan {
            quick: self.quick,
            pairs: or(self.pairs, 2, 10) as usize,
            seconds: or(self.seconds, 2, 5),
            nodes: or(self.nodes, 1000, 5000) as usize,
        }
    }
}

impl Plan {
    /// The first number, or the second if this is to be quick.
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_counts_more_than_how_quick_it_is_to_be() {
        let plan = |args: &[&str]| Args::parse_from([&["ratios"], args].concat()).plan();
        assert_eq!((plan(&[]).pairs, plan(&[]).nodes), (10, 5000));
        assert_eq!((plan(&["--quick"]).pairs, plan(&["--quick"]).nodes), (2, 1000));
        assert_eq!(plan(&["--quick", "--pairs", "3"]).pairs, 3);
    }
}
