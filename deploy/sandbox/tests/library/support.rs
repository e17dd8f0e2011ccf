//! The sandbox of these tests, and waiting for what happens in it.

use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use kube::Client;
use kube::client::Body;
use nodeward_sandbox::{Sandbox, SandboxOptions};
use tokio::sync::{OnceCell, RwLock};

use crate::watchdog::watch;

static SANDBOX: OnceCell<Sandbox> = OnceCell::const_new();

/// Written by the tests that take a component away, read by the others.
pub static DISTURBED: RwLock<()> = RwLock::const_new(());

const DEADLINE: Duration = Duration::from_secs(60);

pub async fn sandbox() -> &'static Sandbox {
    let options = SandboxOptions { nodes: 3, ..SandboxOptions::default() };
    let sandbox = SANDBOX.get_or_init(|| async { Sandbox::start(options).await.unwrap() }).await;
    // Not before: the first control plane of a machine is built.
    watch();
    sandbox
}

/// Waits for a condition; there is no other way to wait in these tests.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < DEADLINE, "{what} did not happen within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A request to the apiserver as it is sent, and its answer's status and text.
#[derive(Debug, Clone)]
pub struct Call {
    method: &'static str,
    path: String,
    body: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl Call {
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: "", headers: Vec::new() }
    }

    /// A dry run of a cordon.
    pub fn patch_node(name: &str) -> Self {
        Self::patch(&format!("/api/v1/nodes/{name}"), r#"{"spec":{"unschedulable":true}}"#)
    }

    /// A dry run of a merge patch.
    pub fn patch(path: &str, body: &'static str) -> Self {
        let call = Self::new("PATCH", format!("{path}?dryRun=All"));
        Self { body, ..call }.header("content-type", "application/merge-patch+json")
    }

    /// A dry run of a creation.
    pub fn post(path: &str, body: &'static str) -> Self {
        let call = Self::new("POST", format!("{path}?dryRun=All"));
        Self { body, ..call }.header("content-type", "application/json")
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// In the name of this user with these groups.
    pub fn in_name_of(self, user: &str, groups: &[&str]) -> Self {
        let named = self.header("impersonate-user", user);
        groups.iter().fold(named, |call, group| call.header("impersonate-group", *group))
    }

    pub async fn send(&self, client: &Client) -> (StatusCode, String) {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let answer = client.send(request.body(Body::from(self.body.as_bytes().to_vec())).unwrap()).await.unwrap();
        let status = answer.status();
        let text = answer.into_body().collect_bytes().await.unwrap();
        (status, String::from_utf8_lossy(&text).into_owned())
    }
}
