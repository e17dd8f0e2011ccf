//! Following an operation until it has ended: by the numbers of its events, from whichever replica answers.

use std::time::Duration;

use futures::stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::api::operation_event::Event;
use crate::api::{OperationEvent, OperationState, StreamOperationEventsRequest};
use crate::client::Client;
use crate::error::Error;
use crate::name::operation_name;
use crate::operation::OperationEventsOptions;
use crate::resume::{Patience, Resumable};

/// The longest silence of a stream that is alive. Servers end streams from time to time, but send no bookmarks on this one.
const LONGEST_QUIET: Duration = Duration::from_secs(600);

/// Something that following an operation tells.
#[derive(Debug)]
pub enum OperationEventKind {
    /// Something happened.
    Event(Box<OperationEvent>),
    /// The stream broke, or the server can't be reached. It is tried again.
    Interrupted {
        /// Why.
        error: Error,
        /// When the next attempt is made.
        retry_in: Duration,
    },
}

impl Client {
    /// Follows an operation: no event comes twice. The stream ends with the operation, or after an error that opening it again
    /// would not mend.
    pub fn operation_events(
        &self,
        name: &str,
        options: OperationEventsOptions,
    ) -> impl Stream<Item = Result<OperationEventKind, Error>> + Send + Unpin + 'static + use<> {
        let OperationEventsOptions { after_sequence, begin_within } = options;
        let request = StreamOperationEventsRequest { name: operation_name(name), after_sequence };
        self.resuming(Events { request, is_complete: false }, Patience::with_silence(LONGEST_QUIET, begin_within))
    }
}

/// The events of an operation.
struct Events {
    /// What is followed, after the last event.
    request: StreamOperationEventsRequest,
    /// Whether the operation has told its end.
    is_complete: bool,
}

impl Resumable for Events {
    type Request = StreamOperationEventsRequest;
    type Message = OperationEvent;
    type Event = OperationEventKind;

    fn request(&self) -> Self::Request {
        self.request.clone()
    }

    async fn open(
        client: &Client,
        request: Request<Self::Request>,
    ) -> Result<Response<Streaming<Self::Message>>, Status> {
        client.operation_service().stream_operation_events(request).await
    }

    fn take(&mut self, message: OperationEvent) -> Vec<OperationEventKind> {
        if message.sequence <= self.request.after_sequence {
            return Vec::new();
        }
        self.request.after_sequence = message.sequence;
        if let Some(Event::StateChange(change)) = &message.event {
            self.is_complete = is_end(change.state());
        }
        vec![OperationEventKind::Event(Box::new(message))]
    }

    fn interrupted(&self, error: Error, retry_in: Duration) -> OperationEventKind {
        OperationEventKind::Interrupted { error, retry_in }
    }

    fn may_be_silent(&self) -> bool {
        true
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whoever begins after the last event is told nothing at all.
    async fn has_ended(&self, client: &Client) -> Result<bool, Error> {
        Ok(client.operation(&self.request.name).await?.done)
    }
}

fn is_end(state: OperationState) -> bool {
    matches!(state, OperationState::Succeeded | OperationState::Failed | OperationState::Cancelled)
}
