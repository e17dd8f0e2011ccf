//! The client: reads, and the way that every request takes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use nodeward_api::google::longrunning::operations_client::OperationsClient;
use prost_types::FieldMask;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::metadata::{Ascii, AsciiMetadataKey, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::api::audit_service_client::AuditServiceClient;
use crate::api::drain_service_client::DrainServiceClient;
use crate::api::node_service_client::NodeServiceClient;
use crate::api::operation_service_client::OperationServiceClient;
use crate::api::{Consistency, GetNodeRequest, Node};
use crate::connect::ConnectOptions;
use crate::credentials::Credentials;
use crate::error::Error;
use crate::name::resource_name;
use crate::retry::{PREVIOUS_ATTEMPTS, Pushback, RetryPolicy, Throttle, pause};

/// Pages of lists are larger than tonic's 4 MiB: a node with many images has tens of KiB.
const MOST_MESSAGE_BYTES: usize = 64 << 20;

/// The longest timeout that a request can carry: eight digits of hours.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(99_999_999 * 3600);

/// The generated client over the channel.
pub(crate) type Service = NodeServiceClient<Channel>;

/// The same for the audit log.
type AuditService = AuditServiceClient<Channel>;

/// The same for drains.
type DrainService = DrainServiceClient<Channel>;

/// The same for operations while they are carried out.
type OperationService = OperationServiceClient<Channel>;

/// The same for what all operations of Google's kind have in common.
type Operations = OperationsClient<Channel>;

/// A client of one server. Clones are cheap and share the connection.
#[derive(Clone, Debug)]
pub struct Client {
    service: Service,
    audit: AuditService,
    drains: DrainService,
    operation_events: OperationService,
    operations: Operations,
    settings: Arc<Settings>,
    throttle: Arc<Throttle>,
}

/// What goes for every request of a client.
#[derive(Clone, Debug)]
struct Settings {
    timeout: Option<Duration>,
    retry: RetryPolicy,
    credentials: Credentials,
    metadata: Vec<(AsciiMetadataKey, MetadataValue<Ascii>)>,
}

/// How a node is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// The fields to return, for example `spec.taints`. All of them if it is empty.
    pub read_mask: Vec<String>,
    /// Where the answer comes from.
    pub consistency: Consistency,
    /// The etag of a node, for example of one's own change, which the answer has seen. None is needed if it is empty.
    pub min_etag: String,
}

impl Client {
    /// A client of the server that the options name.
    ///
    /// The connection is opened when the first request is sent, and again whenever it is lost: a server that is not there
    /// yet is no error here.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if an option can't be used: the endpoint, a file of certificates, the user agent.
    pub async fn connect(options: ConnectOptions) -> Result<Self, Error> {
        Ok(Self::with_channel(options.channel().await?, options))
    }

    /// A client over a channel that the caller has made, for example to a Unix socket. Of the options, those of the
    /// connection have no effect.
    pub fn with_channel(channel: Channel, options: ConnectOptions) -> Self {
        let audit = AuditServiceClient::new(channel.clone()).max_decoding_message_size(MOST_MESSAGE_BYTES);
        let drains = DrainServiceClient::new(channel.clone()).max_decoding_message_size(MOST_MESSAGE_BYTES);
        let operation_events =
            OperationServiceClient::new(channel.clone()).max_decoding_message_size(MOST_MESSAGE_BYTES);
        let operations = OperationsClient::new(channel.clone()).max_decoding_message_size(MOST_MESSAGE_BYTES);
        let service = NodeServiceClient::new(channel).max_decoding_message_size(MOST_MESSAGE_BYTES);
        let ConnectOptions { timeout, retry, credentials, .. } = options;
        let throttle = Arc::new(Throttle::new(retry.max_tokens));
        let settings = Arc::new(Settings { timeout, retry, credentials, metadata: Vec::new() });
        Self { service, audit, drains, operation_events, operations, settings, throttle }
    }

    /// The same client with another timeout.
    pub fn with_timeout(&self, timeout: Option<Duration>) -> Self {
        self.with_settings(|settings| settings.timeout = timeout)
    }

    /// The same client, sending this metadata with each request: `traceparent`, for one, joins it to the caller's trace.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if gRPC can't carry the key or the value.
    pub fn with_metadata(&self, key: &str, value: &str) -> Result<Self, Error> {
        let bad = |what| Error::invalid(format!("the {what} of the metadata {key:?} can't be sent"));
        let key: AsciiMetadataKey = key.parse().map_err(|_| bad("key"))?;
        let value: MetadataValue<Ascii> = value.parse().map_err(|_| bad("value"))?;
        Ok(self.with_settings(|settings| settings.metadata.push((key, value))))
    }

