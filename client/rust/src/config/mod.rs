//! The user's configuration: contexts with names, each a server and what to show to it. See `docs/client-config.md`.
//!
//! It promises that a context is taken whole, from one file: what is shown to a server was written down beside its address.

mod connect;
mod files;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What the names of contexts begin with that the sandbox writes while it runs.
const SANDBOX: &str = "sandbox-";

/// The contexts of a user, from all files together. Serialized it is a configuration again, with absolute paths.
#[derive(Clone, Debug, Serialize)]
pub struct Config {
    #[serde(skip)]
    path: Option<PathBuf>,
    #[serde(rename = "current_context", skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    /// The file that says which is the current one.
    #[serde(skip)]
    current_in: PathBuf,
    contexts: BTreeMap<String, Context>,
}

/// Where a server is, and what to show to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Context {
    /// `https://HOST:PORT`, or `http://` on this machine.
    pub endpoint: String,
    /// The certificates that sign the server's, instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The name in the server's certificate, if it is not the endpoint's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The client's certificate with its chain. Its key must be there too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<PathBuf>,
    /// The certificate's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
    /// A file with a bearer token. With a certificate beside it, the token decides who is calling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    #[serde(skip)]
    file: PathBuf,
}

impl Config {
    /// Where the user's own file is, or would be: the one that `NODEWARD_CONFIG` names, or else
    /// `~/.config/nodeward/config.yaml`. None if the user has no home.
    pub fn default_path() -> Option<PathBuf> {
        files::of_the_user()
    }

    /// Reads the user's configuration: the file at [`default_path`](Self::default_path), and what programs have put beside
    /// it. Without any file it is empty.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if a file can't be read or understood; the message names it and the line.
    pub fn load() -> Result<Self, Error> {
        match Self::default_path() {
            Some(path) => Self::from_file(path),
            None => Ok(Self { path: None, current: None, current_in: PathBuf::new(), contexts: BTreeMap::new() }),
        }
    }

    /// As [`load`](Self::load), for a configuration that is elsewhere.
    ///
    /// # Errors
    /// As `load`.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = files::absolute(&path.into())?;
        let mut config =
            Self { path: Some(path.clone()), current: None, current_in: PathBuf::new(), contexts: BTreeMap::new() };
        for path in std::iter::once(path.clone()).chain(files::of_programs(&path)?) {
            let Some(file) = files::read(&path)? else { continue };
            if let (None, Some(current)) = (&config.current, file.current_context) {
                (config.current, config.current_in) = (Some(current), path);
            }
            for (name, context) in file.contexts {
                config.contexts.entry(name).or_insert(context);
            }
        }
        Ok(config)
    }

    /// The user's own file, whether it exists or not: where the user changes something. None if the user has no home.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The contexts, by name.
    pub fn contexts(&self) -> &BTreeMap<String, Context> {
        &self.contexts
    }

    /// The name of the current context, whether it exists or not.
    pub fn current_name(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// The current context, if there is to be one.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if it does not exist.
    pub fn current(&self) -> Result<Option<&Context>, Error> {
        let Some(name) = &self.current else { return Ok(None) };
        let says = || format!(", which {} says is the current one", self.current_in.display());
        self.contexts.get(name).map(Some).ok_or_else(|| self.missing(name, &says()))
    }

    /// The context of this name.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if there is none.
    pub fn context(&self, name: &str) -> Result<&Context, Error> {
        self.contexts.get(name).ok_or_else(|| self.missing(name, ""))
    }

    fn missing(&self, name: &str, said: &str) -> Error {
        let names: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
        let there_are = match names.as_slice() {
            [] => "there are no contexts".to_owned(),
            names => format!("these exist: {}", names.join(", ")),
        };
        if name.starts_with(SANDBOX) && !names.iter().any(|name| name.starts_with(SANDBOX)) {
            let message = format!("there is no context {name:?}{said}: no sandbox runs");
            return Error::invalid(message).with_hint(format!("start one with `cargo sandbox`; {there_are}"));
        }
        Error::invalid(format!("there is no context {name:?}{said}")).with_hint(there_are)
    }
}

impl Context {
    /// A server that is shown nothing.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            ca_file: None,
            server_name: None,
            client_certificate: None,
            client_key: None,
            token_file: None,
            file: PathBuf::new(),
        }
    }

    /// The file that it is from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Lets relative paths begin at this directory.
    fn based_on(mut self, directory: &Path) -> Self {
        let paths = [&mut self.ca_file, &mut self.client_certificate, &mut self.client_key, &mut self.token_file];
        for path in paths.into_iter().flatten() {
            *path = directory.join(&path);
        }
        self
    }
}

#[cfg(test)]
mod tests;
