//! Who is calling, as far as the connection says.

use std::time::Duration;

use http::{Request, Response};
use nodeward_server::transport::Peer;
use rustls::pki_types::CertificateDer;
use tokio::time::{sleep, timeout};
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;

use crate::fixture::{Fixture, PATIENCE, call, plain, tls};
use crate::tls::{Site, der};

/// Answers with the certificates that the client has shown.
async fn tell_certificates(request: Request<Body>) -> Response<Body> {
    let peer = request.extensions().get::<Peer>().unwrap();
    let tcp = request.extensions().get::<TcpConnectInfo>().unwrap();
    assert_eq!(tcp.remote_addr(), Some(peer.address()));
    assert!(peer.address().ip().is_loopback());
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(peer.clone());
    for certificate in peer.certificates() {
        let hex: String = certificate.iter().map(|byte| format!("{byte:02x}")).collect();
        response.headers_mut().append("x-certificate", hex.parse().unwrap());
    }
    response
}

fn certificates(response: &Response<Body>) -> Vec<CertificateDer<'static>> {
    let byte = |hex: &[u8]| u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap();
    let shown = response.headers().get_all("x-certificate").into_iter();
    shown.map(|hex| hex.as_bytes().chunks(2).map(byte).collect::<Vec<u8>>().into()).collect()
}

#[tokio::test]
async fn the_certificate_of_a_client_is_seen() {
    let site = Site::new();
    let server = Fixture::start(&tls(&site), PATIENCE, tell_certificates).await;
    let alice = site.signed("alice");
    let channel = site.channel(server.address, Some(&alice)).await.unwrap();
    assert_eq!(certificates(&call(&channel).await.unwrap()), [der(&alice)]);
}

#[tokio::test]
async fn a_client_may_show_no_certificate() {
    let site = Site::new();
    let server = Fixture::start(&tls(&site), PATIENCE, tell_certificates).await;
    let channel = site.channel(server.address, None).await.unwrap();
    assert!(certificates(&call(&channel).await.unwrap()).is_empty());

    let server = Fixture::start(&plain(), PATIENCE, tell_certificates).await;
    assert!(certificates(&call(&server.channel().await).await.unwrap()).is_empty());
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused() {
    let (site, other) = (Site::new(), Site::new());
    let server = Fixture::start(&tls(&site), PATIENCE, tell_certificates).await;
    // In TLS 1.3 a client learns of it only afterwards.
    if let Ok(channel) = site.channel(server.address, Some(&other.signed("mallory"))).await {
        call(&channel).await.unwrap_err();
    }
    // Without a CA nobody is asked for a certificate, and none is believed.
    let mut options = tls(&site);
    options.tls.client_ca = None;
    let server = Fixture::start(&options, PATIENCE, tell_certificates).await;
    let channel = site.channel(server.address, Some(&site.signed("alice"))).await.unwrap();
    assert!(certificates(&call(&channel).await.unwrap()).is_empty());
}

#[tokio::test]
async fn another_ca_for_clients_is_taken_up() {
    let (site, next) = (Site::new(), Site::new());
    let mut options = tls(&site);
    options.limits.certificate_check = Duration::from_millis(20);
    let server = Fixture::start(&options, PATIENCE, tell_certificates).await;
    let (alice, bob) = (site.signed("alice"), next.signed("bob"));
    let as_bob = async || call(&site.channel(server.address, Some(&bob)).await?).await;
    as_bob().await.unwrap_err();
    site.write_client_ca(&next);
    let accepted = async {
        loop {
            match as_bob().await {
                Ok(response) => return response,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let response = timeout(PATIENCE, accepted).await.expect("it is taken up");
    assert_eq!(certificates(&response), [der(&bob)]);
    // The one before is not believed any more.
    if let Ok(channel) = site.channel(server.address, Some(&alice)).await {
        call(&channel).await.unwrap_err();
    }
}
