//! StreamAuditRecords: a follower of the log for each stream.
//!
//! A stream has no queue: it takes the next record when its client is ready for the next message, and the follower reads from
//! the files.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nodeward_api::v1;
use nodeward_api::v1::stream_audit_records_response::Event;
use nodeward_audit_log::{Entry, Follower, Position, ReadError};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::convert::to_contract;
use super::{AuditRpc, request};
use crate::audit::query::{AuditReader, AuditResumeToken, Found, RecordFilter, Start, Started, unreadable};
use crate::error::Error;
use crate::node::Violations;
use crate::node::token::QueryHash;
use crate::rpc::request::{deadline, session};
use crate::rpc::rights::STREAM_AUDIT_RECORDS;
use crate::rpc::stream::while_allowed;
use crate::rpc::watch::{bookmark_interval, jittered};

type Message = v1::StreamAuditRecordsResponse;

/// Opens a stream.
pub(super) async fn stream(
    rpc: &AuditRpc,
    request: Request<v1::StreamAuditRecordsRequest>,
) -> Result<Response<BoxStream<'static, Result<Message, Status>>>, Error> {
    let (session, deadline) = (session(&request)?, deadline(request.metadata()));
    let query = Query::parse(request.get_ref())?;
    let permission = STREAM_AUDIT_RECORDS.on_all();
    session.require(permission.clone(), deadline).await?;

    let end = request.extensions().get::<CancellationToken>().unwrap_or(&rpc.stop).child_token();
    if end.is_cancelled() {
        return Err(Error::ShuttingDown);
    }
    let reader = rpc.reader()?.clone();
    let start = reader.start(query.start.clone(), deadline).await?;
    let stream = Records::new(reader, query, start, jittered(rpc.streams.max_age), end.clone());
    let ended = async move { session.ended(permission).await };
    Ok(Response::new(while_allowed(stream.into_stream(), end, ended)))
}

/// A request, understood.
#[derive(Debug)]
struct Query {
    filter: RecordFilter,
    hash: QueryHash,
    start: Start,
    bookmark_interval: Duration,
}

impl Query {
    fn parse(request: &v1::StreamAuditRecordsRequest) -> Result<Self, Error> {
        let mut violations = Violations::default();
        let filter = violations.take(request::filter(request.filter.as_ref(), request.since_time.as_ref(), None));
        let interval = violations.take(bookmark_interval(request.bookmark_interval.as_ref()));
        let (Some(filter), Some(bookmark_interval)) = (filter, interval) else { return Err(violations.into()) };
        let hash = filter.hash();
        let start = match (request.resume_token.as_str(), filter.since) {
            ("", None) => Start::AtTheEnd,
            ("", Some(since)) => Start::Before(since),
            (token, _) => Start::After(AuditResumeToken::decode(token, hash).ok_or(Error::InvalidResumeToken)?),
        };
        Ok(Self { filter, hash, start, bookmark_interval })
    }
}

/// One stream.
struct Records {
    reader: AuditReader,
    follower: Follower,
    hash: QueryHash,
    /// The last entry that is known to come before what is sent next.
    witness: Option<Position>,
    bookmark_interval: Duration,
    /// Whether it is to begin with a bookmark: it may be long before its client has anything to resume from.
    is_to_greet: bool,
    ends_at: Instant,
    stop: CancellationToken,
}

/// What a stream has waited for.
enum Woken {
    Entry(Option<Result<Entry, ReadError>>),
    Bookmark,
    End,
}

impl Records {
    fn new(reader: AuditReader, query: Query, started: Started, max_age: Duration, stop: CancellationToken) -> Self {
        let Query { filter, hash, start, bookmark_interval } = query;
        Self {
            follower: reader.follow(filter, started.next),
            reader,
            hash,
            witness: started.witness,
            bookmark_interval,
            is_to_greet: !matches!(start, Start::Before(_)),
            ends_at: Instant::now() + max_age,
            stop,
        }
    }

    fn into_stream(self) -> BoxStream<'static, Result<Message, Status>> {
        stream::unfold(Some(self), |records| async move {
            let mut records = records?;
            match records.next().await {
                Ok((message, false)) => Some((Ok(message), Some(records))),
                Ok((message, true)) => Some((Ok(message), None)),
                Err(error) => Some((Err(error.into()), None)),
            }
        })
        .boxed()
    }

    /// The next message, and whether it is the last.
    async fn next(&mut self) -> Result<(Message, bool), Error> {
        let bookmark_at = Instant::now() + self.bookmark_interval;
        if std::mem::take(&mut self.is_to_greet) {
            return Ok((self.bookmark(), false));
        }
        loop {
            match self.wait(bookmark_at).await {
                Woken::Entry(Some(entry)) => {
                    if let Some(found) = Found::of(&entry.map_err(unreadable)?) {
                        return Ok((self.record(found), false));
                    }
                }
                Woken::Bookmark => return Ok((self.bookmark(), false)),
                // The log is closed once the server has stopped.
                Woken::Entry(None) | Woken::End => return Ok((self.bookmark(), true)),
            }
        }
    }

    async fn wait(&mut self, bookmark_at: Instant) -> Woken {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Woken::End,
            () = sleep_until(self.ends_at) => Woken::End,
            entry = self.follower.next() => Woken::Entry(entry),
            () = sleep_until(bookmark_at) => Woken::Bookmark,
        }
    }

    fn record(&mut self, found: Found) -> Message {
        let next = found.position.sequence + 1;
        self.witness = Some(found.position);
        self.message(Event::Record(to_contract(found)), next)
    }

    /// Says that nothing else matches up to here.
    fn bookmark(&mut self) -> Message {
        let (next, end) = (self.follower.position(), self.reader.end());
        // Where most streams are most of the time: at the end, whose hash is at hand.
        if next == end.sequence + 1 {
            self.witness = Some(end);
        }
        self.message(Event::Bookmark(v1::Bookmark {}), next)
    }

    fn message(&self, event: Event, next: u64) -> Message {
        let token = AuditResumeToken::new(self.reader.id(), next, self.witness, self.hash);
        Message { event: Some(event), resume_token: token.encode() }
    }
}

