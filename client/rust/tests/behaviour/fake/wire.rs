//! The ways to the fake: through memory, so that the time of a test may stand still, and through TCP for the binary.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hyper_util::rt::TokioIo;
use nodeward_client::api::audit_service_server::AuditServiceServer;
use nodeward_client::api::drain_service_server::DrainServiceServer;
use nodeward_client::api::node_service_server::NodeServiceServer;
use nodeward_client::api::operation_service_server::OperationServiceServer;
use nodeward_client::longrunning::operations_server::OperationsServer;
use nodeward_client::{Client, ConnectOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy_bidirectional, duplex};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::server::Router;
use tonic::transport::{Channel, Endpoint, Server};
use tower::service_fn;

use super::Fake;
use crate::watchdog::watch;

/// Connections in memory, which can be cut.
#[derive(Clone, Debug, Default)]
pub struct Network {
    wires: Arc<Mutex<Vec<AbortHandle>>>,
    broken: Arc<AtomicUsize>,
    calmed: Arc<AtomicUsize>,
}

impl Network {
    /// A client of the fake.
    pub fn client(&self, fake: &Fake, options: ConnectOptions) -> Client {
        Client::with_channel(self.channel(fake), options)
    }

    /// Cuts all connections. The next request opens a new one.
    pub fn cut(&self) {
        self.wires.lock().unwrap().drain(..).for_each(|wire| wire.abort());
    }

    /// The next so many connections break as soon as they are made.
    pub fn break_next(&self, connections: usize) {
        self.broken.store(connections, Ordering::SeqCst);
    }

    /// The next so many connections turn their first request away, since there are too many, and end.
    pub fn calm_next(&self, connections: usize) {
        self.calmed.store(connections, Ordering::SeqCst);
    }

    fn channel(&self, fake: &Fake) -> Channel {
        watch();
        let (network, fake) = (self.clone(), fake.clone());
        let connector = service_fn(move |_| {
            let (network, fake) = (network.clone(), fake.clone());
            async move { Ok::<_, Infallible>(TokioIo::new(network.connect(fake))) }
        });
        Endpoint::from_static("http://fake").connect_with_connector_lazy(connector)
    }

    fn connect(&self, fake: Fake) -> DuplexStream {
        let (client, mut near) = duplex(1 << 20);
        if is_left(&self.broken) {
            return client;
        }
        if is_left(&self.calmed) {
            tokio::spawn(async move { calm(near).await });
            return client;
        }
        let (mut far, server) = duplex(1 << 20);
        let incoming = tokio_stream::once(Ok::<_, std::io::Error>(server));
        let service = router(fake);
        tokio::spawn(service.serve_with_incoming(incoming));
        let wire = tokio::spawn(async move {
            let _ = copy_bidirectional(&mut near, &mut far).await;
        });
        self.wires.lock().unwrap().push(wire.abort_handle());
        client
    }
}

fn router(fake: Fake) -> Router {
    Server::builder()
        .add_service(AuditServiceServer::new(fake.clone()))
        .add_service(DrainServiceServer::new(fake.clone()))
        .add_service(OperationServiceServer::new(fake.clone()))
        .add_service(OperationsServer::new(fake.clone()))
        .add_service(NodeServiceServer::new(fake))
}

fn is_left(number: &AtomicUsize) -> bool {
    number.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

/// Speaks as much HTTP/2 as it takes to reset the first stream with ENHANCE_YOUR_CALM, and hangs up.
async fn calm(mut wire: DuplexStream) -> std::io::Result<()> {
    const PREFACE: usize = 24;
    const HEADERS: u8 = 1;
    const SETTINGS_FRAME: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const RST_STREAM_FRAME: [u8; 13] = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0xb];

    wire.read_exact(&mut [0; PREFACE]).await?;
    wire.write_all(&SETTINGS_FRAME).await?;
    loop {
        let mut head = [0; 9];
        wire.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        wire.read_exact(&mut vec![0; length as usize]).await?;
        if head[3] == HEADERS {
            return wire.write_all(&RST_STREAM_FRAME).await;
        }
    }
}

/// Serves the fake on a port of its own, for as long as the runtime lives.
pub fn serve(fake: &Fake) -> (Runtime, SocketAddr) {
    watch();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let service = router(fake.clone());
    runtime.spawn(service.serve_with_incoming(TcpListenerStream::new(listener)));
    (runtime, address)
}
