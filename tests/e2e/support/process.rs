//! The server as a process of its own, as it is started in earnest.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::timeout;

/// The longest that a process may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program of this workspace, built as it is now. The path is of a copy: a build of another checkout into the same
/// directory does not change it.
pub async fn binary(bin: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::const_new(BTreeMap::new());
    let mut built = BUILT.lock().await;
    if let Some(path) = built.get(bin) {
        return path.clone();
    }
    let path = build(bin).await;
    built.insert(bin.to_owned(), path.clone());
    path
}

async fn build(bin: &str) -> PathBuf {
    // These tests are in target/<profile>/deps. With the same profile, and the features of the whole workspace, there is
    // the least to compile.
    let tests = std::env::current_exe().unwrap();
    let directory = tests.ancestors().nth(2).unwrap();
    let profile = match directory.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--workspace", "--bin", bin, "--profile", profile, "--target-dir"])
        .arg(directory.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let copies = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let unfinished = copies.join(format!("{bin}-{}", std::process::id()));
    std::fs::copy(directory.join(bin), &unfinished).unwrap();
    let copy = copies.join(bin);
    std::fs::rename(&unfinished, &copy).unwrap();
    copy
}

/// The nodeward server with these flags and no setting of this process's environment.
async fn command(flags: &[&str]) -> Command {
    let mut command = Command::new(binary("nodeward-server").await);
    command.args(flags).env_clear().env("HOME", env!("CARGO_TARGET_TMPDIR"));
    // There may be several at a time.
    command
        .env("NODEWARD_ADMIN_LISTEN", "127.0.0.1:0")
        .env("NODEWARD_NO_OPERATIONS", "true")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs the server with flags with which it ends by itself.
pub async fn run_server(flags: &[&str]) -> Output {
    let mut command = command(flags).await;
    timeout(PATIENCE, command.output()).await.expect("it ends").unwrap()
}

/// A running server. Dropping it kills it.
pub struct ServerProcess {
    child: Child,
    log: UnboundedReceiver<String>,
    /// Where it listens.
    pub address: SocketAddr,
    /// What its log has said, as far as it has been read.
    pub said: Vec<String>,
}

impl ServerProcess {
    /// Starts a server on a free port, and waits until it has read the cluster's state. It serves plain text.
    pub async fn start(kubeconfig: &Path, flags: &[&str]) -> Self {
        Self::start_with(kubeconfig, &[&["--plaintext"], flags].concat()).await
    }

    /// The same, but these flags say how it is protected.
    pub async fn start_with(kubeconfig: &Path, flags: &[&str]) -> Self {
        Self::start_exactly(kubeconfig, &[&["--no-auth", "--no-audit"], flags].concat()).await
    }

    /// The same, but these flags also say who is let in and where records are kept.
    pub async fn start_exactly(kubeconfig: &Path, flags: &[&str]) -> Self {
        let (child, mut log) = spawn(kubeconfig, flags).await;
        // In whichever order.
        let (mut said, first) = lines_until(&mut log, &["listening", "ready"]).await;
        let (more, second) = lines_until(&mut log, &["listening", "ready"]).await;
        said.extend(more);
        let address = [&first, &second].into_iter().find_map(|line| address_in(line)).unwrap();
        Self { child, log, address, said }
    }

    /// The same, but without waiting for more than that it listens.
    pub async fn start_listening(kubeconfig: &Path, flags: &[&str]) -> Self {
        let (child, mut log) = spawn(kubeconfig, flags).await;
        let (mut said, line) = lines_until(&mut log, &["listening"]).await;
        let address = address_in(&line).unwrap();
        said.push(line);
        Self { child, log, address, said }
    }

    /// Kills it, and waits until it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// How much memory it has, in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Where it shows its metrics, which it may say only after it is ready.
    pub async fn admin(&mut self) -> SocketAddr {
        const SAYS_WHERE: &str = "serving metrics and probes";
        if !self.said.iter().any(|line| line.contains(SAYS_WHERE)) {
            let (before, line) = lines_until(&mut self.log, &[SAYS_WHERE]).await;
            self.said.extend(before);
            self.said.push(line);
        }
        let line = self.said.iter().find(|line| line.contains(SAYS_WHERE));
        line.and_then(|line| address_in(line)).unwrap()
    }

    /// No file of it may become larger than this from now on: to it, the disk is full. `None` is no limit.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let pid = Pid::from_raw(self.pid().try_into().unwrap());
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    }

    fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Asks it to stop, as Kubernetes does.
    pub async fn terminate(&self) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    }

    /// Waits until its log says this.
    pub async fn says(&mut self, text: &str) {
        line_with(&mut self.log, &[text]).await;
    }

    /// Waits until it has ended: its exit code, and the rest of its log.
    pub async fn ended(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        while let Some(line) = timeout(PATIENCE, self.log.recv()).await.expect("it ends") {
            rest.push_str(&line);
            rest.push('\n');
        }
        (self.child.wait().await.unwrap().code(), rest)
    }
}

async fn spawn(kubeconfig: &Path, flags: &[&str]) -> (Child, UnboundedReceiver<String>) {
    let kubeconfig = kubeconfig.to_str().unwrap();
    let level: &[&str] = if flags.contains(&"--log") { &[] } else { &["--log", "info"] };
    let flags = [&["--listen", "127.0.0.1:0", "--kubeconfig", kubeconfig], level, flags].concat();
    let mut child = command(&flags).await.stderr(Stdio::piped()).spawn().unwrap();
    let log = read(child.stderr.take().unwrap());
    (child, log)
}

/// The address in a line that says where it listens, in either format of the log.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, address) = line.split_once("address=").or_else(|| line.split_once("\"address\":\""))?;
    Some(address.split([' ', '"']).next()?.parse().unwrap())
}

/// The lines of a log. They are read as they come: a server whose log nobody reads would stand still at last.
fn read(log: ChildStderr) -> UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut log = BufReader::new(log).lines();
        while let Ok(Some(line)) = log.next_line().await {
            let _ = sender.send(line);
        }
    });
    lines
}

/// The next line with one of these texts.
async fn line_with(log: &mut UnboundedReceiver<String>, texts: &[&str]) -> String {
    lines_until(log, texts).await.1
}

/// The next line with one of these texts, after those before it.
async fn lines_until(log: &mut UnboundedReceiver<String>, texts: &[&str]) -> (Vec<String>, String) {
    let mut before = Vec::new();
    loop {
        let line = timeout(PATIENCE, log.recv()).await;
        match line.unwrap_or_else(|_| panic!("none of {texts:?} after {before:#?}")) {
            Some(line) if texts.iter().any(|text| line.contains(text)) => return (before, line),
            Some(line) => before.push(line),
            None => panic!("it has ended without {texts:?}: {before:#?}"),
        }
    }
}
