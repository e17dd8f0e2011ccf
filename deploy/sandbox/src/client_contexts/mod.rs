//! Contexts for nodeward's clients, so that they find the sandbox and its users' credentials by themselves.
//!
//! They go into a file of their own beside the user's configuration (docs/client-config.md), which is never written to. The file
//! says whose it is: it is left alone while that sandbox runs, and whoever comes next removes it if that was killed. Another
//! one in the directory of the sandbox is always there, for those who name it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use nodeward_client::{Config, Context};
use serde::{Deserialize, Serialize};

use crate::cache;
use crate::error::SandboxError;
use crate::running;
use crate::sandbox::Sandbox;
use crate::user::User;

/// The file of contexts, in the directory of those that programs write.
const FILE: &str = "sandbox.yaml";

const HEAD: &str = "# Written by the sandbox, which removes it when it ends. See docs/client-config.md.\n";

/// The contexts of a sandbox in the user's configuration: `sandbox-admin` and one for each other [`User`]. The first is the
/// current one, unless the user has another. Dropping this value removes them.
#[derive(Debug)]
pub struct ClientContexts {
    place: Place,
    sandbox: PathBuf,
}

impl ClientContexts {
    /// The name of a user's context.
    pub fn name(user: User) -> String {
        format!("sandbox-{user}")
    }

    /// The context of a user for a nodeward server of the sandbox that is reached at `address`.
    pub fn of_user(sandbox: &Sandbox, address: SocketAddr, user: User) -> Context {
        let files = sandbox.user_certificate(user);
        let mut context = Context::new(format!("https://{address}"));
        context.ca_file = Some(sandbox.server_ca());
        context.server_name = server_name(address).map(str::to_owned);
        context.client_certificate = Some(files.certificate);
        context.client_key = Some(files.key);
        context
    }

    /// Writes the contexts for a nodeward server of the sandbox that is reached at `address`. None if those of another
    /// sandbox that runs are there, or a file that is no sandbox's: then clients must be told of
    /// [`write_apart`](Self::write_apart)'s.
    ///
    /// An error is no reason not to go on: a home that can't be written to is one.
    pub fn write(sandbox: &Sandbox, address: SocketAddr) -> Result<Option<Self>, SandboxError> {
        Place::of_the_user()?.write(&Contexts::of(sandbox, address))
    }

    /// Writes the same into the directory of the sandbox: a configuration in itself, for `NODEWARD_CONFIG`.
    pub fn write_apart(sandbox: &Sandbox, address: SocketAddr) -> Result<PathBuf, SandboxError> {
        let file = sandbox.client_config();
        write(&file, &Contexts::of(sandbox, address))?;
        Ok(file)
    }

    /// Removes the contexts that a killed sandbox has left. [`ClientContexts::write`] does so too.
    pub fn sweep() -> Result<(), SandboxError> {
        Place::of_the_user()?.sweep()
    }
}

impl Drop for ClientContexts {
    fn drop(&mut self) {
        // Best effort: what stays is swept by the next sandbox.
        let _ = self.place.remove(&self.sandbox);
    }
}

/// The file's content.
#[derive(Debug, Serialize)]
struct Contexts {
    /// Whose it is. Clients have no use for it.
    sandbox: PathBuf,
    current_context: String,
    contexts: BTreeMap<String, Context>,
}

/// What is asked of a file to know whose it is.
#[derive(Debug, Deserialize)]
struct Mark {
    sandbox: PathBuf,
}

impl Contexts {
    fn of(sandbox: &Sandbox, address: SocketAddr) -> Self {
        let context = |user| (ClientContexts::name(user), ClientContexts::of_user(sandbox, address, user));
        Self::with(sandbox.dir(), User::ALL.into_iter().map(context))
    }

    fn with(sandbox: &Path, contexts: impl Iterator<Item = (String, Context)>) -> Self {
        Self {
            sandbox: sandbox.to_path_buf(),
            current_context: ClientContexts::name(User::Admin),
            contexts: contexts.collect(),
        }
    }
}

/// The name that the server's certificate must have, if it is not that of the address.
fn server_name(address: SocketAddr) -> Option<&'static str> {
    let named = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    (!named.contains(&address.ip())).then_some("localhost")
}

fn write(file: &Path, contexts: &Contexts) -> Result<(), SandboxError> {
    let text = serde_saphyr::to_string(contexts).map_err(|e| {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, e.to_string());
        SandboxError::Io { action: "describe in", path: file.to_path_buf(), source }
    })?;
    cache::write_atomically(file, &format!("{HEAD}{text}"))
}

/// Whose a file of contexts is.
#[derive(Debug)]
enum Owner {
    Nobody,
    Sandbox(PathBuf),
    /// It has no mark, or cannot be read.
    Unknown,
}

/// Where the contexts go.
#[derive(Debug, Clone)]
struct Place {
    file: PathBuf,
    /// Held by whoever looks at the file and then changes it.
    lock: PathBuf,
}

impl Place {
    fn of_the_user() -> Result<Self, SandboxError> {
        let config = Config::default_path().ok_or(SandboxError::NoHome)?;
        let root = cache::root()?;
        cache::make_dir(&root)?;
        Ok(Self::beside(&config, &root))
    }

    /// The place of programs' contexts beside a configuration: in `config.yaml.d` if that is `config.yaml`.
    fn beside(config: &Path, locks: &Path) -> Self {
        let mut dir = config.as_os_str().to_owned();
        dir.push(".d");
        Self { file: Path::new(&dir).join(FILE), lock: locks.join("contexts.lock") }
    }

    fn write(&self, contexts: &Contexts) -> Result<Option<ClientContexts>, SandboxError> {
        let _lock = cache::lock(&self.lock)?;
        match self.owner() {
            Owner::Unknown => return Ok(None),
            Owner::Sandbox(dir) if dir != contexts.sandbox && running::is_running(&dir) => return Ok(None),
            Owner::Sandbox(_) | Owner::Nobody => {}
        }
        if let Some(dir) = self.file.parent() {
            cache::make_dir(dir)?;
        }
        write(&self.file, contexts)?;
        Ok(Some(ClientContexts { place: self.clone(), sandbox: contexts.sandbox.clone() }))
    }

    fn sweep(&self) -> Result<(), SandboxError> {
        self.remove_if(|owner| !running::is_running(owner))
    }

    fn remove(&self, sandbox: &Path) -> Result<(), SandboxError> {
        self.remove_if(|owner| owner == sandbox)
    }

    /// Removes the file if it is a sandbox's of which this holds, and its directory if nobody else has something there.
    fn remove_if(&self, condition: impl FnOnce(&Path) -> bool) -> Result<(), SandboxError> {
        let _lock = cache::lock(&self.lock)?;
        match self.owner() {
            Owner::Sandbox(owner) if condition(&owner) => {}
            _ => return Ok(()),
        }
        fs::remove_file(&self.file).map_err(|e| SandboxError::io("remove", &self.file, e))?;
        if let Some(dir) = self.file.parent() {
            let _ = fs::remove_dir(dir);
        }
        Ok(())
    }

    fn owner(&self) -> Owner {
        match fs::read_to_string(&self.file) {
            Ok(text) => match serde_saphyr::from_str::<Mark>(&text) {
                Ok(mark) => Owner::Sandbox(mark.sandbox),
                Err(_) => Owner::Unknown,
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Owner::Nobody,
            Err(_) => Owner::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
