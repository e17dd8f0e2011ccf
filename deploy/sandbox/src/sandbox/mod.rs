//! The sandbox as a whole: started, used, and stopped.

mod credentials;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::{Api, Client};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::access::{self, SERVER_ACCOUNT, SERVER_NAMESPACE};
use crate::build::{self, KUBERNETES_VERSION};
use crate::cache;
use crate::commands::{AUDIT_POLICY, Commands, Ports};
use crate::component::Component;
use crate::control_plane::ControlPlane;
use crate::directory::Directory;
use crate::error::SandboxError;
use crate::layout::{self, Layout};
use crate::pki::{ETCD_CLIENT, Pki};
use crate::progress::Progress;
use crate::running::State;
use crate::seed::{nodes, workloads};
use crate::{kubeconfig, kwok, ports};

/// What a sandbox should be like.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// How many fake nodes it has at its start: `worker-1` and so on, in three zones.
    pub nodes: usize,
    /// Where its data goes. Without one, a new directory in the user's cache.
    pub dir: Option<PathBuf>,
    /// Keep the data when the sandbox stops, and use what an earlier one kept in `dir`.
    pub keep: bool,
    /// Whether the demo's workloads run on the nodes. They need at least one node.
    pub seed_workloads: bool,
    /// Where to say what is going on. A build of the control plane is shown even if this says `Quiet`.
    pub progress: Progress,
    /// More flags for the apiserver, stronger than the sandbox's own.
    pub api_server_args: Vec<String>,
    /// Whether the custom resources of operations are guarded as deploy/crd/guard.yaml has it: then a server in front of this
    /// sandbox carries operations out only with [`Sandbox::server_kubeconfig`], and no administrator can write any.
    pub guard_operations: bool,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            nodes: 12,
            dir: None,
            keep: false,
            seed_workloads: true,
            progress: Progress::Quiet,
            api_server_args: Vec::new(),
            guard_operations: false,
        }
    }
}

/// A running control plane with fake nodes. Dropping it kills all its processes; so does the end of this process,
/// whatever ends it.
///
/// It belongs to no async runtime: a sandbox in a `static` may be shared by tests that have a runtime each.
#[derive(Debug)]
pub struct Sandbox {
    // Before the directory: fields are dropped in order, and the processes must be gone before their data.
    control_plane: ControlPlane,
    directory: Directory,
    url: String,
    kubeconfig: PathBuf,
    /// How many nodes were made so far: gives each one addresses of its own.
    made: AtomicUsize,
}

impl Sandbox {
    /// Starts a control plane and kwok, and waits until the nodes are Ready and the workloads run.
    ///
    /// The first start of a version builds it, which takes minutes. If the start fails, what was started is stopped;
    /// the logs stay until the next start.
    pub async fn start(options: SandboxOptions) -> Result<Self, SandboxError> {
        // Before the build: nobody should wait for minutes to hear that the directory will not do.
        let (dir, keep) = (options.dir.clone(), options.keep);
        let directory = blocking(move || Directory::take(dir.as_deref(), keep)).await?;
        let binaries = build::ensure(options.progress).await?;

        let layout = Layout::new(directory.path());
        cache::make_dir(&layout.logs())?;
        cache::make_dir(&layout.home())?;
        let pki = Pki::ensure(&layout.pki())?;
        let reserved = ports::reserve(Ports::COUNT, &cache::root()?.join("ports"))?;
        let ports = Ports::assign(reserved).ok_or(SandboxError::NoFreePort { from: 0, to: 0 })?;
        let commands = Commands { binaries, layout, pki, ports, api_server_args: options.api_server_args.clone() };
        let url = commands.api_server_url();
        write_configs(&commands, &url)?;

        let kubeconfig = commands.layout.kubeconfig();
        let control_plane = ControlPlane::new(commands);
        let sandbox = Self { control_plane, directory, url, kubeconfig, made: AtomicUsize::new(0) };
        // Whatever is being waited for, a component that dies ends the wait.
        tokio::select! {
            done = sandbox.bring_up(&options) => done?,
            death = sandbox.died() => return Err(death),
        }
        Ok(sandbox)
    }

