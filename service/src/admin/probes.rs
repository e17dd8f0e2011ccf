//! What probes are told of the server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How the server is: it says so here, and probes ask. All clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Probes(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    /// What has ended that the server can't do without.
    ended: Option<&'static str>,
}

/// The stages of a server's life. It never goes back to an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Starting,
    Ready,
    Stopping,
}

impl Probes {
    /// The cluster's state has been read: calls can be answered.
    pub fn ready(&self) {
        self.reach(Stage::Ready);
    }

    /// No more calls are to come.
    pub fn stopping(&self) {
        self.reach(Stage::Stopping);
    }

    /// Something runs without which the server is of no use, until what this gives is dropped. If that happens before the
    /// server stops, the server is not alive any more.
    pub fn runs(&self, what: &'static str) -> Running {
        Running { what, probes: self.clone() }
    }

    /// Whether the server does its work, or what keeps it from that for good.
    pub fn live(&self) -> Result<(), String> {
        match self.state().ended {
            Some(what) => Err(format!("{what} has ended")),
            None => Ok(()),
        }
    }

    /// Whether the server can be sent calls, or why not.
    pub fn readiness(&self) -> Result<(), String> {
        self.live()?;
        match self.state().stage {
            Stage::Starting => Err("the state of the cluster has not been read yet".to_owned()),
            Stage::Ready => Ok(()),
            Stage::Stopping => Err("the server is stopping".to_owned()),
        }
    }

    fn reach(&self, stage: Stage) {
        let mut state = self.state();
        state.stage = state.stage.max(stage);
    }

    // Nothing panics while it holds the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that the server can't do without, for as long as it runs.
#[derive(Debug)]
pub struct Running {
    what: &'static str,
    probes: Probes,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.probes.state();
        if state.stage < Stage::Stopping {
            state.ended.get_or_insert(self.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_ready_from_when_it_says_so_until_it_stops() {
        let probes = Probes::default();
        assert!(probes.readiness().unwrap_err().contains("has not been read"));
        probes.ready();
        assert_eq!(probes.readiness(), Ok(()));
        probes.stopping();
        assert!(probes.readiness().unwrap_err().contains("stopping"));
        probes.ready();
        assert!(probes.readiness().is_err(), "it does not go back");
        assert_eq!(probes.live(), Ok(()));
    }

    #[tokio::test]
    async fn a_server_whose_work_has_panicked_is_not_alive() {
        let probes = Probes::default();
        probes.ready();
        let running = probes.runs("the watch");
        assert_eq!(probes.live(), Ok(()));
        let work = async move {
            let _running = running;
            panic!("on purpose");
        };
        tokio::spawn(work).await.unwrap_err();
        assert_eq!(probes.live(), Err("the watch has ended".to_owned()));
        assert!(probes.readiness().is_err());
    }

    #[test]
    fn work_that_ends_when_the_server_stops_is_none_that_it_lacks() {
        let probes = Probes::default();
        let running = probes.runs("the watch");
        probes.stopping();
        drop(running);
        assert_eq!(probes.live(), Ok(()));
    }
}
