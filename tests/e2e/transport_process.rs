//! How a server is told to protect its connections, and certificates that change while it runs.

use nodeward_api::v1::GetNodeRequest;
use nodeward_api::v1::node_service_client::NodeServiceClient;
use nodeward_api::v1::watch_nodes_response::Event;
use rustls::pki_types::CertificateDer;
use rustls::version::TLS13;

use crate::shutdown::open_watches;
use crate::shutdown_process::assert_refuses;
use crate::support::process::ServerProcess;
use crate::support::tls::{NAME, Pair, Site, der};
use crate::support::world;

async fn kubeconfig() -> &'static str {
    world().await.sandbox.kubeconfig_path().to_str().unwrap()
}

#[tokio::test]
async fn without_a_certificate_plain_text_must_be_asked_for() {
    assert_refuses(&["--kubeconfig", kubeconfig().await], &["--tls-cert", "--tls-key", "--plaintext"]).await;
}

#[tokio::test]
async fn plain_text_is_served_on_loopback_alone() {
    let flags = ["--kubeconfig", kubeconfig().await, "--plaintext", "--listen", "0.0.0.0:0"];
    assert_refuses(&flags, &["--plaintext", "0.0.0.0:0", "--tls-cert", "127.0.0.1"]).await;
}

#[tokio::test]
async fn a_bad_certificate_is_named() {
    let (site, other) = (Site::new(), Site::new());
    let flags = site.flags();
    let flags: Vec<&str> =
        ["--kubeconfig", kubeconfig().await].into_iter().chain(flags.iter().map(String::as_str)).collect();
    site.write(&(site.signed(NAME).0, other.signed(NAME).1));
    assert_refuses(&flags, &["--tls-cert", "--tls-key", "KeyMismatch"]).await;
    site.write(&("no certificate".to_owned(), String::new()));
    assert_refuses(&flags, &["--tls-cert"]).await;
    assert_refuses(
        &["--kubeconfig", kubeconfig().await, "--tls-cert=absent.pem", "--tls-key=absent.key"],
        &["absent.pem"],
    )
    .await;
    assert_refuses(&["--tls-cert=server.pem"], &["--tls-key"]).await;
}

/// The certificate that the server shows to a new client.
async fn shown(site: &Site, server: &ServerProcess) -> CertificateDer<'static> {
    let stream = site.connect(server.address, &[&TLS13], &["h2"]).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Gives the server a certificate: how it will look on the wire.
fn give(site: &Site, pair: &Pair) -> CertificateDer<'static> {
    site.write(pair);
    der(pair)
}

#[tokio::test]
async fn certificates_are_taken_up_when_they_change_and_open_connections_live_on() {
    let site = Site::new();
    let first = give(&site, &site.signed(NAME));
    let flags = site.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut server = ServerProcess::start_with(world().await.sandbox.kubeconfig_path(), &flags).await;
    assert_eq!(shown(&site, &server).await, first);
    let mut client = NodeServiceClient::new(site.channel(server.address, None).await.unwrap());
    let mut watch = open_watches(&client, 1).await.remove(0);

    // What is bad is not used.
    site.write(&(site.signed(NAME).0, "no key".to_owned()));
    server.says("can't be used").await;
    assert_eq!(shown(&site, &server).await, first);

    let second = give(&site, &site.signed(NAME));
    server.says("the certificates have changed: new connections").await;
    assert_eq!(shown(&site, &server).await, second);

    // The connection of before is still open.
    assert!(matches!(watch.message().await.event, Some(Event::Bookmark(_))));
    let request = GetNodeRequest { name: "nodes/worker-1".to_owned(), ..Default::default() };
    client.get_node(request).await.unwrap();
}
