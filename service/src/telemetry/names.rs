//! Every name that telemetry writes, in one file: a rename of the semantic conventions is a change here and nowhere else.
//!
//! The names without our prefix are those of the OpenTelemetry semantic conventions 1.44 (RPC, HTTP and Kubernetes pages).
//! They are spelled out here rather than taken from a crate: the crate of the conventions lags behind them, and its names
//! of the RPC pages, which are not stable yet, come and go with its versions. Ours begin with `nodeward.`.

/// The RPC system of a server span: [`RPC_SYSTEM_GRPC`].
pub const RPC_SYSTEM_NAME: &str = "rpc.system.name";
/// The value of [`RPC_SYSTEM_NAME`].
pub const RPC_SYSTEM_GRPC: &str = "grpc";
/// The method of a call, for example `nodeward.v1.NodeService/CordonNode`, or [`OTHER`]. Also the name of its span.
pub const RPC_METHOD: &str = "rpc.method";
/// What was called, if [`RPC_METHOD`] is [`OTHER`].
pub const RPC_METHOD_ORIGINAL: &str = "rpc.method_original";
/// The gRPC status of a call by its name, for example `NOT_FOUND`. Conventions after 1.44 call it `rpc.status_code`.
pub const RPC_RESPONSE_STATUS_CODE: &str = "rpc.response.status_code";
/// What kind of failure it was: the name of the gRPC status, the HTTP status, or a kind of transport error.
pub const ERROR_TYPE: &str = "error.type";
/// The value of [`RPC_METHOD`] and [`ERROR_TYPE`] for what isn't known: an attribute with few values stays one.
pub const OTHER: &str = "_OTHER";
/// The value of [`ERROR_TYPE`] when a handler panicked.
pub const PANIC: &str = "panic";
/// The value of [`ERROR_TYPE`] when nobody waited for the answer any more.
pub const CANCELLED: &str = "cancelled";

/// The name under which clients know the server, or (client span) the server that is called.
pub const SERVER_ADDRESS: &str = "server.address";
/// The port that goes with [`SERVER_ADDRESS`].
pub const SERVER_PORT: &str = "server.port";
/// The address of the other end of the connection.
pub const NETWORK_PEER_ADDRESS: &str = "network.peer.address";
/// The port that goes with [`NETWORK_PEER_ADDRESS`].
pub const NETWORK_PEER_PORT: &str = "network.peer.port";

/// Whether changes are sent to Kubernetes in the caller's name (1) or in the server's (0).
pub const IMPERSONATION: &str = "nodeward.kubernetes.impersonation";

/// The user name of the caller.
pub const USER_ID: &str = "user.id";

/// The HTTP method of a call to Kubernetes.
pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
/// The HTTP status of the answer of Kubernetes.
pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
/// The path of a call to Kubernetes without what varies, for example `/api/v1/nodes/{name}`.
pub const URL_TEMPLATE: &str = "url.template";
/// What a call to Kubernetes does, in the words of its access rules: `get`, `list`, `watch`, `create`, `update`, `patch`,
/// `delete` or `deletecollection`.
pub const KUBERNETES_VERB: &str = "nodeward.kubernetes.verb";
/// What a call to Kubernetes is about, in the words of its access rules: `nodes`, `nodes/status`, `pods/eviction`, ...
pub const KUBERNETES_RESOURCE: &str = "nodeward.kubernetes.resource";

/// The node that a call is about.
pub const K8S_NODE_NAME: &str = "k8s.node.name";
/// Tells the node from others that had the same name.
pub const K8S_NODE_UID: &str = "k8s.node.uid";
/// A namespace: of the object of a call to Kubernetes, or (resource) that the server runs in.
pub const K8S_NAMESPACE_NAME: &str = "k8s.namespace.name";
/// A pod: the object of a call to Kubernetes, or (resource) that the server runs in.
pub const K8S_POD_NAME: &str = "k8s.pod.name";
/// The cluster that the server manages; a resource attribute.
pub const K8S_CLUSTER_NAME: &str = "k8s.cluster.name";

