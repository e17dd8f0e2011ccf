//! A client that never hears an answer.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

use super::{Client, connect};

/// A client of the server at this address whose requests arrive, and whose answers are lost.
pub async fn deaf_client(server: SocketAddr) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass_on(client, server));
        }
    });
    connect(address).await
}

async fn pass_on(client: TcpStream, server: SocketAddr) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, _to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut nobody = tokio::io::sink();
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        // Read, so that the server is not held up, and thrown away.
        _ = tokio::io::copy(&mut from_server, &mut nobody) => {}
    }
}