    /// The administrator's kubeconfig. It is complete in itself, and may be copied.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig
    }

    /// A new client with all rights and without retries of its own.
    pub async fn client(&self) -> Result<Client, SandboxError> {
        kubeconfig::client(&self.kubeconfig, None).await
    }

    /// The directory of the sandbox: data, certificates, logs.
    pub fn dir(&self) -> &Path {
        self.directory.path()
    }

    /// The address of the apiserver.
    pub fn apiserver_url(&self) -> &str {
        &self.url
    }

    /// Runs kubectl of the same version with the administrator's kubeconfig.
    pub async fn kubectl<I, S>(&self, args: I) -> Result<Output, SandboxError>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.kubectl_with(args, "").await
    }

    /// Kills a component with SIGKILL and waits until it is gone.
    pub async fn kill(&self, component: Component) -> Result<(), SandboxError> {
        self.control_plane.kill(component).await;
        Ok(())
    }

    /// Starts a component again that was killed, with the same ports and data, and waits until it is ready.
    pub async fn restart(&self, component: Component) -> Result<(), SandboxError> {
        self.control_plane.restart(component).await
    }

    /// Stops a component in its tracks (SIGSTOP): its connections stay open and nothing answers.
    pub async fn pause(&self, component: Component) -> Result<(), SandboxError> {
        self.control_plane.signal(component, Signal::STOP)
    }

    /// Lets a paused component go on (SIGCONT).
    pub async fn resume(&self, component: Component) -> Result<(), SandboxError> {
        self.control_plane.signal(component, Signal::CONT)
    }

    /// Creates more nodes that kwok plays, and waits until they are Ready.
    pub async fn create_nodes(&self, names: &[String]) -> Result<(), SandboxError> {
        let client = self.client().await?;
        let first = self.made.fetch_add(names.len(), Ordering::Relaxed);
        nodes::create(&client, names, first, None).await?;
        nodes::wait_ready(&client, names, &self.control_plane.commands.layout.logs(), None).await
    }

    /// Waits until a component dies that nobody killed, and says which, why and what to do. Returns at once if one has
    /// died already.
    pub async fn died(&self) -> SandboxError {
        self.control_plane.death().await
    }

    /// Where the nodeward server may keep what is its own, such as its audit log.
    pub fn nodeward_dir(&self) -> PathBuf {
        self.control_plane.commands.layout.nodeward()
    }

    /// Where a companion of the sandbox should log to, if it has this name.
    pub fn log_path(&self, name: &str) -> PathBuf {
        self.control_plane.commands.layout.log(name)
    }

    /// The process ids of the components that run.
    pub fn pids(&self) -> Vec<(Component, u32)> {
        self.control_plane.pids()
    }

    /// Stops everything in order. The data is removed unless it was to be kept.
    pub async fn stop(self) -> Result<(), SandboxError> {
        self.end(&[]).await
    }

    /// As [`Sandbox::stop`], but the logs stay until the next start: for when something has died, and they say why.
    pub async fn stop_leaving_logs(self) -> Result<(), SandboxError> {
        self.end(&[layout::LOGS]).await
    }

    async fn end(self, leaving: &'static [&'static str]) -> Result<(), SandboxError> {
        self.control_plane.stop().await;
        let Self { directory, control_plane, .. } = self;
        drop(control_plane);
        blocking(move || directory.release(leaving)).await
    }

    async fn bring_up(&self, options: &SandboxOptions) -> Result<(), SandboxError> {
        let progress = options.progress;
        let logs = self.control_plane.commands.layout.logs();
        let step = progress.step(format!("Starting Kubernetes {KUBERNETES_VERSION}"));
        self.control_plane.start().await?;
        let client = self.client().await?;
        self.admit_server(&client, options.guard_operations).await?;
        step.done();

        let names = nodes::names(options.nodes);
        self.made.store(names.len().max(self.count_kept(options, &client).await?), Ordering::Relaxed);
        if !names.is_empty() {
            let step = progress.step(format!("Making {} nodes", names.len()));
            let created = nodes::create(&client, &names, 0, Some(&step)).await?;
            // Not for those that were kept: they are as their user left them, and need never be Ready.
            nodes::wait_ready(&client, &created, &logs, Some(&step)).await?;
            step.done();
        }
        let seeded = self.control_plane.commands.layout.seeded();
        if options.seed_workloads && options.nodes > 0 && !seeded.exists() {
            let step = progress.step("Running the demo's workloads");
            let apply = ["apply", "--server-side", "--force-conflicts", "--field-manager=nodeward-sandbox", "-f", "-"];
            let output = self.kubectl_with(apply, workloads::MANIFEST).await?;
            if !output.status.success() {
                let output = String::from_utf8_lossy(&output.stderr).trim().to_string();
                return Err(SandboxError::Kubectl { what: "apply of the demo's workloads", output });
            }
            workloads::wait_running(&client, &logs, &step).await?;
            // From here on they are the user's.
            cache::write_atomically(&seeded, "")?;
            step.done();
        }
        self.control_plane.all_ready().await?;
        self.directory.publish(&State {
            pid: std::process::id(),
            apiserver_url: self.url.clone(),
            kubeconfig: self.kubeconfig.clone(),
            control_plane: self.control_plane.commands.binaries.control_plane(),
        })
    }

    /// Gives the nodeward server what it needs in the cluster.
    async fn admit_server(&self, client: &Client, guard_operations: bool) -> Result<(), SandboxError> {
        let Commands { layout, pki, .. } = &self.control_plane.commands;
        let token = access::establish(client, guard_operations, &layout.logs()).await?;
        let account = (SERVER_NAMESPACE, SERVER_ACCOUNT);
        kubeconfig::write_for_account(&layout.server_kubeconfig(), &self.url, &pki.ca(), account, &token)
    }

    /// How many nodes an earlier sandbox left.
    async fn count_kept(&self, options: &SandboxOptions, client: &Client) -> Result<usize, SandboxError> {
        if !options.keep {
            return Ok(0);
        }
        let nodes: Api<Node> = Api::all(client.clone());
        let nodes = nodes.list_metadata(&ListParams::default()).await;
        Ok(nodes.map_err(|e| SandboxError::kube("list the nodes", e))?.items.len())
    }

    async fn kubectl_with<I, S>(&self, args: I, input: &str) -> Result<Output, SandboxError>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let program = self.control_plane.commands.binaries.control_plane();
        let wrap = |e| SandboxError::io("run kubectl with", &program, e);
        let mut child = Command::new(&program)
            .arg("kubectl")
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(wrap)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A kubectl that does not want it all says why on stderr.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await.map_err(wrap)
    }
}

fn write_configs(commands: &Commands, url: &str) -> Result<(), SandboxError> {
    let Commands { layout, pki, .. } = commands;
    kubeconfig::write(&layout.kubeconfig(), url, &pki.ca(), pki, "admin")?;
    for client in ["controller-manager", "scheduler", "kwok"] {
        kubeconfig::write(&layout.kubeconfig_of(client), url, &pki.ca(), pki, client)?;
    }
    kubeconfig::write(&layout.kubeconfig_of(ETCD_CLIENT), &commands.etcd_url(), &pki.etcd_ca(), pki, ETCD_CLIENT)?;
    cache::write_atomically(&layout.audit_policy(), AUDIT_POLICY)?;
    kwok::write_config(&layout.kwok_config())
}

/// Runs what blocks beside the async runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SandboxError> + Send + 'static,
) -> Result<T, SandboxError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}
