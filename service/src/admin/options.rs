//! Where metrics and probes are served.

use std::fmt;
use std::net::{AddrParseError, SocketAddr};
use std::str::FromStr;

use clap::Args;

/// How metrics and probes are served.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Metrics and probes")]
pub struct AdminOptions {
    /// The address that serves /metrics, /livez and /readyz over HTTP, or `off`. It is neither encrypted nor asks who
    /// calls: choose one that only the cluster's own kubelets and Prometheus reach, in a pod for example `0.0.0.0:7444`
    #[arg(long, env = "NODEWARD_ADMIN_LISTEN", value_name = "ADDRESS", default_value_t = AdminListen::default())]
    pub admin_listen: AdminListen,
}

/// An address, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminListen {
    /// Metrics and probes are not served.
    Off,
    /// They are served here.
    At(SocketAddr),
}

impl Default for AdminListen {
    fn default() -> Self {
        Self::At(SocketAddr::from(([127, 0, 0, 1], 7444)))
    }
}

impl FromStr for AdminListen {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" { Ok(Self::Off) } else { text.parse().map(Self::At) }
    }
}

impl fmt::Display for AdminListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        admin: AdminOptions,
    }

    fn parse(args: &[&str]) -> Result<AdminListen, clap::Error> {
        let command = Command::try_parse_from([&["nodeward-server"], args].concat());
        command.map(|command| command.admin.admin_listen)
    }

    #[test]
    fn it_is_loopback_unless_it_is_another_address_or_off() {
        let Ok(AdminListen::At(default)) = parse(&[]) else { panic!("it is off") };
        assert!(default.ip().is_loopback());
        let other = SocketAddr::from(([0, 0, 0, 0], 80));
        assert_eq!(parse(&["--admin-listen", "0.0.0.0:80"]).unwrap(), AdminListen::At(other));
        assert_eq!(parse(&["--admin-listen", "off"]).unwrap(), AdminListen::Off);
        let error = parse(&["--admin-listen", "7444"]).unwrap_err().to_string();
        assert!(error.contains("--admin-listen") && error.contains("7444"), "{error}");
    }
}
