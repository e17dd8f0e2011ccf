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

/// By how much the server's memory may grow, besides what that of a server grows by that is not attacked: the other tests
/// change the cluster meanwhile, and each server remembers what.
const MOST_GROWTH: u64 = 20 << 20;

/// How long an honest client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an attack goes on at least, unless it says otherwise.
const LEAST: Duration = Duration::from_secs(3);

/// A server, an honest client of it, and somebody who watches its memory.
pub struct Target {
    server: Arc<ServerProcess>,
    site: Option<Site>,
    is_over: Arc<AtomicBool>,
    honest: JoinHandle<usize>,
    growth: JoinHandle<u64>,
}

/// So that what other tests change makes less of a difference.
const OTHERS_CHANGES: [&str; 2] = ["--change-log-mib", "1"];

impl Target {
    /// A server that serves plain text.
    pub async fn plain() -> Self {
        Self::new(None, &["--plaintext"]).await
    }

    /// A server that serves TLS.
    pub async fn tls() -> Self {
        let site = Site::new();
        let flags = site.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Self::new(Some(site), &flags).await
    }

    async fn new(site: Option<Site>, flags: &[&str]) -> Self {
        let flags = [&OTHERS_CHANGES, flags].concat();
        let start = || async { ServerProcess::start_with(world().await.sandbox.kubeconfig_path(), &flags).await };
        let (server, unharmed) = (Arc::new(start().await), start().await);
        let attacked = client(server.address, site.as_ref()).await;
        // What is made once, by the first calls, is no growth.
        for client in [attacked.clone(), client(unharmed.address, site.as_ref()).await] {
            for _ in 0..200 {
                ask(&mut client.clone()).await;
            }
        }
        let is_over = Arc::<AtomicBool>::default();
        let honest = tokio::spawn(keep_asking(attacked, is_over.clone()));
        let growth = tokio::spawn(watch_growth(server.clone(), unharmed, is_over.clone()));
        Self { server, site, is_over, honest, growth }
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
        let (answers, growth) = (self.honest.await.unwrap(), self.growth.await.unwrap());
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

/// By how much more the memory of the attacked server grows than that of the unharmed one, at most, until the attack is over.
async fn watch_growth(attacked: Arc<ServerProcess>, unharmed: ServerProcess, is_over: Arc<AtomicBool>) -> u64 {
    let before = [attacked.memory(), unharmed.memory()];
    let mut most = 0;
    while !is_over.load(Ordering::Relaxed) {
        let growth = attacked.memory().saturating_sub(before[0]);
        let growth_of_any = unharmed.memory().saturating_sub(before[1]);
        most = most.max(growth.saturating_sub(growth_of_any));
        sleep(Duration::from_millis(20)).await;
    }
    most
}
