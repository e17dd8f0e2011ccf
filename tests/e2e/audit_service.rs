//! Reading the audit log: AuditService, for those who may.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use nodeward_api::v1::audit_outcome::Result as Outcome;
use nodeward_api::v1::audit_record::Stage;
use nodeward_api::v1::audit_service_client::AuditServiceClient;
use nodeward_api::v1::stream_audit_records_response::Event;
use nodeward_api::v1::{
    AuditRecord, AuditRecordFilter, CordonNodeRequest, GetNodeRequest, ListAuditRecordsRequest,
    StreamAuditRecordsRequest, StreamAuditRecordsResponse, UncordonNodeRequest,
};
use nodeward_audit_log::{Expected, Verifier};
use nodeward_sandbox::{ClientCertificate, Subject, User};
use nodeward_server::access::AccessOptions;
use nodeward_server::args::ServeOptions;
use nodeward_server::audit::AuditOptions;
use nodeward_server::server::Server;
use tempfile::TempDir;
use tokio::time::{Duration, timeout};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use crate::support::grants::Grant;
use crate::support::guarded::{Guarded, guarded, options, rbac_only};
use crate::support::somebody::{Says, Somebody};
use crate::support::{assert_error, assert_violation, connect, unique, world};

type AuditClient<C = Channel> = AuditServiceClient<C>;

/// A server that keeps records there.
async fn start(log: &Path) -> Server {
    let audit = AuditOptions { audit_dir: Some(log.to_owned()), ..AuditOptions::default() };
    world().await.another_server(ServeOptions { audit, ..ServeOptions::default() }).await
}

/// A server with a log of its own, and where.
async fn server() -> (Server, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (start(&dir.path().join("log")).await, dir)
}

async fn reader(server: &Server) -> AuditClient {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
    AuditServiceClient::new(endpoint.connect().await.unwrap())
}

fn reader_of(somebody: &Somebody) -> AuditClient<InterceptedService<Channel, Says>> {
    AuditServiceClient::with_interceptor(somebody.channel.clone(), somebody.says())
}

async fn cordon(server: &Server, node: &str, reason: &str) {
    let request = CordonNodeRequest { name: format!("nodes/{node}"), reason: reason.into(), ..Default::default() };
    connect(server.address()).await.cordon_node(request).await.unwrap();
}

async fn uncordon(server: &Server, node: &str) {
    let request = UncordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    connect(server.address()).await.uncordon_node(request).await.unwrap();
}

fn about(node: &str) -> AuditRecordFilter {
    AuditRecordFilter { node: format!("nodes/{node}"), ..Default::default() }
}

/// All records that match.
async fn list(client: &mut AuditClient, filter: AuditRecordFilter, page_size: i32) -> Vec<AuditRecord> {
    let mut request = ListAuditRecordsRequest { filter: Some(filter), page_size, ..Default::default() };
    let mut records = Vec::new();
    loop {
        let page = client.list_audit_records(request.clone()).await.unwrap().into_inner();
        assert!(page_size == 0 || page.audit_records.len() <= page_size as usize);
        records.extend(page.audit_records);
        if page.next_page_token.is_empty() {
            return records;
        }
        request.page_token = page.next_page_token;
    }
}

async fn next(stream: &mut Streaming<StreamAuditRecordsResponse>) -> Result<StreamAuditRecordsResponse, Status> {
    let message = timeout(Duration::from_secs(60), stream.message()).await.expect("a message in time")?;
    Ok(message.expect("it does not end"))
}

/// The next record, and the token after it.
async fn next_record(stream: &mut Streaming<StreamAuditRecordsResponse>) -> (AuditRecord, String) {
    loop {
        let message = next(stream).await.unwrap();
        if let Some(Event::Record(record)) = message.event {
            return (record, message.resume_token);
        }
    }
}

fn from_the_beginning(node: &str) -> StreamAuditRecordsRequest {
    let since_time = Some(SystemTime::UNIX_EPOCH.into());
    StreamAuditRecordsRequest { filter: Some(about(node)), since_time, ..Default::default() }
}