/// The version of the server; a resource attribute.
pub const SERVICE_VERSION: &str = "service.version";
/// Tells this process from its replicas and its predecessors; a resource attribute.
pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";

/// The `request_id` of a change.
pub const REQUEST_ID: &str = "nodeward.request_id";
/// The `reason` that the caller gave for a change.
pub const REASON: &str = "nodeward.reason";
/// What became of a change: `changed`, `unchanged`, `validated`, `replayed` or `failed`.
pub const OUTCOME: &str = "nodeward.outcome";
/// The name of the operation that a change has begun, without `operations/`.
pub const OPERATION: &str = "nodeward.operation";
/// The paths of the fields that a change has changed.
pub const CHANGED_FIELDS: &str = "nodeward.changed_fields";
/// How many nodes a change of several has changed.
pub const NODE_COUNT: &str = "nodeward.node.count";
/// Which nodes a change of several has changed, by their names; the first of many.
pub const NODE_NAMES: &str = "nodeward.node.names";
/// Whether a change was only tried (`validate_only`).
pub const VALIDATE_ONLY: &str = "nodeward.validate_only";
/// The reason of the `google.rpc.ErrorInfo` of a failed call, for example `ETAG_MISMATCH`.
pub const ERROR_REASON: &str = "nodeward.error.reason";

/// How many connections are open; a metric.
pub const CONNECTIONS_OPEN: &str = "nodeward.connections.open";
/// How many connections came to nothing; a metric.
pub const CONNECTIONS_REFUSED: &str = "nodeward.connections.refused";
/// Why a connection came to nothing: `full`, `full_of_one`, `silent`, `handshake` or `unknown`.
pub const REFUSAL_REASON: &str = "nodeward.refusal.reason";
/// How often changed certificates could not be used; a metric.
pub const CERTIFICATE_RELOAD_FAILURES: &str = "nodeward.certificate.reload_failures";
/// When the server's certificate expires; a metric.
pub const CERTIFICATE_EXPIRY: &str = "nodeward.certificate.expiry";

/// A counter: calls that were refused because of a limit, by [`LIMIT_CLASS`] and [`LIMIT_NAME`].
pub const LIMIT_REFUSALS: &str = "nodeward.limit.refusals";
/// What a refused call was: `reads`, `watches`, `mutations` or `side streams`; or what of it was refused: its
/// `authentication`, or to remember its `request ids`.
pub const LIMIT_CLASS: &str = "nodeward.limit.class";
/// Which limit it is: `rate` or `concurrency` of a user, `calls` or `streams` of the server, `questions` about tokens at a
/// time, or `failures` of a network; of side streams and request ids, of what there are too many: of the `connection`, the
/// `network`, the `user` or the `server`.
pub const LIMIT_NAME: &str = "nodeward.limit.name";
/// An up-down counter: how many calls in progress and open streams count for the limits of the server, by [`LIMIT_NAME`].
pub const LOAD_USAGE: &str = "nodeward.load.usage";
/// An up-down counter: these limits, by [`LIMIT_NAME`]. What is not limited is not among them.
pub const LOAD_LIMIT: &str = "nodeward.load.limit";

/// How long calls took that the server answered, those that stream excepted; a metric. With [`RPC_SYSTEM_NAME`],
/// [`RPC_METHOD`], [`RPC_RESPONSE_STATUS_CODE`] and, if the call failed, [`ERROR_TYPE`].
pub const RPC_SERVER_CALL_DURATION: &str = "rpc.server.call.duration";
/// How many calls that stream are open; a metric. With [`RPC_METHOD`].
pub const STREAMS_OPEN: &str = "nodeward.streams.open";
/// How long calls that stream lasted; a metric. With the attributes of [`RPC_SERVER_CALL_DURATION`].
pub const STREAMS_DURATION: &str = "nodeward.streams.duration";
/// How long Kubernetes took to answer, without the rest of a watch; a metric. With [`HTTP_REQUEST_METHOD`],
/// [`SERVER_ADDRESS`], [`SERVER_PORT`], [`KUBERNETES_VERB`], [`KUBERNETES_RESOURCE`], [`HTTP_RESPONSE_STATUS_CODE`] if it
/// has answered, and [`ERROR_TYPE`] if it has not or has refused.
pub const HTTP_CLIENT_REQUEST_DURATION: &str = "http.client.request.duration";
/// How long ago a cache last heard of Kubernetes; a metric. With [`CACHE_NAME`].
pub const CACHE_AGE: &str = "nodeward.cache.age";
/// How often a cache was read anew because its watch could not go on; a metric. With [`CACHE_NAME`].
pub const CACHE_RELISTS: &str = "nodeward.cache.relists";
/// What a cache is of: `nodes`.
pub const CACHE_NAME: &str = "nodeward.cache.name";
/// Always 1; a metric. With [`SERVICE_VERSION`].
pub const BUILD_INFO: &str = "nodeward.build.info";

