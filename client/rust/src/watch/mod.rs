//! A watch that goes on by itself.
//!
//! It opens the stream again with the last token whenever it ends or breaks, with growing pauses while the server can't be
//! reached. When the server can't go on from the token, it takes a new snapshot and turns it into the differences to what it
//! has delivered ([`view`]): the consumer never sees a change twice, nor misses a deletion.

mod options;
mod patience;
mod view;

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use tokio::time::sleep;
use tonic::Streaming;

use crate::api::{Node, WatchNodesRequest, WatchNodesResponse};
use crate::client::Client;
use crate::error::Error;
use crate::retry::pause;
use crate::watch::view::View;

pub(crate) use crate::watch::options::DEFAULT_BOOKMARK_INTERVAL;
pub use crate::watch::options::WatchOptions;
pub(crate) use crate::watch::patience::Patience;

/// No pause is longer, whatever the server asks for: a watch has no deadline that would end it.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Something that a watch tells.
#[derive(Debug)]
pub struct WatchEvent {
    /// What happened.
    pub kind: WatchEventKind,
    /// A new watch with this token goes on after this event. None where there is no such token: between the differences to
    /// a new snapshot, of which the new watch would miss some, and where nothing was told yet.
    pub resume_token: Option<String>,
}

/// What happened.
#[derive(Debug)]
pub enum WatchEventKind {
    /// The node is new to this watch: it was created, began to match the filter, or is part of the snapshot.
    Added {
        /// The node.
        node: Node,
    },
    /// The node changed.
    Modified {
        /// The node as it is now.
        node: Node,
        /// The paths of the fields that changed, sorted. Empty if the change was found by comparing snapshots.
        changed_paths: Vec<String>,
    },
    /// The node was deleted or no longer matches the filter.
    Deleted {
        /// The last state that is known.
        node: Node,
    },
    /// The snapshot is complete: what follows are changes. Comes once.
    SnapshotComplete {
        /// How many nodes the snapshot held. After a token of the caller's only those that this watch has told of.
        node_count: i32,
    },
    /// Nothing happened, up to here.
    Bookmark,
    /// The stream broke, or the server can't be reached. The watch goes on trying; until its next event, what the consumer
    /// knows may be out of date.
    Interrupted {
        /// Why.
        error: Error,
        /// When the next attempt is made.
        retry_in: Duration,
    },
}

impl Client {
    /// Watches nodes. The stream ends only after an error that opening it again would not mend; a consumer that wants to
    /// stop drops it.
    pub fn watch(
        &self,
        options: WatchOptions,
    ) -> impl Stream<Item = Result<WatchEvent, Error>> + Send + Unpin + 'static + use<> {
        let watch = Watch::new(self.clone(), options);
        stream::unfold(watch, |mut watch| async move { watch.next().await.map(|event| (event, watch)) }).boxed()
    }
}

/// The state of a watch between two events.
struct Watch {
    client: Client,
    /// What is watched. The token that a stream begins after is the view's.
    request: WatchNodesRequest,
    patience: Patience,
    /// Whether the bearer token could be read once: if it can't be later, it is being replaced.
    was_authorized: bool,
    stream: Option<Streaming<WatchNodesResponse>>,
    delays: Box<dyn Iterator<Item = Duration> + Send>,
    /// The pause before the stream is opened.
    pause: Duration,
    /// Whether the stream has sent anything since it was opened.
    has_received: bool,
    view: View,
    events: VecDeque<WatchEvent>,
    is_over: bool,
}

impl Watch {
    fn new(client: Client, options: WatchOptions) -> Self {
        let delays = Box::new(client.retry_policy().endless_delays());
        Self {
            client,
            view: View::new(&options),
            patience: Patience::of(options.bookmark_interval(), options.begin_within),
            was_authorized: false,
            request: options.into_request(),
            stream: None,
            delays,
            pause: Duration::ZERO,
            has_received: false,
            events: VecDeque::new(),
            is_over: false,
        }
    }

    async fn next(&mut self) -> Option<Result<WatchEvent, Error>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(Ok(event));
            }
            if self.is_over {
                return None;
            }
            let step = match self.receive().await {
                Ok(Some(message)) => {
                    self.take(message);
                    Ok(())
                }
                Ok(None) => self.reopen(),
                Err(error) => self.recover(error),
            };
            if let Err(error) = step {
                self.is_over = true;
                return Some(Err(error));
            }
        }
    }

    /// The next message, or none if the server has ended the stream.
    async fn receive(&mut self) -> Result<Option<WatchNodesResponse>, Error> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open().await?,
        };
        let message = self.patience.wait(async { Ok(stream.message().await?) }).await;
        self.stream = Some(stream);
        message
    }

    async fn open(&mut self) -> Result<Streaming<WatchNodesResponse>, Error> {
        sleep(mem::take(&mut self.pause)).await;
        self.has_received = false;
        let mut message = self.request.clone();
        message.resume_token = self.view.token().cloned().unwrap_or_default();
        let request = self.patience.wait(self.client.request(message, None, 0)).await?;
        self.was_authorized = true;
        let mut service = self.client.service();
        let stream = self.patience.wait(async { Ok(service.watch_nodes(request).await?.into_inner()) }).await?;
        if self.view.may_be_silent() {
            self.patience.has_begun();
        }
        Ok(stream)
    }

    fn take(&mut self, message: WatchNodesResponse) {
        if !self.has_received {
            self.has_received = true;
            self.patience.has_begun();
            self.delays = Box::new(self.client.retry_policy().endless_delays());
        }
        self.events.extend(self.view.take(message));
    }

    /// After the regular end of a stream: the next one at once, unless this one was of no use.
    fn reopen(&mut self) -> Result<(), Error> {
        self.stream = None;
        if !self.has_received {
            self.pause = self.next_delay();
        }
        if self.patience.bears(self.pause) { Ok(()) } else { Err(Patience::over()) }
    }

    /// After an error: how to go on, or the error if there is no way.
    fn recover(&mut self, error: Error) -> Result<(), Error> {
        self.stream = None;
        // Not after a token of the caller's: only the caller knows what came before it.
        if error.is_about_resume_token() && self.view.start_over() {
            // A token that is of no use as soon as it was given must not make a busy loop.
            if !self.has_received {
                self.pause = self.next_delay();
            }
            return Ok(());
        }
        let is_passing = error.is_interruption() || (error.is_of_token_file() && self.was_authorized);
        if !is_passing {
            return Err(error);
        }
        // A server that wants to be left alone is left alone for as long as a watch ever pauses by itself.
        let delay = pause(self.next_delay(), &error).unwrap_or_else(|| self.client.retry_policy().max_delay);
        self.pause = delay.min(LONGEST_PAUSE);
        if !self.patience.bears(self.pause) {
            return Err(error);
        }
        let kind = WatchEventKind::Interrupted { error, retry_in: self.pause };
        self.events.push_back(WatchEvent { kind, resume_token: self.view.resume_token() });
        Ok(())
    }

    fn next_delay(&mut self) -> Duration {
        self.delays.next().unwrap_or(LONGEST_PAUSE)
    }
}
