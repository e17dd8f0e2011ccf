//! What nodeward's clients are told of the sandbox, and what is left for their user to say.

use std::net::SocketAddr;
use std::path::PathBuf;

use nodeward_client::{Config, Context, Error};
use nodeward_sandbox::{ClientContexts, Sandbox, SandboxError, User, say};

/// Names another context than the current one.
const CONTEXT: &str = "NODEWARD_CONFIG_CONTEXT";

/// Clients that know the sandbox, until this value is dropped.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) address: SocketAddr,
    /// For other clients, to which all must be said.
    pub(crate) operator: Context,
    pub(crate) told: Told,
    _contexts: Option<ClientContexts>,
}

/// What a client must be told to find the sandbox.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing: its current context is the admin's.
    Nothing,
    /// The name of the context.
    Context,
    /// This configuration, by `NODEWARD_CONFIG`: the user's is of no use, or has another sandbox.
    Config(PathBuf),
}

impl Clients {
    /// Writes the contexts for a server that is reached at `address`.
    pub(crate) fn tell(sandbox: &Sandbox, address: SocketAddr) -> Result<Self, SandboxError> {
        let apart = ClientContexts::write_apart(sandbox, address)?;
        let contexts = ClientContexts::write(sandbox, address).unwrap_or_else(|e| {
            say(&format!("warning: {e}"));
            None
        });
        let operator = ClientContexts::of_user(sandbox, address, User::Operator);
        let told = match &contexts {
            Some(_) => Told::of(Config::load(), &operator.endpoint, std::env::var_os(CONTEXT).is_some(), apart),
            None => Told::Config(apart),
        };
        Ok(Self { address, operator, told, _contexts: contexts })
    }
}

impl Told {
    fn of(config: Result<Config, Error>, endpoint: &str, is_named: bool, apart: PathBuf) -> Self {
        let config = match config {
            Ok(config) => config,
            Err(e) => {
                say(&format!("warning: {e}"));
                return Self::Config(apart);
            }
        };
        let admin = ClientContexts::name(User::Admin);
        if config.contexts().get(&admin).is_none_or(|context| context.endpoint != endpoint) {
            return Self::Config(apart);
        }
        if config.current_name() == Some(&admin) && !is_named { Self::Nothing } else { Self::Context }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "contexts: {sandbox-admin: {endpoint: ours}}\n";

    fn told(text: &str, is_named: bool) -> Told {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Told::of(Config::from_file(file.path()), "ours", is_named, "/apart".into())
    }

    #[test]
    fn a_client_finds_the_sandbox_by_itself_if_the_admins_context_is_the_current_one() {
        assert_eq!(told(&format!("current_context: sandbox-admin\n{OURS}"), false), Told::Nothing);
    }

    #[test]
    fn a_user_who_has_another_current_context_must_name_the_sandboxs() {
        assert_eq!(told(&format!("current_context: work\n{OURS}"), false), Told::Context);
        assert_eq!(told(OURS, false), Told::Context);
        assert_eq!(told(&format!("current_context: sandbox-admin\n{OURS}"), true), Told::Context);
    }

    #[test]
    fn a_configuration_that_does_not_lead_to_the_sandbox_must_be_set_aside() {
        let apart = || Told::Config("/apart".into());
        assert_eq!(told("contexts: {sandbox-admin: {endpoint: theirs}}\n", false), apart());
        assert_eq!(told("", false), apart());
        assert_eq!(told("contexts: [\n", false), apart());
    }
}
