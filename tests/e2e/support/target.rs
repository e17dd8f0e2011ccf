//! A server under attack: it must hardly use more memory, and an honest client must get its answers all the while.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nodeward_api::v1::GetNodeRequest;
use nodeward_api::v1::node_service_client::NodeServiceClient;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::process::ServerProcess;
use super::tls::Site;
use super::{Client, connect, world};

/// By how much the server's memory may grow.
const MOST_GROWTH: u64 = 20 << 20;

/// How long an honest client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an attack goes on at least, unless it says otherwise.
const LEAST: Duration = Duration::from_secs(3);

/// A server, an honest client of it, and somebody who watches its memory.
pub struct Target {
    server: Arc<ServerProcess>,
    site: Option<Site>,
    memory_before: u64,
    is_over: Arc<AtomicBool>,
    honest: JoinHandle<usize>,
    memory: JoinHandle<u64>,
}

/// What other tests change meanwhile is remembered by each server of the cluster, and is not what is measured.
const OTHERS_CHANGES: [&str; 2] = ["--change-log-mib", "1"];

impl Target {
    /// A server that serves plain text.
    pub async fn plain() -> Self {
        let server = ServerProcess::start(world().await.sandbox.kubeconfig_path(), &OTHERS_CHANGES).await;
        Self::new(server, None).await
    }

    /// A server that serves TLS.
    pub async fn tls() -> Self {
        let site = Site::new();
        let flags = site.flags();
        let flags: Vec<&str> = OTHERS_CHANGES.into_iter().chain(flags.iter().map(String::as_str)).collect();
        let server = ServerProcess::start_with(world().await.sandbox.kubeconfig_path(), &flags).await;
        Self::new(server, Some(site)).await
    }

    async fn new(server: ServerProcess, site: Option<Site>) -> Self {
        let server = Arc::new(server);
        let client = client(server.address, site.as_ref()).await;
        // What is made once, by the first calls, is no growth.
        for _ in 0..200 {
            ask(&mut client.clone()).await;
        }
        let (memory_before, is_over) = (server.memory(), Arc::<AtomicBool>::default());
        let honest = tokio::spawn(keep_asking(client, is_over.clone()));
        let memory = tokio::spawn(watch_memory(server.clone(), is_over.clone()));
        Self { server, site, memory_before, is_over, honest, memory }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Attacks again and again, for some seconds. Each attack must be a matter of a few.
    pub async fn attack(&self, mut attack: impl AsyncFnMut(SocketAddr)) {
        let begun = Instant::now();
        while begun.elapsed() < LEAST {
            attack(self.address()).await;
        }
    }

    /// The attack is over, and the server has kept its promises.
    pub async fn has_held(self) {
        // Whoever comes now is served as well.
        ask(&mut client(self.address(), self.site.as_ref()).await).await;
        self.is_over.store(true, Ordering::Relaxed);
        let (answers, memory) = (self.honest.await.unwrap(), self.memory.await.unwrap());
        let growth = memory.saturating_sub(self.memory_before);
        println!("{answers} answers meanwhile, and {} KiB more memory", growth >> 10);
        assert!(answers >= 10, "only {answers} answers");
        assert!(growth <= MOST_GROWTH, "the memory grew by {} KiB", growth >> 10);
    }
}

async fn client(address: SocketAddr, site: Option<&Site>) -> Client {
    match site {
        Some(site) => NodeServiceClient::new(site.channel(address, None).await.unwrap()),
        None => connect(address).await,
    }
}

async fn ask(client: &mut Client) {
    let request = GetNodeRequest { name: "nodes/worker-1".to_owned(), ..Default::default() };
    timeout(PATIENCE, client.get_node(request)).await.expect("an answer in time").unwrap();
}

/// Asks until the attack is over: how many answers there were. All must come, and in time.
async fn keep_asking(mut client: Client, is_over: Arc<AtomicBool>) -> usize {
    let mut answers = 0;
    while !is_over.load(Ordering::Relaxed) {
        ask(&mut client).await;
        answers += 1;
        sleep(Duration::from_millis(5)).await;
    }
    answers
}

/// The most memory that the server has until the attack is over.
async fn watch_memory(server: Arc<ServerProcess>, is_over: Arc<AtomicBool>) -> u64 {
    let mut most = 0;
    while !is_over.load(Ordering::Relaxed) {
        most = most.max(server.memory());
        sleep(Duration::from_millis(20)).await;
    }
    most
}