#[cfg(test)]
mod tests {
    use nodeward_audit_log::{AuditLog, Options, Record};
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    async fn log() -> (AuditLog, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        (AuditLog::open(Options::new(dir.path().join("log"), dir.path().join("key"))).await.unwrap(), dir)
    }

    async fn cordon(log: &AuditLog, node: &str) {
        let now = jiff::Timestamp::now();
        let record = json!({
            "auditID": uuid::Uuid::new_v4(),
            "stage": "ResponseComplete",
            "rpc": "nodeward.v1.NodeService/CordonNode",
            "user": {"username": "alice"},
            "requestReceivedTimestamp": now,
            "stageTimestamp": now,
            "objectRef": {"resource": "nodes", "name": node},
        });
        log.append(Record::new(&record).unwrap()).await.unwrap();
    }

    fn about(node: &str, resume_token: String) -> v1::StreamAuditRecordsRequest {
        let filter = Some(v1::AuditRecordFilter { node: node.into(), ..Default::default() });
        let bookmark_interval = Some(prost_types::Duration { seconds: 1, nanos: 0 });
        v1::StreamAuditRecordsRequest { filter, resume_token, bookmark_interval, ..Default::default() }
    }

    async fn open(log: &AuditLog, request: &v1::StreamAuditRecordsRequest) -> Records {
        let query = Query::parse(request).unwrap();
        let (reader, age) = (AuditReader::new(log.clone()), Duration::from_secs(60));
        let started = reader.start(query.start.clone(), Instant::now() + age).await.unwrap();
        Records::new(reader, query, started, age, CancellationToken::new())
    }

    async fn next(records: &mut Records) -> Message {
        let (message, is_last) = records.next().await.unwrap();
        assert!(!is_last);
        message
    }

    fn node(message: &Message) -> &str {
        match &message.event {
            Some(Event::Record(record)) => &record.node,
            _ => "",
        }
    }

    #[tokio::test]
    async fn a_stream_of_new_records_begins_with_a_bookmark_and_shows_what_matches() {
        let (log, _dir) = log().await;
        cordon(&log, "a").await;
        let mut records = open(&log, &about("nodes/a", String::new())).await;
        assert!(matches!(next(&mut records).await.event, Some(Event::Bookmark(_))));
        for node in ["b", "a"] {
            cordon(&log, node).await;
        }
        assert_eq!(node(&next(&mut records).await), "nodes/a");
    }

    #[tokio::test]
    async fn a_stream_from_a_time_on_begins_with_what_there_is() {
        let (log, _dir) = log().await;
        cordon(&log, "a").await;
        let since_time = Some(prost_types::Timestamp::default());
        let request = v1::StreamAuditRecordsRequest { since_time, ..about("nodes/a", String::new()) };
        assert_eq!(node(&next(&mut open(&log, &request).await).await), "nodes/a");
    }

    #[tokio::test]
    async fn a_stream_resumes_after_the_message_with_the_token() {
        let (log, _dir) = log().await;
        let since_time = Some(prost_types::Timestamp::default());
        let all = v1::StreamAuditRecordsRequest { since_time, ..Default::default() };
        for node in ["a", "b", "c"] {
            cordon(&log, node).await;
        }
        let first = next(&mut open(&log, &all).await).await;
        let mut resumed =
            open(&log, &v1::StreamAuditRecordsRequest { resume_token: first.resume_token, ..all.clone() }).await;
        next(&mut resumed).await;
        let second = next(&mut resumed).await;
        assert_eq!([node(&second), node(&next(&mut resumed).await)], ["nodes/b", "nodes/c"]);
    }

    #[tokio::test]
    async fn a_bookmark_of_a_quiet_stream_is_at_the_end_of_the_log() {
        let (log, _dir) = log().await;
        let mut records = open(&log, &about("nodes/a", String::new())).await;
        next(&mut records).await;
        for _ in 0..10 {
            cordon(&log, "b").await;
        }
        let bookmark = next(&mut records).await;
        assert!(matches!(bookmark.event, Some(Event::Bookmark(_))));
        let resumed = open(&log, &about("nodes/a", bookmark.resume_token)).await;
        assert_eq!(resumed.follower.position(), log.position().sequence + 1);
    }

    #[tokio::test]
    async fn a_stream_whose_server_stops_ends_with_a_bookmark() {
        let (log, _dir) = log().await;
        let mut records = open(&log, &about("nodes/a", String::new())).await;
        next(&mut records).await;
        records.stop.cancel();
        let (message, is_last) = records.next().await.unwrap();
        assert!(is_last && matches!(message.event, Some(Event::Bookmark(_))));
    }

    #[test]
    fn a_token_of_another_filter_is_refused() {
        let hash = Query::parse(&about("nodes/a", String::new())).unwrap().hash;
        let token = AuditResumeToken::new(uuid::Uuid::nil(), 3, None, hash).encode();
        assert!(Query::parse(&about("nodes/a", token.clone())).is_ok());
        assert!(matches!(Query::parse(&about("nodes/b", token)), Err(Error::InvalidResumeToken)));
    }
}