    /// Gets a node by its name: `worker-1` or `nodes/worker-1`.
    ///
    /// # Errors
    /// The server's, or the last one of the attempts to reach it.
    pub async fn get_node(&self, name: &str, options: ReadOptions) -> Result<Node, Error> {
        let ReadOptions { read_mask, consistency, min_etag } = options;
        let (name, read_mask, consistency) = (resource_name(name), mask(read_mask), consistency.into());
        let request = GetNodeRequest { name, read_mask, consistency, min_etag };
        let response =
            self.call(request, |mut service, request| async move { service.get_node(request).await }).await?;
        Ok(response.into_inner())
    }

    /// Sends a request until it is answered, the attempts are used up, or the timeout is over.
    pub(crate) async fn call<Q, A, F, Fut>(&self, message: Q, send: F) -> Result<Response<A>, Error>
    where
        Q: Clone,
        F: Fn(Service, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<A>, Status>>,
    {
        let deadline = self.settings.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut delays = self.settings.retry.delays();
        let mut failures = Vec::new();
        loop {
            let request = match self.request(message.clone(), deadline, failures.len()).await {
                Ok(request) => request,
                // What became of a request that was sent matters more than why it can't be sent again.
                Err(error) => return Err(failures.pop().unwrap_or(error)),
            };
            // A node is some KiB of fields, of which tonic's futures hold several copies: not on the caller's stack.
            let answer = Box::pin(send(self.service.clone(), request));
            let error = match within(deadline, answer).await {
                Ok(response) => {
                    self.throttle.succeeded();
                    return Ok(response);
                }
                Err(error) => error,
            };
            let Some(delay) = self.pause_after(&error, &mut delays) else { return Err(error) };
            let resume = Instant::now().checked_add(delay);
            // To wait past the deadline is to answer later with less.
            if resume.is_none() || deadline.is_some_and(|deadline| resume >= Some(deadline)) {
                return Err(error);
            }
            failures.push(error);
            sleep(delay).await;
        }
    }

    /// How long to wait before the request is sent again. None: it is not.
    fn pause_after(&self, error: &Error, delays: &mut impl Iterator<Item = Duration>) -> Option<Duration> {
        if !error.is_retryable() && error.pushback() != Some(Pushback::Never) {
            return None;
        }
        let may_retry = self.throttle.failed() && error.is_retryable();
        delays.next().filter(|_| may_retry).and_then(|own| pause(own, error))
    }

    /// A request with all that goes with every one, after so many attempts.
    pub(crate) async fn request<Q>(
        &self,
        message: Q,
        deadline: Option<Instant>,
        attempts: usize,
    ) -> Result<Request<Q>, Error> {
        let mut request = Request::new(message);
        for (key, value) in &self.settings.metadata {
            request.metadata_mut().insert(key.clone(), value.clone());
        }
        if let Some(authorization) = self.settings.credentials.authorization().await? {
            request.metadata_mut().insert("authorization", authorization);
        }
        if attempts > 0 {
            request.metadata_mut().insert(PREVIOUS_ATTEMPTS, attempts.into());
        }
        if let Some(deadline) = deadline {
            // tonic panics if it can't write the timeout down.
            request.set_timeout(deadline.saturating_duration_since(Instant::now()).min(LONGEST_TIMEOUT));
        }
        Ok(request)
    }

    pub(crate) fn service(&self) -> Service {
        self.service.clone()
    }

    pub(crate) fn audit_service(&self) -> AuditService {
        self.audit.clone()
    }

    pub(crate) fn drain_service(&self) -> DrainService {
        self.drains.clone()
    }

    pub(crate) fn operation_service(&self) -> OperationService {
        self.operation_events.clone()
    }

    pub(crate) fn operations_service(&self) -> Operations {
        self.operations.clone()
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.settings.timeout
    }

    pub(crate) fn retry_policy(&self) -> &RetryPolicy {
        &self.settings.retry
    }

    fn with_settings(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut client = self.clone();
        change(Arc::make_mut(&mut client.settings));
        client
    }
}

/// A field mask, or none if it is empty.
pub(crate) fn mask(paths: Vec<String>) -> Option<FieldMask> {
    (!paths.is_empty()).then_some(FieldMask { paths })
}

async fn within<A>(
    deadline: Option<Instant>,
    answer: impl Future<Output = Result<Response<A>, Status>>,
) -> Result<Response<A>, Error> {
    let Some(deadline) = deadline else { return Ok(answer.await?) };
    match timeout_at(deadline, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Error::deadline("the deadline passed before the server answered")),
    }
}
