//! A stream that keeps itself open: it is opened again after the last position whenever it ends or breaks, with growing pauses
//! while the server can't be reached. What the messages are, and what a position is, says what is followed ([`Resumable`]).

mod patience;

use std::collections::VecDeque;
use std::future::{Future, ready};
use std::mem;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use tokio::time::sleep;
use tonic::{Request, Response, Status, Streaming};

use crate::client::Client;
use crate::error::Error;
use crate::retry::pause;

pub(crate) use crate::resume::patience::Patience;

/// The server's interval of bookmarks if none is asked for.
pub(crate) const DEFAULT_BOOKMARK_INTERVAL: Duration = Duration::from_secs(30);

/// No pause is longer, whatever the server asks for: what is followed has no deadline that would end it.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Something that can be followed over the ends of its streams.
pub(crate) trait Resumable: Send + Sync + 'static {
    /// What opens a stream.
    type Request: Send;
    /// What a stream sends.
    type Message: Send + 'static;
    /// What the consumer is told.
    type Event: Send + 'static;

    /// The request of a stream that goes on after all that was taken.
    fn request(&self) -> Self::Request;

    /// Opens a stream.
    fn open(
        client: &Client,
        request: Request<Self::Request>,
    ) -> impl Future<Output = Result<Response<Streaming<Self::Message>>, Status>> + Send;

    /// Takes a message: what the consumer is told about it.
    fn take(&mut self, message: Self::Message) -> Vec<Self::Event>;

    /// That the stream broke, or could not be opened, and when it is tried again.
    fn interrupted(&self, error: Error, retry_in: Duration) -> Self::Event;

    /// Whether messages may be long in coming: then a stream that the server has accepted has begun.
    fn may_be_silent(&self) -> bool;

    /// Whether it can go on after an error that is about its position, and has prepared for that.
    fn start_over(&mut self, _error: &Error) -> bool {
        false
    }

    /// Whether all has been taken: when the stream ends, however it does, that is the end.
    fn is_complete(&self) -> bool {
        false
    }

    /// Whether nothing follows, after a stream that the server has ended without a message.
    fn has_ended(&self, _client: &Client) -> impl Future<Output = Result<bool, Error>> + Send {
        ready(Ok(false))
    }
}

impl Client {
    /// Follows something until it has ended, or until an error that opening the stream again would not mend.
    pub(crate) fn resuming<R: Resumable>(
        &self,
        source: R,
        patience: Patience,
    ) -> impl Stream<Item = Result<R::Event, Error>> + Send + Unpin + 'static + use<R> {
        let resuming = Resuming::new(self.clone(), source, patience);
        stream::unfold(resuming, |mut resuming| async move { resuming.next().await.map(|event| (event, resuming)) })
            .boxed()
    }
}

/// The state between two events.
struct Resuming<R: Resumable> {
    client: Client,
    source: R,
    patience: Patience,
    stream: Option<Streaming<R::Message>>,
    delays: Box<dyn Iterator<Item = Duration> + Send>,
    /// The pause before the stream is opened.
    pause: Duration,
    /// Whether the stream has sent anything since it was opened.
    has_received: bool,
    /// Whether the bearer token could be read once: if it can't be later, it is being replaced.
    was_authorized: bool,
    events: VecDeque<R::Event>,
    is_over: bool,
}

impl<R: Resumable> Resuming<R> {
    fn new(client: Client, source: R, patience: Patience) -> Self {
        let delays = Box::new(client.retry_policy().endless_delays());
        Self {
            client,
            source,
            patience,
            stream: None,
            delays,
            pause: Duration::ZERO,
            has_received: false,
            was_authorized: false,
            events: VecDeque::new(),
            is_over: false,
        }
    }

    async fn next(&mut self) -> Option<Result<R::Event, Error>> {
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
                Ok(None) => self.end().await,
                Err(error) => self.recover(error),
            };
            if let Err(error) = step {
                self.is_over = true;
                return Some(Err(error));
            }
        }
    }

    /// The next message, or none if the server has ended the stream.
    async fn receive(&mut self) -> Result<Option<R::Message>, Error> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open().await?,
        };
        let message = self.patience.wait(async { Ok(stream.message().await?) }).await;
        self.stream = Some(stream);
        message
    }

    async fn open(&mut self) -> Result<Streaming<R::Message>, Error> {
        sleep(mem::take(&mut self.pause)).await;
        self.has_received = false;
        let request = self.patience.wait_to_open(self.client.request(self.source.request(), None, 0)).await?;
        self.was_authorized = true;
        let stream =
            self.patience.wait_to_open(async { Ok(R::open(&self.client, request).await?.into_inner()) }).await?;
        if self.source.may_be_silent() {
            self.patience.has_begun();
        }
        Ok(stream)
    }

    fn take(&mut self, message: R::Message) {
        if !mem::replace(&mut self.has_received, true) {
            self.patience.has_begun();
            self.delays = Box::new(self.client.retry_policy().endless_delays());
        }
        self.events.extend(self.source.take(message));
    }

    /// After the regular end of a stream: the next one, if there is more to come.
    async fn end(&mut self) -> Result<(), Error> {
        self.stream = None;
        self.is_over = self.source.is_complete();
        if self.is_over {
            return Ok(());
        }
        if self.has_received {
            return self.reopen();
        }
        match self.source.has_ended(&self.client).await {
            Ok(true) => {
                self.is_over = true;
                Ok(())
            }
            Ok(false) => self.reopen(),
            Err(error) => self.recover(error),
        }
    }

    /// At once, unless the last one was of no use.
    fn reopen(&mut self) -> Result<(), Error> {
        if !self.has_received {
            self.pause = self.next_delay();
        }
        if self.patience.bears(self.pause) { Ok(()) } else { Err(Patience::over()) }
    }

    /// After an error: how to go on, or the error if there is no way.
    fn recover(&mut self, error: Error) -> Result<(), Error> {
        self.stream = None;
        self.is_over = self.source.is_complete();
        if self.is_over {
            return Ok(());
        }
        if self.source.start_over(&error) {
            // A position that is of no use as soon as it was given must not make a busy loop.
            if !self.has_received {
                self.pause = self.next_delay();
            }
            return Ok(());
        }
        let is_passing = error.is_interruption() || (error.is_of_token_file() && self.was_authorized);
        if !is_passing {
            return Err(error);
        }
        // A server that wants to be left alone is left alone for as long as we ever pause by ourselves.
        let delay = pause(self.next_delay(), &error).unwrap_or_else(|| self.client.retry_policy().max_delay);
        self.pause = delay.min(LONGEST_PAUSE);
        if !self.patience.bears(self.pause) {
            return Err(error);
        }
        self.events.push_back(self.source.interrupted(error, self.pause));
        Ok(())
    }

    fn next_delay(&mut self) -> Duration {
        self.delays.next().unwrap_or(LONGEST_PAUSE)
    }
}
