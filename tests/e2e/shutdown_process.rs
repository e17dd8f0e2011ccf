//! The server as a process: its flags, its errors, and how it ends.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::future::join_all;
use nodeward_api::v1::CordonNodeRequest;
use tokio::net::TcpListener;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use crate::shutdown::{assert_ends_well, open_watches};
use crate::support::http::get;
use crate::support::http2::{
    DATA, EMPTY_MESSAGE, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, RawConnection, call, frame,
};
use crate::support::process::{ServerProcess, run_server};
use crate::support::proxy::Proxy;
use crate::support::{connect, eventually, unique, world};

#[tokio::test]
async fn it_ends_in_good_order_when_it_is_told_to() {
    let server = ServerProcess::start(world().await.sandbox.kubeconfig_path(), &["--grace", "10"]).await;
    let watchers = open_watches(&connect(server.address).await, 100).await;
    let begun = Instant::now();
    server.terminate().await;
    join_all(watchers.into_iter().map(assert_ends_well)).await;
    let (code, log) = server.ended().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// A stream of which nothing is read: its window is full, so that not even its end can be sent.
async fn full_window(address: SocketAddr) -> RawConnection {
    let mut client = RawConnection::open(address, &[(INITIAL_WINDOW_SIZE, 1)]).await;
    let watch = frame(HEADERS, END_HEADERS, 1, &call("/nodeward.v1.NodeService/WatchNodes"));
    client.send(&[watch, frame(DATA, END_STREAM, 1, EMPTY_MESSAGE)].concat()).await.unwrap();
    // The byte that its window has room for.
    while client.next().await.unwrap().kind != DATA {}
    client
}

#[tokio::test]
async fn clients_that_keep_their_streams_open_do_not_keep_it_from_ending_in_good_order() {
    let server = ServerProcess::start(world().await.sandbox.kubeconfig_path(), &["--grace", "30"]).await;
    let channel = Endpoint::from_shared(format!("http://{}", server.address)).unwrap().connect().await.unwrap();
    let (mut health, mut reflection) = (HealthClient::new(channel.clone()), ServerReflectionClient::new(channel));
    let mut health = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    health.message().await.unwrap().unwrap();
    let endless = futures::stream::pending::<ServerReflectionRequest>();
    let reflection = reflection.server_reflection_info(endless).await.unwrap();
    let full = full_window(server.address).await;

    let begun = Instant::now();
    server.terminate().await;
    let (code, log) = server.ended().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    drop((health, reflection, full));
}

#[tokio::test]
async fn told_to_end_twice_it_does_not_wait_for_calls() {
    let node = world().await.node("shutdown").await;
    let proxy = Proxy::start(&world().await.sandbox).await;
    let mut server = ServerProcess::start(proxy.kubeconfig(), &["--grace", "60"]).await;
    let mut client = connect(server.address).await;
    proxy.stall();
    let request = CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    let call = tokio::spawn(async move { client.cordon_node(request).await });
    proxy.holds_something().await;

    server.terminate().await;
    server.says("stopping").await;
    let begun = Instant::now();
    server.terminate().await;
    let (code, log) = server.ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("second time"), "{log}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    call.abort();
}

#[tokio::test]
async fn its_probes_say_that_it_stops_for_as_long_as_calls_go_on() {
    let node = world().await.node("shutdown").await;
    let proxy = Proxy::start(&world().await.sandbox).await;
    let mut server = ServerProcess::start(proxy.kubeconfig(), &["--grace", "60"]).await;
    let admin = server.admin().await;
    assert_eq!(get(admin, "/readyz").await, (200, "ok\n".to_owned()));
    let mut client = connect(server.address).await;
    proxy.stall();
    let request = CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    let call = tokio::spawn(async move { client.cordon_node(request).await });
    proxy.holds_something().await;

    server.terminate().await;
    server.says("stopping").await;
    let stopping = (503, "the server is stopping\n".to_owned());
    eventually("it is not ready", async || (get(admin, "/readyz").await == stopping).then_some(())).await;
    assert_eq!(get(admin, "/livez").await.0, 200);
    assert!(get(admin, "/metrics").await.1.contains("nodeward_cache_age_seconds"));

    proxy.mend();
    call.await.unwrap().unwrap();
    let (code, log) = server.ended().await;
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn the_help_names_the_environment_variable_of_every_flag() {
    let output = run_server(&["--help"]).await;
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    // `--listen <ADDRESS>` or `-h, --help`, but not the `- text: ...` of a list of values.
    let is_flag = |line: &str| line.trim_start().starts_with("--") || line.contains(", --");
    let flags: Vec<String> = help.lines().fold(Vec::new(), |mut flags, line| {
        match flags.last_mut() {
            _ if is_flag(line) => flags.push(line.to_owned()),
            Some(flag) => flag.push_str(line),
            None => {}
        }
        flags
    });
    assert!(flags.len() > 10, "{help}");
    for flag in flags {
        let name = flag.split_whitespace().find(|word| word.starts_with("--")).unwrap().trim_end_matches(',');
        assert!(["--help", "--version"].contains(&name) || flag.contains("[env: "), "{name} has no variable: {flag}");
    }
    let expected = "--listen --kubeconfig --context --in-cluster --grace --otlp-endpoint --log --tls-cert --plaintext --admin-listen";
    for expected in expected.split(' ') {
        assert!(help.contains(expected), "{expected} is missing");
    }
}

#[tokio::test]
async fn the_version_is_said() {
    let output = run_server(&["--version"]).await;
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("nodeward-server {}\n", env!("CARGO_PKG_VERSION")));
}

/// The server ends at once, and says this.
pub async fn assert_refuses(flags: &[&str], expected: &[&str]) {
    let output = run_server(flags).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{flags:?}: {said}");
    for text in expected {
        assert!(said.contains(text), "{flags:?}: no {text:?} in {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test]
async fn a_bad_kubeconfig_is_named() {
    let directory = world().await.sandbox.dir();
    let absent = directory.join("absent.kubeconfig");
    assert_refuses(&["--kubeconfig", absent.to_str().unwrap()], &["absent.kubeconfig"]).await;

    let garbage = directory.join(unique("garbage")).with_extension("kubeconfig");
    std::fs::write(&garbage, "clusters: [7, {").unwrap();
    assert_refuses(&["--kubeconfig", garbage.to_str().unwrap()], &[garbage.to_str().unwrap()]).await;

    let kubeconfig = world().await.sandbox.kubeconfig_path().to_str().unwrap();
    assert_refuses(&["--kubeconfig", kubeconfig, "--context", "nowhere"], &["context", "nowhere"]).await;
    assert_refuses(&[], &["--kubeconfig"]).await;
    assert_refuses(&["--in-cluster"], &["--in-cluster"]).await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let kubeconfig = world().await.sandbox.kubeconfig_path().to_str().unwrap();
    assert_refuses(
        &["--kubeconfig", kubeconfig, "--plaintext", "--listen", &address],
        &[&address, "--listen", "in use"],
    )
    .await;
}

#[tokio::test]
async fn a_port_in_use_for_metrics_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let kubeconfig = world().await.sandbox.kubeconfig_path().to_str().unwrap();
    let flags = ["--kubeconfig", kubeconfig, "--listen", "127.0.0.1:0", "--admin-listen", &address];
    assert_refuses(&flags, &[&address, "metrics and probes", "--admin-listen", "in use"]).await;
}

#[tokio::test]
async fn a_bad_flag_is_explained() {
    assert_refuses(&["--grace", "soon"], &["--grace", "whole number of seconds"]).await;
    assert_refuses(&["--listen", "everywhere"], &["--listen"]).await;
    assert_refuses(&["--colour"], &["--colour", "--help"]).await;
}
