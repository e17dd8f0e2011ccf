//! Clients that connect and go no further.

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use crate::support::target::Target;
use crate::support::tls::NAME;

/// How many there are at a time.
const COUNT: usize = 2000;

/// By when the server must have closed them, which it does after 10 seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// The first that a client of TLS says.
fn client_hello() -> Vec<u8> {
    let config = ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from(NAME).unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// As many open files as this process may have, which is often more than they begin with.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

/// So many clients say this, and then nothing.
async fn assert_held(target: Target, said: &[u8]) {
    allow_open_files();
    let mut attackers = Vec::new();
    for _ in 0..COUNT {
        let mut attacker = TcpStream::connect(target.address()).await.unwrap();
        attacker.write_all(said).await.unwrap();
        attackers.push(attacker);
    }
    for mut attacker in attackers {
        let mut answer = Vec::new();
        let closed = timeout(PATIENCE, attacker.read_to_end(&mut answer)).await;
        // Whether in good order or not.
        let _ = closed.expect("the server closes it");
    }
    target.has_held().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_clients_that_say_nothing() {
    assert_held(Target::tls().await, b"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_clients_that_begin_with_tls_and_stop() {
    assert_held(Target::tls().await, &client_hello()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_clients_that_begin_with_http_and_stop() {
    assert_held(Target::plain().await, b"PRI * HTTP/2.0\r\n").await;
}
