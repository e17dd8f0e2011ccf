//! How much is allowed, by flags and environment variables.

use clap::{Args, value_parser};

/// How much callers may send. A limit of 0 is no limit.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitOptions {
    /// How many reads a second each user may send on average. 0 is no limit
    #[arg(long, env = "NODEWARD_READ_RATE", value_name = "COUNT", default_value_t = Self::default().read_rate)]
    pub read_rate: u32,

    /// How many reads a user may send at once who has not sent any for a while
    #[arg(
        long,
        env = "NODEWARD_READ_BURST",
        value_name = "COUNT",
        default_value_t = Self::default().read_burst,
        value_parser = value_parser!(u32).range(1..),
    )]
    pub read_burst: u32,

    /// How many reads of each user may be in progress at a time. 0 is no limit
    #[arg(long, env = "NODEWARD_READ_CONCURRENCY", value_name = "COUNT", default_value_t = Self::default().read_concurrency)]
    pub read_concurrency: u32,

    /// How many watches a second each user may open on average. 0 is no limit
    #[arg(long, env = "NODEWARD_WATCH_RATE", value_name = "COUNT", default_value_t = Self::default().watch_rate)]
    pub watch_rate: u32,

    /// How many watches a user may open at once who has not opened any for a while. After a restart of the server those
    /// who have more open again the rest at the rate
    #[arg(
        long,
        env = "NODEWARD_WATCH_BURST",
        value_name = "COUNT",
        default_value_t = Self::default().watch_burst,
        value_parser = value_parser!(u32).range(1..),
    )]
    pub watch_burst: u32,

    /// How many watches of each user may be open at a time. 0 is no limit
    #[arg(long, env = "NODEWARD_WATCH_CONCURRENCY", value_name = "COUNT", default_value_t = Self::default().watch_concurrency)]
    pub watch_concurrency: u32,

    /// How many mutations a second each user may send on average. 0 is no limit
    #[arg(long, env = "NODEWARD_MUTATION_RATE", value_name = "COUNT", default_value_t = Self::default().mutation_rate)]
    pub mutation_rate: u32,

    /// How many mutations a user may send at once who has not sent any for a while
    #[arg(
        long,
        env = "NODEWARD_MUTATION_BURST",
        value_name = "COUNT",
        default_value_t = Self::default().mutation_burst,
        value_parser = value_parser!(u32).range(1..),
    )]
    pub mutation_burst: u32,

    /// How many mutations of each user may be in progress at a time. 0 is no limit
    #[arg(
        long,
        env = "NODEWARD_MUTATION_CONCURRENCY",
        value_name = "COUNT",
        default_value_t = Self::default().mutation_concurrency,
    )]
    pub mutation_concurrency: u32,

    /// How many calls of all users may be in progress at a time, without open streams. The last fifth is kept free of
    /// reads, the last tenth of new watches too. 0 is no limit
    #[arg(long, env = "NODEWARD_MAX_CALLS", value_name = "COUNT", default_value_t = Self::default().max_calls)]
    pub max_calls: u32,

    /// How many streams of all users may be open at a time. 0 is no limit
    #[arg(long, env = "NODEWARD_MAX_STREAMS", value_name = "COUNT", default_value_t = Self::default().max_streams)]
    pub max_streams: u32,
}

/// The same as without any flag or environment variable.
impl Default for LimitOptions {
    fn default() -> Self {
        Self {
            read_rate: 100,
            read_burst: 200,
            read_concurrency: 50,
            watch_rate: 10,
            watch_burst: 50,
            watch_concurrency: 500,
            mutation_rate: 20,
            mutation_burst: 50,
            mutation_concurrency: 20,
            max_calls: 2_000,
            max_streams: 10_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        limits: LimitOptions,
    }

    #[test]
    fn every_limit_has_a_flag_an_environment_variable_and_a_description() {
        Command::command().debug_assert();
        for argument in Command::command().get_arguments().filter(|one| one.get_id() != "help") {
            assert!(argument.get_long().is_some() && argument.get_env().is_some(), "{argument:?}");
            assert!(argument.get_help().is_some(), "{argument:?}");
        }
    }

    #[test]
    fn a_burst_lets_at_least_one_call_in() {
        for flag in ["--read-burst", "--watch-burst", "--mutation-burst"] {
            assert!(Command::try_parse_from(["server", flag, "0"]).is_err(), "{flag}");
            assert!(Command::try_parse_from(["server", flag, "1"]).is_ok(), "{flag}");
        }
    }

    #[test]
    fn any_limit_can_be_turned_off() {
        for flag in ["--read-rate", "--watch-concurrency", "--mutation-rate", "--max-calls", "--max-streams"] {
            assert!(Command::try_parse_from(["server", flag, "0"]).is_ok(), "{flag}");
        }
    }
}
