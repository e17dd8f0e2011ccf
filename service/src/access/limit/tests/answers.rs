//! What a gRPC client sees of a limit.

use tonic::service::Routes;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use super::*;

#[test]
fn a_refusal_is_a_complete_answer_without_a_body() {
    let (layer, _hand) = limited(&LimitOptions { mutation_concurrency: 1, ..no_limits() });
    let _busy = call(&layer, CORDON, user("alice")).unwrap();
    let answer = call_for(&layer, CORDON, user("alice"), Body::empty());
    assert!(http_body::Body::is_end_stream(answer.body()));
    let status = Status::from_header_map(answer.headers()).unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), r#"too many mutations of "alice": 1 at a time are allowed"#);
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("RATE_LIMITED", "nodeward.dev"));
    assert_eq!(info.metadata["class"], "mutations");
    assert_eq!(info.metadata["limit"], "concurrency");
    assert_eq!(info.metadata["allowed"], "1 at a time");
    assert_eq!(status.get_details_quota_failure().unwrap().violations[0].subject, "user:alice");
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
}

#[tokio::test]
async fn a_grpc_client_gets_the_answer_or_the_reason() {
    let (layer, _hand) = limited(&LimitOptions { read_rate: 1, read_burst: 1, ..no_limits() });
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(nodeward_api::FILE_DESCRIPTOR_SET)
        .build_v1()
        .unwrap();
    let mut client = ServerReflectionClient::new(layer.layer(Routes::new(reflection)));
    let list = || {
        let message_request = Some(MessageRequest::ListServices(String::new()));
        tokio_stream::once(ServerReflectionRequest { host: String::new(), message_request })
    };
    let mut answers = client.server_reflection_info(list()).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    let status = client.server_reflection_info(list()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_details_error_info().unwrap().reason, "RATE_LIMITED");
}
