//! The processes of the control plane: in which order they start and stop, when they are ready, and what happens when
//! one of them dies.

use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Request;
use rustix::process::Signal;
use tokio::sync::watch;

use crate::commands::Commands;
use crate::component::Component;
use crate::error::SandboxError;
use crate::kubeconfig;
use crate::kwok;
use crate::log_end::LogEnd;
use crate::process::Process;

/// A component that is not ready by then never will be. Far more than it takes, since test machines are busy.
const READY_DEADLINE: Duration = Duration::from_secs(120);

/// How often readiness is asked for: the apiserver takes 3 s, and nobody should wait much longer than that.
const READY_EVERY: Duration = Duration::from_millis(50);

/// How long one answer about readiness may take.
const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a component may take to stop in good order. The apiserver waits for open watches unless hurried.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// A component that ended without having been asked to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Death {
    component: Component,
    status: ExitStatus,
}

/// The control plane. Dropping it kills everything at once.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    pub(crate) commands: Commands,
    slots: [Mutex<Option<Arc<Process>>>; Component::ALL.len()],
    /// The first death. It stays: a control plane that lost a component is no longer what it promised to be.
    deaths: watch::Sender<Option<Death>>,
}

impl ControlPlane {
    /// Nothing runs yet.
    pub(crate) fn new(commands: Commands) -> Self {
        Self { commands, slots: Default::default(), deaths: watch::Sender::new(None) }
    }

    /// Starts everything and waits until it answers. On an error, what was started is stopped by dropping.
    pub(crate) async fn start(&self) -> Result<(), SandboxError> {
        // The apiserver waits for etcd by itself.
        self.spawn(Component::Etcd)?;
        self.spawn(Component::ApiServer)?;
        self.ready(Component::ApiServer).await?;
        // The others give up, or back off for seconds, if they find no apiserver: they start when there is one.
        self.spawn(Component::ControllerManager)?;
        self.spawn(Component::Scheduler)?;
        kwok::drop_stale_leases(&self.client().await?).await?;
        self.spawn(Component::Kwok)
    }

    /// Waits until all components say that they are ready.
    pub(crate) async fn all_ready(&self) -> Result<(), SandboxError> {
        futures::future::try_join_all(Component::ALL.map(|component| self.ready(component))).await.map(drop)
    }

    /// A client with all rights.
    pub(crate) async fn client(&self) -> Result<kube::Client, SandboxError> {
        kubeconfig::client(&self.commands.layout.kubeconfig(), None).await
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) async fn kill(&self, component: Component) {
        self.end(component, Signal::KILL, None).await;
    }

    /// Starts a component that was killed, with the same ports and data, and waits until it is ready.
    pub(crate) async fn restart(&self, component: Component) -> Result<(), SandboxError> {
        if component == Component::Kwok {
            kwok::drop_stale_leases(&self.client().await?).await?;
        }
        self.spawn(component)?;
        self.ready(component).await
    }

    /// Sends SIGSTOP or SIGCONT.
    pub(crate) fn signal(&self, component: Component, signal: Signal) -> Result<(), SandboxError> {
        let process = self.slot(component).clone();
        match process {
            Some(process) if process.signal(signal) => Ok(()),
            _ => Err(SandboxError::NotRunning(component)),
        }
    }

    /// Stops everything in order: first those who write, then the apiserver, then its store.
    pub(crate) async fn stop(&self) {
        let [etcd, api_server, writers @ ..] = Component::ALL;
        let grace = Some(STOP_GRACE);
        futures::future::join_all(writers.map(|component| self.end(component, Signal::TERM, grace))).await;
        self.end(api_server, Signal::TERM, grace).await;
        self.end(etcd, Signal::TERM, grace).await;
    }

    /// Waits until a component dies, and says which and why.
    pub(crate) async fn death(&self) -> SandboxError {
        let mut deaths = self.deaths.subscribe();
        let death = deaths.wait_for(Option::is_some).await.ok().and_then(|death| *death);
        match death {
            Some(death) => self.obituary(death),
            // The sender is part of self, so there is always a death to have been waited for.
            None => std::future::pending().await,
        }
    }

    /// The process ids of the components that run.
    pub(crate) fn pids(&self) -> Vec<(Component, u32)> {
        let running = |component| Some((component, self.slot(component).as_ref().filter(|p| p.is_running())?.id()));
        Component::ALL.into_iter().filter_map(running).collect()
    }

    fn slot(&self, component: Component) -> MutexGuard<'_, Option<Arc<Process>>> {
        self.slots[component.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, component: Component) -> Result<(), SandboxError> {
        let mut slot = self.slot(component);
        if slot.as_ref().is_some_and(|process| process.is_running()) {
            return Err(SandboxError::AlreadyRunning(component));
        }
        let deaths = self.deaths.clone();
        let on_death = move |status| {
            deaths.send_if_modified(|first| {
                let is_first = first.is_none();
                first.get_or_insert(Death { component, status });
                is_first
            });
        };
        *slot = Some(Arc::new(Process::spawn(&self.commands.spec(component), on_death)?));
        Ok(())
    }

    async fn end(&self, component: Component, signal: Signal, grace: Option<Duration>) {
        let Some(process) = self.slot(component).clone() else { return };
        process.end(signal);
        if let Some(grace) = grace
            && tokio::time::timeout(grace, process.ended()).await.is_err()
        {
            process.end(Signal::KILL);
        }
        process.ended().await;
    }

    /// Waits until a component is ready, dies, or has had its time.
    async fn ready(&self, component: Component) -> Result<(), SandboxError> {
        tokio::select! {
            ready = self.poll_ready(component) => ready,
            death = self.death() => Err(death),
        }
    }

    async fn poll_ready(&self, component: Component) -> Result<(), SandboxError> {
        let (server, path) = self.commands.readiness(component);
        let client = kubeconfig::client(&self.commands.kubeconfig_for(component), Some(&server)).await?;
        let begun = Instant::now();
        loop {
            let request = Request::get(path).body(Vec::new()).unwrap_or_default();
            let last = match tokio::time::timeout(READY_TIMEOUT, client.request_text(request)).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(e)) => e.to_string(),
                Err(_) => "no answer".to_string(),
            };
            if begun.elapsed() >= READY_DEADLINE {
                let component = component.name();
                let log = self.commands.layout.log(component);
                let tail = LogEnd::read(&log).shown();
                return Err(SandboxError::NotReady { component, after: READY_DEADLINE, last, log, tail });
            }
            tokio::time::sleep(READY_EVERY).await;
        }
    }

    fn obituary(&self, Death { component, status }: Death) -> SandboxError {
        let component = component.name();
        let log = self.commands.layout.log(component);
        let end = LogEnd::read(&log);
        let (tail, advice) = (end.shown(), end.advice());
        SandboxError::Died { component, status, log, tail, advice }
    }
}
