//! Clients that follow the nodes in the background, and hold every message to its promises.

use std::sync::{Arc, Mutex};

use nodeward_api::v1::{WatchNodesRequest, WatchNodesResponse};
use tokio::task::JoinHandle;

use super::Client;
use super::replay::Replay;
use super::watcher::Watcher;

/// A client that follows. It stops when it is dropped.
pub struct Follower {
    what: &'static str,
    seen: Arc<Mutex<(Replay, Vec<WatchNodesResponse>)>>,
    task: JoinHandle<()>,
}

impl Follower {
    /// A client on one stream, which must not end.
    pub async fn start(what: &'static str, client: &Client, request: WatchNodesRequest) -> Self {
        Self::start_with(what, client, request, None).await
    }

    /// A client that cuts the stream after every so many messages, and goes on with the last token.
    pub async fn start_cutting(what: &'static str, client: &Client, request: WatchNodesRequest, every: usize) -> Self {
        Self::start_with(what, client, request, Some(every)).await
    }

    async fn start_with(what: &'static str, client: &Client, request: WatchNodesRequest, cut: Option<usize>) -> Self {
        let seen = Arc::new(Mutex::new((Replay::default(), Vec::new())));
        let watcher = Watcher::open(client, request).await;
        let task = tokio::spawn(follow(watcher, seen.clone(), cut));
        Self { what, seen, task }
    }

    /// What it knows by now.
    pub fn replay(&self) -> Replay {
        assert!(!self.task.is_finished(), "{} has met an error", self.what);
        self.seen.lock().unwrap().0.clone()
    }

    /// All messages by now.
    pub fn messages(&self) -> Vec<WatchNodesResponse> {
        self.seen.lock().unwrap().1.clone()
    }

    /// What kind of client it is.
    pub fn what(&self) -> &'static str {
        self.what
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Panics, and thereby ends, at the first error or broken promise.
async fn follow(mut watcher: Watcher, seen: Arc<Mutex<(Replay, Vec<WatchNodesResponse>)>>, cut: Option<usize>) {
    for count in 1.. {
        let message = watcher.message().await;
        let resume_token = message.resume_token.clone();
        {
            let mut seen = seen.lock().unwrap();
            seen.0.take(&message);
            seen.1.push(message);
        }
        if cut.is_some_and(|every| count % every == 0) {
            watcher.resume(&resume_token).await;
        }
    }
}
