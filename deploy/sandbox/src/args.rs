//! The command line of the sandbox.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Where the nodeward server listens if nobody says otherwise.
pub(crate) const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7443);

/// Starts a real Kubernetes control plane with fake nodes, and a nodeward server in front of it.
///
/// The first start builds the control plane with Go, which takes some minutes; later ones take seconds. Ctrl-C stops
/// all that was started, a second Ctrl-C at once.
#[derive(Debug, Parser)]
#[command(
    name = "cargo sandbox",
    version,
    after_help = "Against a running sandbox:\n  cargo sandbox -- kubectl get nodes            any kubectl command\n  \
                  cargo sandbox --dir DIR -- kubectl get nodes  with the sandbox that runs in DIR"
)]
pub(crate) struct Args {
    /// How many fake nodes to start with; 5000 work, and take some minutes and 2 GB.
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub(crate) nodes: usize,

    /// Start no nodeward server.
    #[arg(long)]
    pub(crate) no_server: bool,

    /// Keep the data when the sandbox stops, and go on with what was kept in --dir.
    #[arg(long)]
    pub(crate) keep: bool,

    /// Where the data goes: an empty or absent directory, or one of an earlier sandbox.
    /// What else is there is left alone. Data that was kept is not removed: without --keep it is an error.
    /// [default: a new one in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Where the nodeward server listens.
    /// [default: 127.0.0.1:7443, or a free port if that is in use]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// Run a sandbox.
    Run(Args),
    /// Run kubectl against one that is running.
    Kubectl { dir: Option<PathBuf>, args: Vec<OsString> },
    /// Be the nodeward server. Not for people: the sandbox starts itself in this way.
    Server(Vec<OsString>),
}

/// Reads the command line, of which the first word is this program.
///
/// What follows `kubectl` is kubectl's, flags and `--` included, so it is cut off before anything is parsed.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let mut own: Vec<OsString> = words.into_iter().collect();
    if own.get(1).is_some_and(|word| word == "server") {
        return Ok(Invocation::Server(own.split_off(2)));
    }
    let kubectl = own.iter().enumerate().skip(1).position(|(i, word)| word == "kubectl" && own[i - 1] != "--dir");
    let Some(position) = kubectl.map(|position| position + 1) else {
        // `cargo sandbox -- --nodes 5` is what people write who are used to `cargo run --`.
        if own.get(1).is_some_and(|word| word == "--") {
            own.remove(1);
        }
        return Args::try_parse_from(own).map(Invocation::Run);
    };
    let args = own.split_off(position + 1);
    own.truncate(position);
    own.retain(|word| word != "--");
    Args::try_parse_from(own).map(|own| Invocation::Kubectl { dir: own.dir, args })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Invocation {
        parse(line.split(' ').map(OsString::from)).unwrap()
    }

    #[test]
    fn twelve_nodes_and_a_server_are_the_default() {
        let Invocation::Run(args) = parsed("sandbox") else { panic!() };
        assert_eq!((args.nodes, args.no_server, args.keep, args.listen), (12, false, false, None));
    }

    #[test]
    fn a_leading_double_dash_is_passed_over() {
        let Invocation::Run(args) = parsed("sandbox -- --nodes 5000 --no-server") else { panic!() };
        assert_eq!((args.nodes, args.no_server), (5000, true));
    }

    #[test]
    fn all_that_follows_kubectl_is_kubectls() {
        for line in ["sandbox -- kubectl exec -it p -- ls --help", "sandbox kubectl exec -it p -- ls --help"] {
            let Invocation::Kubectl { dir: None, args } = parsed(line) else { panic!("{line}") };
            assert_eq!(args, ["exec", "-it", "p", "--", "ls", "--help"]);
        }
    }

    #[test]
    fn kubectl_of_a_certain_sandbox_is_asked_for_with_its_directory() {
        for line in ["sandbox --dir /d -- kubectl get nodes", "sandbox -- --dir /d kubectl get nodes"] {
            let Invocation::Kubectl { dir: Some(dir), args } = parsed(line) else { panic!("{line}") };
            assert_eq!((dir.to_str(), args.len()), (Some("/d"), 2));
        }
    }

    #[test]
    fn a_directory_may_be_called_kubectl() {
        let Invocation::Run(args) = parsed("sandbox --dir kubectl") else { panic!() };
        assert_eq!(args.dir, Some("kubectl".into()));
    }

    #[test]
    fn the_server_gets_its_own_arguments() {
        let Invocation::Server(args) = parsed("sandbox server --listen 127.0.0.1:1") else { panic!() };
        assert_eq!(args, ["--listen", "127.0.0.1:1"]);
    }

    #[test]
    fn an_unknown_option_is_refused() {
        assert!(parse(["sandbox", "--node", "5"].map(OsString::from)).is_err());
    }
}
