//! A network between a server and its apiserver that can fail.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nodeward_sandbox::Sandbox;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::unique;

/// The state of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// All is well.
    Open,
    /// Connections stay open, and nothing passes.
    Stalled,
    /// Connections break, and no new ones come about.
    Cut,
}

/// A TCP proxy in front of a sandbox's apiserver, for servers that use its kubeconfig. TLS passes through: what it
/// forwards it can't read.
pub struct Proxy {
    kubeconfig: PathBuf,
    state: watch::Sender<State>,
    /// How many pieces of data from the servers are held back.
    held: Arc<watch::Sender<usize>>,
    accepting: AbortHandle,
}

impl Proxy {
    /// An open proxy.
    pub async fn start(sandbox: &Sandbox) -> Self {
        Self::start_for(sandbox, sandbox.kubeconfig_path()).await
    }

    /// The same, for servers that would use this kubeconfig.
    pub async fn start_for(sandbox: &Sandbox, kubeconfig: &Path) -> Self {
        let apiserver = sandbox.apiserver_url().to_owned();
        let target: SocketAddr = apiserver.trim_start_matches("https://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let original = std::fs::read_to_string(kubeconfig).unwrap();
        let kubeconfig = sandbox.dir().join(unique("proxied")).with_extension("kubeconfig");
        std::fs::write(&kubeconfig, original.replace(&apiserver, &format!("https://{address}"))).unwrap();

        let state = watch::Sender::new(State::Open);
        let held = Arc::new(watch::Sender::new(0));
        let accepting = tokio::spawn(accept(listener, target, state.subscribe(), held.clone())).abort_handle();
        Self { kubeconfig, state, held, accepting }
    }

    /// The kubeconfig of the servers behind the proxy.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Keeps connections open, and holds back all data.
    pub fn stall(&self) {
        self.held.send_replace(0);
        self.state.send_replace(State::Stalled);
    }

    /// Breaks all connections, and every new one.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Lets data pass again, also what was held back.
    pub fn mend(&self) {
        self.state.send_replace(State::Open);
    }

    /// Waits until a server has sent something that is held back.
    pub async fn holds_something(&self) {
        self.held.subscribe().wait_for(|held| *held > 0).await.unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.accepting.abort();
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    state: watch::Receiver<State>,
    held: Arc<watch::Sender<usize>>,
) {
    while let Ok((server, _)) = listener.accept().await {
        if *state.borrow() == State::Cut {
            continue; // Closed at once.
        }
        let (state, held) = (state.clone(), held.clone());
        tokio::spawn(async move {
            let Ok(apiserver) = TcpStream::connect(target).await else { return };
            let (from_server, to_server) = server.into_split();
            let (from_apiserver, to_apiserver) = apiserver.into_split();
            let mut cut = state.clone();
            tokio::select! {
                () = pass(from_server, to_apiserver, state.clone(), Some(held)) => {}
                () = pass(from_apiserver, to_server, state, None) => {}
                _ = cut.wait_for(|state| *state == State::Cut) => {}
            }
        });
    }
}

/// Passes data on while the network is open; ends with the connection.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    held: Option<Arc<watch::Sender<usize>>>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if *state.borrow() == State::Stalled
            && let Some(held) = &held
        {
            held.send_modify(|held| *held += 1);
        }
        if state.wait_for(|state| *state == State::Open).await.is_err()
            || to.write_all(&buffer[..length]).await.is_err()
        {
            return;
        }
    }
}