#[tokio::test]
async fn the_records_of_a_change_are_listed_the_outcome_first() {
    let node = world().await.node("listed").await;
    let (server, _dir) = server().await;
    cordon(&server, &node, "new disk").await;
    let [outcome, intent] = &list(&mut reader(&server).await, about(&node), 0).await[..] else { panic!("two records") };
    assert_eq!((intent.stage(), outcome.stage()), (Stage::RequestReceived, Stage::ResponseComplete));
    assert_eq!(intent.audit_id, outcome.audit_id);
    assert_eq!((outcome.reason.as_str(), outcome.rpc.as_str()), ("new disk", "nodeward.v1.NodeService/CordonNode"));
    let ended = outcome.outcome.as_ref().unwrap();
    assert_eq!((ended.result(), ended.code.as_str()), (Outcome::Changed, "OK"));
    assert!(ended.after_json.contains(r#""spec":{"unschedulable":true}"#), "{}", ended.after_json);
    assert!(intent.outcome.is_none());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn filters_choose_records_and_pages_cover_all_that_match() {
    let [one, other] = [world().await.node("paged").await, world().await.node("paged").await];
    let (server, _dir) = server().await;
    for node in [&one, &other, &one] {
        cordon(&server, node, "").await;
        uncordon(&server, node).await;
    }
    let missing = CordonNodeRequest { name: "nodes/nowhere".into(), ..Default::default() };
    let refused = connect(server.address()).await.cordon_node(missing).await;
    assert_error(refused, Code::NotFound, "NODE_NOT_FOUND");

    let mut client = reader(&server).await;
    let all = list(&mut client, AuditRecordFilter::default(), 0).await;
    assert_eq!(all.len(), 14);
    assert!(all.windows(2).all(|pair| pair[0].sequence > pair[1].sequence));
    for page_size in 1..5 {
        assert_eq!(list(&mut client, AuditRecordFilter::default(), page_size).await, all);
    }
    let mut count = async |filter: AuditRecordFilter| list(&mut client, filter, 3).await.len();
    assert_eq!(count(about(&one)).await, 8);
    assert_eq!(count(AuditRecordFilter { rpc: "UncordonNode".into(), ..about(&one) }).await, 4);
    assert_eq!(count(AuditRecordFilter { result: Outcome::Changed.into(), ..about(&one) }).await, 4);
    let failed = AuditRecordFilter { result: Outcome::Failed.into(), ..Default::default() };
    assert_eq!(count(failed).await, 1);
    assert_eq!(count(AuditRecordFilter { code: "NOT_FOUND".into(), ..Default::default() }).await, 1);
    assert_eq!(count(AuditRecordFilter { error_reason: "NODE_NOT_FOUND".into(), ..Default::default() }).await, 1);
    assert_eq!(count(AuditRecordFilter { audit_id: all[1].audit_id.clone(), ..Default::default() }).await, 2);
    assert_eq!(count(AuditRecordFilter { username: "somebody".into(), ..Default::default() }).await, 0);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn times_bound_when_the_calls_came() {
    let node = world().await.node("timed").await;
    let (server, _dir) = server().await;
    cordon(&server, &node, "").await;
    let between = SystemTime::now();
    uncordon(&server, &node).await;
    let mut client = reader(&server).await;
    let mut rpcs = async |since_time: Option<SystemTime>, until_time: Option<SystemTime>| {
        let [since_time, until_time] = [since_time, until_time].map(|time| time.map(Into::into));
        let request = ListAuditRecordsRequest { since_time, until_time, ..Default::default() };
        let records = client.list_audit_records(request).await.unwrap().into_inner().audit_records;
        records.into_iter().map(|record| record.rpc).collect::<BTreeSet<_>>()
    };
    assert_eq!(rpcs(Some(between), None).await, BTreeSet::from(["nodeward.v1.NodeService/UncordonNode".to_owned()]));
    assert_eq!(rpcs(None, Some(between)).await, BTreeSet::from(["nodeward.v1.NodeService/CordonNode".to_owned()]));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_page_token_is_good_for_its_filter_and_its_log_only() {
    let node = world().await.node("tokens").await;
    let ((server, _dir), (other, _other_dir)) = (server().await, server().await);
    cordon(&server, &node, "").await;
    let mut client = reader(&server).await;
    let request = ListAuditRecordsRequest { page_size: 1, ..Default::default() };
    let page_token = client.list_audit_records(request).await.unwrap().into_inner().next_page_token;

    let filter = Some(about(&node));
    let filtered = ListAuditRecordsRequest { page_token: page_token.clone(), filter, ..Default::default() };
    assert_error(client.list_audit_records(filtered).await, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
    let elsewhere = ListAuditRecordsRequest { page_token, ..Default::default() };
    let refused = reader(&other).await.list_audit_records(elsewhere).await;
    assert_error(refused, Code::OutOfRange, "AUDIT_LOG_MISMATCH");
    server.stop().await.unwrap();
    other.stop().await.unwrap();
}

#[tokio::test]
async fn what_an_auditor_keeps_of_a_list_proves_later_what_the_log_held() {
    let node = world().await.node("kept").await;
    let (server, dir) = server().await;
    cordon(&server, &node, "new disk").await;
    let list = reader(&server).await.list_audit_records(ListAuditRecordsRequest::default()).await;
    let list = list.unwrap().into_inner();
    let kept: Vec<Expected> = list
        .audit_records
        .iter()
        .map(|record| &record.position)
        .chain([&list.log_end])
        .map(|text| text.parse().unwrap())
        .collect();
    server.stop().await.unwrap();
    let report = Verifier::trusting_the_log().expect(kept).verify(&dir.path().join("log")).unwrap();
    assert!(report.is_intact(), "{report}");
    assert_eq!(report.log.unwrap().to_string(), list.log);
}

#[tokio::test]
async fn a_bad_filter_names_its_fields() {
    let (server, _dir) = server().await;
    let filter = AuditRecordFilter { node: "worker-1".into(), ..Default::default() };
    let request = ListAuditRecordsRequest { filter: Some(filter), ..Default::default() };
    assert_violation(reader(&server).await.list_audit_records(request).await, "filter.node");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_stream_shows_what_there_was_and_then_what_comes() {
    let [node, other] = [world().await.node("streamed").await, world().await.node("streamed").await];
    let (server, _dir) = server().await;
    cordon(&server, &node, "before").await;
    let mut stream = reader(&server).await.stream_audit_records(from_the_beginning(&node)).await.unwrap().into_inner();
    let (intent, _) = next_record(&mut stream).await;
    let (outcome, _) = next_record(&mut stream).await;
    assert_eq!((intent.stage(), outcome.stage()), (Stage::RequestReceived, Stage::ResponseComplete));
    cordon(&server, &other, "not asked for").await;
    uncordon(&server, &node).await;
    let (record, _) = next_record(&mut stream).await;
    assert_eq!(record.rpc, "nodeward.v1.NodeService/UncordonNode");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_stream_goes_on_after_a_restart_of_the_server_and_misses_nothing() {
    let node = world().await.node("resumed").await;
    let (server, dir) = server().await;
    let request = StreamAuditRecordsRequest { filter: Some(about(&node)), ..Default::default() };
    let mut stream = reader(&server).await.stream_audit_records(request.clone()).await.unwrap().into_inner();
    let first = next(&mut stream).await.unwrap();
    assert!(matches!(first.event, Some(Event::Bookmark(_))), "without a time it begins with what comes: {first:?}");
    cordon(&server, &node, "").await;
    let (seen, resume_token) = next_record(&mut stream).await;
    drop(stream);
    server.stop().await.unwrap();

    let server = start(&dir.path().join("log")).await;
    uncordon(&server, &node).await;
    let resumed = StreamAuditRecordsRequest { resume_token, ..request };
    let mut stream = reader(&server).await.stream_audit_records(resumed).await.unwrap().into_inner();
    let mut stages = Vec::new();
    for _ in 0..3 {
        let (record, _) = next_record(&mut stream).await;
        stages.push((record.audit_id == seen.audit_id, record.stage()));
    }
    let expected = [(true, Stage::ResponseComplete), (false, Stage::RequestReceived), (false, Stage::ResponseComplete)];
    assert_eq!(stages, expected);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_last_message_before_a_shutdown_is_a_bookmark_to_resume_from() {
    let node = world().await.node("stopped").await;
    let (server, dir) = server().await;
    let request = StreamAuditRecordsRequest { filter: Some(about("nobody-asks")), ..Default::default() };
    let mut stream = reader(&server).await.stream_audit_records(request.clone()).await.unwrap().into_inner();
    next(&mut stream).await.unwrap();
    cordon(&server, &node, "").await;
    let (stopped, last) = tokio::join!(server.stop(), async {
        let mut last = None;
        while let Some(message) = timeout(Duration::from_secs(60), stream.message()).await.unwrap().unwrap() {
            last = Some(message);
        }
        last.expect("a last message")
    });
    stopped.unwrap();
    assert!(matches!(last.event, Some(Event::Bookmark(_))), "{last:?}");

    let server = start(&dir.path().join("log")).await;
    let resumed = StreamAuditRecordsRequest { resume_token: last.resume_token, ..request };
    let mut stream = reader(&server).await.stream_audit_records(resumed).await.unwrap().into_inner();
    assert!(matches!(next(&mut stream).await.unwrap().event, Some(Event::Bookmark(_))));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_of_a_log_that_was_moved_away_is_refused() {
    let (server, dir) = server().await;
    let mut stream =
        reader(&server).await.stream_audit_records(StreamAuditRecordsRequest::default()).await.unwrap().into_inner();
    let resume_token = next(&mut stream).await.unwrap().resume_token;
    drop(stream);
    server.stop().await.unwrap();
    std::fs::rename(dir.path().join("log"), dir.path().join("evidence")).unwrap();

    let server = start(&dir.path().join("log")).await;
    let request = StreamAuditRecordsRequest { resume_token, ..Default::default() };
    let refused = reader(&server).await.stream_audit_records(request.clone()).await;
    assert_error(refused, Code::OutOfRange, "AUDIT_LOG_MISMATCH");
    let filtered = StreamAuditRecordsRequest { filter: Some(about("worker-1")), ..request };
    let refused = reader(&server).await.stream_audit_records(filtered).await;
    assert_error(refused, Code::InvalidArgument, "INVALID_RESUME_TOKEN");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_without_an_audit_log_says_so() {
    let server = world().await.another_server(ServeOptions::default()).await;
    let mut client = reader(&server).await;
    let listed = client.list_audit_records(ListAuditRecordsRequest::default()).await;
    assert_error(listed, Code::FailedPrecondition, "NO_AUDIT_LOG");
    let streamed = client.stream_audit_records(StreamAuditRecordsRequest::default()).await;
    assert_error(streamed, Code::FailedPrecondition, "NO_AUDIT_LOG");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn auditors_read_the_log_and_nobody_else_does() {
    let guarded = guarded().await;
    let mut auditor = reader_of(&guarded.user(User::Auditor).await);
    auditor.list_audit_records(ListAuditRecordsRequest::default()).await.unwrap();
    let mut stream = auditor.stream_audit_records(StreamAuditRecordsRequest::default()).await.unwrap().into_inner();
    next(&mut stream).await.unwrap();
    for user in [User::Operator, User::Viewer, User::Admin] {
        let mut client = reader_of(&guarded.user(user).await);
        let listed = client.list_audit_records(ListAuditRecordsRequest::default()).await;
        assert_error(listed, Code::PermissionDenied, "ACCESS_DENIED");
        let streamed = client.stream_audit_records(StreamAuditRecordsRequest::default()).await;
        assert_error(streamed, Code::PermissionDenied, "ACCESS_DENIED");
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_reader_loses_the_right() {
    let options = options().await;
    let access = AccessOptions { ask_again: Duration::from_millis(200), ..options.access };
    let inquisitive = Guarded::start(rbac_only().await, ServeOptions { access, ..options }).await;
    let name = unique("auditing");
    let grant = Grant::to(Subject::user(&name), "nodeward-auditor").await;
    let mut client = reader_of(&inquisitive.with(ClientCertificate::of(&name)).await);
    let mut stream = client.stream_audit_records(StreamAuditRecordsRequest::default()).await.unwrap().into_inner();
    next(&mut stream).await.unwrap();
    grant.take_away().await;
    let bookmark = next(&mut stream).await.unwrap();
    assert!(matches!(bookmark.event, Some(Event::Bookmark(_))), "{bookmark:?}");
    assert_error(next(&mut stream).await, Code::PermissionDenied, "ACCESS_DENIED");
}

#[tokio::test]
async fn a_denied_change_is_shown_with_who_tried_it() {
    let guarded = guarded().await;
    let node = guarded.node("denied").await;
    let viewer = guarded.user(User::Viewer).await;
    let request = CordonNodeRequest { name: format!("nodes/{node}"), reason: "mine".into(), ..Default::default() };
    assert_error(viewer.client().cordon_node(request).await, Code::PermissionDenied, "ACCESS_DENIED");
    viewer.client().get_node(GetNodeRequest { name: format!("nodes/{node}"), ..Default::default() }).await.unwrap();

    let request = ListAuditRecordsRequest { filter: Some(about(&node)), ..Default::default() };
    let list = reader_of(&guarded.user(User::Auditor).await).list_audit_records(request).await.unwrap().into_inner();
    let [record] = &list.audit_records[..] else { panic!("one record: {list:?}") };
    assert_eq!(record.user.as_ref().unwrap().username, User::Viewer.name());
    assert_eq!(record.outcome.as_ref().unwrap().error_reason, "ACCESS_DENIED");
    assert_eq!(record.reason, "mine");
}
