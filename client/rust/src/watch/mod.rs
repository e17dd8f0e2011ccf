//! A watch that goes on by itself.
//!
//! It opens the stream again with the last token whenever it ends or breaks, with growing pauses while the server can't be
//! reached. When too much has happened since the token, it takes a new snapshot and turns it into the differences to what
//! it has delivered ([`view`]): the consumer never sees a change twice, nor misses a deletion.

mod options;
mod view;

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use tokio::time::{sleep, timeout};
use tonic::Streaming;

use crate::api::{Node, WatchNodesRequest, WatchNodesResponse};
use crate::client::Client;
use crate::error::Error;
use crate::retry::pause;
use crate::watch::view::View;

pub use crate::watch::options::WatchOptions;

/// No pause is longer, whatever the server asks for: a watch has no deadline that would end it.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Something that a watch tells.
#[derive(Debug)]
pub struct WatchEvent {
    /// What happened.
    pub kind: WatchEventKind,
    /// A new watch with this token goes on after this event. None where it would miss something: between the differences
    /// to a new snapshot, and where nothing was received yet.
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
        /// How many nodes the snapshot held.
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
    /// The next request: its token is the last one received.
    request: WatchNodesRequest,
    /// The longest silence of a stream that is alive.
    longest_silence: Duration,
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
        let view = View::new(options.skip_snapshot, options.resume_token.is_none(), options.read_mask.is_empty());
        let longest_silence = options.longest_silence();
        let delays = Box::new(client.retry_policy().endless_delays());
        Self {
            client,
            request: options.into_request(),
            longest_silence,
            stream: None,
            delays,
            pause: Duration::ZERO,
            has_received: false,
            view,
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
            match self.receive().await {
                Ok(Some(message)) => self.take(message),
                Ok(None) => self.reopen(),
                Err(error) => {
                    if let Err(error) = self.recover(error) {
                        self.is_over = true;
                        return Some(Err(error));
                    }
                }
            }
        }
    }

    /// The next message, or none if the server has ended the stream.
    async fn receive(&mut self) -> Result<Option<WatchNodesResponse>, Error> {
        sleep(std::mem::take(&mut self.pause)).await;
        let (stream, client, request) = (&mut self.stream, &self.client, &self.request);
        let has_received = &mut self.has_received;
        let message = async move {
            let stream = match stream {
                Some(stream) => stream,
                closed => {
                    *has_received = false;
                    let request = client.request(request.clone(), None, 0).await?;
                    closed.insert(client.service().watch_nodes(request).await?.into_inner())
                }
            };
            Ok(stream.message().await?)
        };
        // A dead server behind a proxy that is alive goes unnoticed by the keepalives of the connection: bookmarks are its
        // sign of life.
        let silence = || Error::unavailable(format!("the server was silent for {:?}", self.longest_silence));
        timeout(self.longest_silence, message).await.unwrap_or_else(|_| Err(silence()))
    }

    fn take(&mut self, message: WatchNodesResponse) {
        if !self.has_received {
            self.has_received = true;
            self.delays = Box::new(self.client.retry_policy().endless_delays());
        }
        if !message.resume_token.is_empty() {
            self.request.resume_token.clone_from(&message.resume_token);
            // The two exclude each other.
            self.request.skip_snapshot = false;
        }
        self.events.extend(self.view.take(message));
    }

    /// After the regular end of a stream: the next one at once, unless this one was of no use.
    fn reopen(&mut self) {
        self.stream = None;
        if !self.has_received {
            self.pause = self.next_delay();
        }
    }

    /// After an error: how to go on, or the error if there is no way.
    fn recover(&mut self, error: Error) -> Result<(), Error> {
        self.stream = None;
        if error.is_expired_token() && self.view.can_start_over() {
            self.view.start_over();
            self.request.resume_token.clear();
            // A token that is expired as soon as it was given must not make a busy loop.
            if !self.has_received {
                self.pause = self.next_delay();
            }
            return Ok(());
        }
        if !error.is_interruption() {
            return Err(error);
        }
        // A server that wants to be left alone is left alone for as long as a watch ever pauses by itself.
        let delay = pause(self.next_delay(), &error).unwrap_or_else(|| self.client.retry_policy().max_delay);
        self.pause = delay.min(LONGEST_PAUSE);
        let kind = WatchEventKind::Interrupted { error, retry_in: self.pause };
        self.events.push_back(WatchEvent { kind, resume_token: self.view.resume_token() });
        Ok(())
    }

    fn next_delay(&mut self) -> Duration {
        self.delays.next().unwrap_or(LONGEST_PAUSE)
    }
}
