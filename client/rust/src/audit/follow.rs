//! Following the audit log: the stream is opened again with the last token whenever it ends or breaks, with growing pauses
//! while the server can't be reached. No record comes twice, and none is missed: where the server can't go on from the token
//! that ends it, since only who follows knows what that means.

use std::mem;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use tokio::time::sleep;
use tonic::Streaming;

use crate::api::stream_audit_records_response::Event;
use crate::api::{AuditRecord, StreamAuditRecordsRequest, StreamAuditRecordsResponse};
use crate::audit::AuditFollowOptions;
use crate::client::Client;
use crate::error::Error;
use crate::retry::pause;
use crate::watch::{DEFAULT_BOOKMARK_INTERVAL, LONGEST_PAUSE, Patience};

/// Something that following the log tells.
#[derive(Debug)]
pub struct AuditEvent {
    /// What it is.
    pub kind: AuditEventKind,
    /// Following with this token goes on after this event. None where the server has not given one yet.
    pub resume_token: Option<String>,
}

/// What there is.
#[derive(Debug)]
pub enum AuditEventKind {
    /// A record that matches.
    Record(Box<AuditRecord>),
    /// No record matches, up to here.
    Bookmark,
    /// The stream broke, or the server can't be reached. It is tried again.
    Interrupted {
        /// Why.
        error: Error,
        /// When the next attempt is made.
        retry_in: Duration,
    },
}

impl Client {
    /// Follows the audit log. The stream ends only after an error that opening it again would not mend; a consumer that wants
    /// to stop drops it.
    ///
    /// Each replica of a server has a log of its own: follow one by the endpoint of that replica.
    pub fn follow_audit_records(
        &self,
        options: AuditFollowOptions,
    ) -> impl Stream<Item = Result<AuditEvent, Error>> + Send + Unpin + 'static + use<> {
        let follow = Follow::new(self.clone(), options);
        stream::unfold(follow, |mut follow| async move { follow.next().await.map(|event| (event, follow)) }).boxed()
    }
}

/// The state between two events.
struct Follow {
    client: Client,
    /// What is followed, after the last token.
    request: StreamAuditRecordsRequest,
    patience: Patience,
    stream: Option<Streaming<StreamAuditRecordsResponse>>,
    delays: Box<dyn Iterator<Item = Duration> + Send>,
    /// The pause before the stream is opened.
    pause: Duration,
    /// Whether the stream has sent anything since it was opened.
    has_received: bool,
    /// Whether the bearer token could be read once: if it can't be later, it is being replaced.
    was_authorized: bool,
    is_over: bool,
}

impl Follow {
    fn new(client: Client, options: AuditFollowOptions) -> Self {
        let AuditFollowOptions { filter, since, resume_token, bookmark_interval, begin_within } = options;
        let delays = Box::new(client.retry_policy().endless_delays());
        let interval = bookmark_interval.unwrap_or(DEFAULT_BOOKMARK_INTERVAL);
        Self {
            client,
            request: StreamAuditRecordsRequest {
                filter: Some(filter),
                since_time: since.map(Into::into),
                resume_token: resume_token.unwrap_or_default(),
                bookmark_interval: bookmark_interval.and_then(|interval| interval.try_into().ok()),
            },
            patience: Patience::of(interval, begin_within),
            stream: None,
            delays,
            pause: Duration::ZERO,
            has_received: false,
            was_authorized: false,
            is_over: false,
        }
    }

    async fn next(&mut self) -> Option<Result<AuditEvent, Error>> {
        while !self.is_over {
            let event = match self.receive().await {
                Ok(Some(message)) => Ok(self.take(message)),
                Ok(None) => self.reopen().map(|()| None),
                Err(error) => self.recover(error).map(Some),
            };
            match event {
                Ok(None) => {}
                Ok(Some(kind)) => return Some(Ok(AuditEvent { kind, resume_token: self.token() })),
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    fn token(&self) -> Option<String> {
        Some(self.request.resume_token.clone()).filter(|token| !token.is_empty())
    }

    /// The next message, or none if the server has ended the stream.
    async fn receive(&mut self) -> Result<Option<StreamAuditRecordsResponse>, Error> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open().await?,
        };
        let message = self.patience.wait(async { Ok(stream.message().await?) }).await;
        self.stream = Some(stream);
        message
    }

    async fn open(&mut self) -> Result<Streaming<StreamAuditRecordsResponse>, Error> {
        sleep(mem::take(&mut self.pause)).await;
        self.has_received = false;
        let request = self.patience.wait(self.client.request(self.request.clone(), None, 0)).await?;
        self.was_authorized = true;
        let mut service = self.client.audit_service();
        let stream =
            self.patience.wait(async { Ok(service.stream_audit_records(request).await?.into_inner()) }).await?;
        // What is in the log since a time may be long in coming.
        self.patience.has_begun();
        Ok(stream)
    }

    fn take(&mut self, message: StreamAuditRecordsResponse) -> Option<AuditEventKind> {
        if !mem::replace(&mut self.has_received, true) {
            self.delays = Box::new(self.client.retry_policy().endless_delays());
        }
        let StreamAuditRecordsResponse { event, resume_token } = message;
        self.request.resume_token = resume_token;
        match event? {
            Event::Record(record) => Some(AuditEventKind::Record(Box::new(record))),
            Event::Bookmark(_) => Some(AuditEventKind::Bookmark),
        }
    }

    /// After the regular end of a stream: the next one at once, unless this one was of no use.
    fn reopen(&mut self) -> Result<(), Error> {
        self.stream = None;
        if !self.has_received {
            self.pause = self.next_delay();
        }
        if self.patience.bears(self.pause) { Ok(()) } else { Err(Patience::over()) }
    }

    /// After an error: what is told of it, or the error if there is no way to go on.
    fn recover(&mut self, error: Error) -> Result<AuditEventKind, Error> {
        self.stream = None;
        let is_passing = error.is_interruption() || (error.is_of_token_file() && self.was_authorized);
        if !is_passing {
            return Err(error);
        }
        let delay = pause(self.next_delay(), &error).unwrap_or_else(|| self.client.retry_policy().max_delay);
        self.pause = delay.min(LONGEST_PAUSE);
        if !self.patience.bears(self.pause) {
            return Err(error);
        }
        Ok(AuditEventKind::Interrupted { error, retry_in: self.pause })
    }

    fn next_delay(&mut self) -> Duration {
        self.delays.next().unwrap_or(LONGEST_PAUSE)
    }
}