/// How long it took until a record was on the disk; a metric. Changes wait for it.
pub const AUDIT_APPEND_DURATION: &str = "nodeward.audit.append.duration";
/// How many records could not be written; a metric. With [`AUDIT_FAILURE`].
pub const AUDIT_APPEND_FAILURES: &str = "nodeward.audit.append.failures";
/// Why a record could not be written: `no_space`, `read_only`, `io`, `damaged`, `closed` or `other`.
pub const AUDIT_FAILURE: &str = "nodeward.audit.failure";
/// How many bytes the audit log has; a metric.
pub const AUDIT_SIZE: &str = "nodeward.audit.size";
/// How many segments the audit log has; a metric.
pub const AUDIT_SEGMENTS: &str = "nodeward.audit.segments";
/// How many entries of the audit log come after its last checkpoint; a metric.
pub const AUDIT_UNSIGNED: &str = "nodeward.audit.unsigned";
/// How many changes, which a crash interrupted, have an outcome that is still to be found out; a metric.
pub const AUDIT_UNSETTLED: &str = "nodeward.audit.unsettled";
/// How many outcomes wait to be recorded, since they could not be written; a metric.
pub const AUDIT_LATE: &str = "nodeward.audit.late";
/// How many copies of records and checkpoints did not get to the OTLP endpoint; a metric. With [`COPY_LOSS`].
pub const AUDIT_COPIES_LOST: &str = "nodeward.audit.copies.lost";
/// Why a copy was lost: `full` if too many waited, or `export`.
pub const COPY_LOSS: &str = "nodeward.audit.loss";
/// How many lines of the log were left out because its reader was too slow; a metric.
pub const LOG_LINES_LOST: &str = "nodeward.log.lines.lost";

/// How many calls were refused because nobody knows who is calling, or because that could not be found out; a metric.
/// With [`CREDENTIAL`] and [`ERROR_REASON`].
pub const AUTHENTICATION_FAILURES: &str = "nodeward.authentication.failures";
/// What a caller has shown: `token`, `certificate` or `none`.
pub const CREDENTIAL: &str = "nodeward.credential";

/// The event of an OTLP log record that is a copy of an audit record.
pub const AUDIT_RECORD_EVENT: &str = "nodeward.audit.record";
/// The event of an OTLP log record that is a copy of a checkpoint of the audit log.
pub const AUDIT_CHECKPOINT_EVENT: &str = "nodeward.audit.checkpoint";
/// The id of audit records; on the span of a change, that of its own.
pub const AUDIT_ID: &str = "nodeward.audit.id";
/// The stage of an audit record: `RequestReceived`, `ResponseComplete` or `Settled`.
pub const AUDIT_STAGE: &str = "nodeward.audit.stage";
/// Where a call comes from.
pub const CLIENT_ADDRESS: &str = "client.address";
/// What a client calls itself.
pub const USER_AGENT_ORIGINAL: &str = "user_agent.original";

/// The trace that a line of the log was written in.
pub const TRACE_ID: &str = "trace_id";
/// The span that a line of the log was written in.
pub const SPAN_ID: &str = "span_id";

/// The response header that names the trace of a call.
pub const TRACE_ID_HEADER: &str = "x-trace-id";
/// The request header by which Kubernetes takes over the id of our audit record for its own.
pub const AUDIT_ID_HEADER: &str = "audit-id";
