//! Following the audit log, by its tokens. No record comes twice, and none is missed: where the server can't go on from the
//! token that ends it, since only who follows knows what that means.

use std::time::Duration;

use futures::stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::api::stream_audit_records_response::Event;
use crate::api::{AuditRecord, StreamAuditRecordsRequest, StreamAuditRecordsResponse};
use crate::audit::AuditFollowOptions;
use crate::client::Client;
use crate::error::Error;
use crate::resume::{DEFAULT_BOOKMARK_INTERVAL, Patience, Resumable};

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
        let AuditFollowOptions { filter, since, resume_token, bookmark_interval, begin_within } = options;
        let request = StreamAuditRecordsRequest {
            filter: Some(filter),
            since_time: since.map(Into::into),
            resume_token: resume_token.unwrap_or_default(),
            bookmark_interval: bookmark_interval.and_then(|interval| interval.try_into().ok()),
        };
        let patience = Patience::of(bookmark_interval.unwrap_or(DEFAULT_BOOKMARK_INTERVAL), begin_within);
        self.resuming(Records { request }, patience)
    }
}

/// The records that match.
struct Records {
    /// What is followed, after the last token.
    request: StreamAuditRecordsRequest,
}

impl Records {
    fn event(&self, kind: AuditEventKind) -> AuditEvent {
        let resume_token = Some(self.request.resume_token.clone()).filter(|token| !token.is_empty());
        AuditEvent { kind, resume_token }
    }
}

impl Resumable for Records {
    type Request = StreamAuditRecordsRequest;
    type Message = StreamAuditRecordsResponse;
    type Event = AuditEvent;

    fn request(&self) -> Self::Request {
        self.request.clone()
    }

    async fn open(
        client: &Client,
        request: Request<Self::Request>,
    ) -> Result<Response<Streaming<Self::Message>>, Status> {
        client.audit_service().stream_audit_records(request).await
    }

    fn take(&mut self, message: Self::Message) -> Vec<AuditEvent> {
        let StreamAuditRecordsResponse { event, resume_token } = message;
        self.request.resume_token = resume_token;
        let kind = match event {
            Some(Event::Record(record)) => AuditEventKind::Record(Box::new(record)),
            Some(Event::Bookmark(_)) => AuditEventKind::Bookmark,
            // An event of a later version of the contract: its token counts, though.
            None => return Vec::new(),
        };
        vec![self.event(kind)]
    }

    fn interrupted(&self, error: Error, retry_in: Duration) -> AuditEvent {
        self.event(AuditEventKind::Interrupted { error, retry_in })
    }

    /// What is in the log since a time may be long in coming.
    fn may_be_silent(&self) -> bool {
        true
    }
}
