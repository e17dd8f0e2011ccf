//! From a context to the options of a connection.

use super::{Config, Context};
use crate::connect::ConnectOptions;
use crate::error::Error;

/// Names the context to use instead of the current one.
const VARIABLE: &str = "NODEWARD_CONFIG_CONTEXT";

impl ConnectOptions {
    /// The options for a context of the user's [`Config`]: the one that is named, or else that of the variable
    /// `NODEWARD_CONFIG_CONTEXT`, or else the current one.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if a file can't be read or understood, if the context does not exist, or if there is none.
    pub fn from_config(context: Option<&str>) -> Result<Self, Error> {
        let asked = context.map(str::to_owned).or_else(|| std::env::var(VARIABLE).ok());
        Self::of(&Config::load()?, asked.as_deref())
    }

    /// The options for a context.
    pub fn from_context(context: &Context) -> Self {
        let Context { endpoint, ca_file, server_name, client_certificate, client_key, token_file, file: _ } = context;
        let mut options = Self::new(endpoint);
        if let Some(path) = ca_file {
            options = options.ca_file(path);
        }
        if let Some(name) = server_name {
            options = options.server_name(name);
        }
        if let (Some(certificate), Some(key)) = (client_certificate, client_key) {
            options = options.client_certificate(certificate, key);
        }
        if let Some(path) = token_file {
            options = options.bearer_token_file(path);
        }
        options
    }

    fn of(config: &Config, asked: Option<&str>) -> Result<Self, Error> {
        let context = match asked {
            Some(name) => Some(config.context(name)?),
            None => config.current()?,
        };
        let none = || {
            let hint = "name one, or make one the current one: `nodeward config use-context NAME`";
            Error::invalid("the configuration has no current context").with_hint(hint)
        };
        context.map(Self::from_context).ok_or_else(none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "current_context: a\ncontexts:\n  a: {endpoint: 'https://a'}\n  b: {endpoint: 'https://b'}\n";

    fn of(text: &str, asked: Option<&str>) -> Result<String, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let options = ConnectOptions::of(&Config::from_file(file.path()).unwrap(), asked)?;
        Ok(format!("{options:?}"))
    }

    #[test]
    fn the_context_that_is_asked_for_comes_before_the_current_one() {
        assert!(of(TWO, Some("b")).unwrap().contains("https://b"));
        assert!(of(TWO, None).unwrap().contains("https://a"));
    }

    #[test]
    fn without_a_context_it_is_said_how_to_have_one() {
        let error = of("contexts: {}", None).unwrap_err();
        assert!(error.hint().unwrap().contains("use-context"), "{error}");
    }

    #[test]
    fn all_that_a_context_says_is_used() {
        let context = "contexts:\n  a:\n    endpoint: https://a\n    ca_file: /ca\n    server_name: name\n    \
                       client_certificate: /cert\n    client_key: /key\n    token_file: /token\n";
        let options = of(context, Some("a")).unwrap();
        for part in ["/ca", "name", "/cert", "/key", "/token"] {
            assert!(options.contains(&format!("\"{part}\"")), "{options}");
        }
    }
}
