//! An AuditService that answers what it was told to.

use std::pin::Pin;

use futures::stream::{self, Stream, StreamExt};
use nodeward_client::Code;
use nodeward_client::api::audit_outcome::Result as Outcome;
use nodeward_client::api::audit_record::Stage;
use nodeward_client::api::audit_service_server::AuditService;
use nodeward_client::api::stream_audit_records_response::Event;
use nodeward_client::api::{
    AuditOutcome, AuditRecord, AuditUser, Bookmark, ListAuditRecordsRequest, ListAuditRecordsResponse,
    StreamAuditRecordsRequest, StreamAuditRecordsResponse,
};
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use super::{Call, Fake, status};

type Records = Pin<Box<dyn Stream<Item = Result<StreamAuditRecordsResponse, Status>> + Send>>;

/// What a stream of records sends. After the last step it ends.
pub type AuditStep = Result<StreamAuditRecordsResponse, Status>;

#[tonic::async_trait]
impl AuditService for Fake {
    type StreamAuditRecordsStream = Records;

    async fn list_audit_records(
        &self,
        request: Request<ListAuditRecordsRequest>,
    ) -> Result<Response<ListAuditRecordsResponse>, Status> {
        let mut state = self.lock();
        let request = request.into_inner();
        // The token of a page is its number.
        let number: usize = request.page_token.parse().unwrap_or(0);
        state.calls.push(Call::ListAudit(request));
        let audit_records = state.audit_pages.get(number).cloned().unwrap_or_default();
        let is_last = number + 1 >= state.audit_pages.len();
        Ok(Response::new(ListAuditRecordsResponse {
            audit_records,
            next_page_token: if is_last { String::new() } else { (number + 1).to_string() },
            log: "2f19aff2-10ab-4485-9cf4-234e4a0d742c".to_owned(),
            log_end: format!("9:{}", "0".repeat(64)),
        }))
    }

    async fn stream_audit_records(
        &self,
        request: Request<StreamAuditRecordsRequest>,
    ) -> Result<Response<Records>, Status> {
        let mut state = self.lock();
        state.calls.push(Call::StreamAudit(request.into_inner()));
        let gone = || vec![Err(status(Code::PermissionDenied, "ACCESS_DENIED", "that was all", None))];
        let steps = state.audit_streams.pop_front().unwrap_or_else(gone);
        Ok(Response::new(stream::iter(steps).boxed()))
    }
}

impl Fake {
    /// The audit log has these pages.
    pub fn with_audit_pages(self, pages: impl IntoIterator<Item = Vec<AuditRecord>>) -> Self {
        self.lock().audit_pages = pages.into_iter().collect();
        self
    }

    /// The next stream of records sends this.
    pub fn next_audit_stream(&self, steps: impl IntoIterator<Item = AuditStep>) -> &Self {
        self.lock().audit_streams.push_back(steps.into_iter().collect());
        self
    }

    pub fn audit_list_requests(&self) -> Vec<ListAuditRecordsRequest> {
        let list = |call| if let Call::ListAudit(request) = call { Some(request) } else { None };
        self.calls().into_iter().filter_map(list).collect()
    }

    pub fn audit_stream_requests(&self) -> Vec<StreamAuditRecordsRequest> {
        let stream = |call| if let Call::StreamAudit(request) = call { Some(request) } else { None };
        self.calls().into_iter().filter_map(stream).collect()
    }
}

/// The intent of alice to cordon worker-3, at this second.
pub fn intent(call: &str, second: i64) -> AuditRecord {
    AuditRecord {
        audit_id: call.into(),
        stage: Stage::RequestReceived.into(),
        rpc: "nodeward.v1.NodeService/CordonNode".into(),
        user: Some(AuditUser { username: "alice".into(), ..AuditUser::default() }),
        request_received_time: Some(Timestamp { seconds: second, nanos: 1 }),
        node: "nodes/worker-3".into(),
        reason: "new disk".into(),
        ..AuditRecord::default()
    }
}

/// What came of it.
pub fn outcome(call: &str, second: i64) -> AuditRecord {
    let changed = AuditOutcome { result: Outcome::Changed.into(), code: "OK".into(), ..AuditOutcome::default() };
    AuditRecord { stage: Stage::ResponseComplete.into(), outcome: Some(changed), ..intent(call, second) }
}

/// A message with a record.
pub fn sends(record: AuditRecord, token: &str) -> AuditStep {
    Ok(StreamAuditRecordsResponse { event: Some(Event::Record(record)), resume_token: token.into() })
}

/// A bookmark.
pub fn marks(token: &str) -> AuditStep {
    Ok(StreamAuditRecordsResponse { event: Some(Event::Bookmark(Bookmark {})), resume_token: token.into() })
}
