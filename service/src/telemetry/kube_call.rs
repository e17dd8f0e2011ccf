//! One call to Kubernetes: what it is about, its span and its time.

use std::error::Error;
use std::io;

use http::{Method, Request, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::trace::Status as SpanStatus;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::kube_metrics::{KubeMetrics, Stopwatch};
use super::names;

/// A call that isn't answered yet. Dropped, it counts as cancelled.
pub(super) struct KubeCall {
    /// None if the call is part of no sampled trace.
    span: Option<Span>,
    stopwatch: Stopwatch,
    open: bool,
}

impl KubeCall {
    /// Starts the measuring of a call, and its span if it is `sampled`.
    pub fn begin<B>(request: &Request<B>, server: &(String, u16), metrics: &KubeMetrics, sampled: bool) -> Self {
        let target = Target::of(request.uri().path());
        let what = measured(request, &target, server);
        let span = sampled.then(|| begin_span(request.method(), &target, &what));
        Self { span, stopwatch: metrics.start(what), open: true }
    }

    pub fn span(&self) -> Option<&Span> {
        self.span.as_ref()
    }

    /// Kubernetes has answered.
    pub fn answered(mut self, status: StatusCode) {
        let refused = status.is_client_error() || status.is_server_error();
        self.end(Some(status), refused.then(|| status.as_str()));
    }

    /// There is no answer.
    pub fn failed(mut self, error: &(dyn Error + 'static)) {
        self.end(None, Some(kind(error)));
    }

    fn end(&mut self, status: Option<StatusCode>, error: Option<&str>) {
        self.open = false;
        self.stopwatch.stop(status, error);
        let Some(span) = &self.span else { return };
        if let Some(status) = status {
            span.set_attribute(names::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()));
        }
        if let Some(error) = error {
            span.set_attribute(names::ERROR_TYPE, error.to_owned());
            span.set_status(SpanStatus::error(""));
        }
    }
}

impl Drop for KubeCall {
    fn drop(&mut self) {
        if self.open {
            self.end(None, Some(names::CANCELLED));
        }
    }
}

/// What both the span and the metric say of a call: nothing of which there are many.
fn measured<B>(request: &Request<B>, target: &Target<'_>, server: &(String, u16)) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(names::HTTP_REQUEST_METHOD, request.method().as_str().to_owned()),
        KeyValue::new(names::SERVER_ADDRESS, server.0.clone()),
        KeyValue::new(names::SERVER_PORT, i64::from(server.1)),
    ];
    if let Some(resource) = target.resource() {
        attributes.push(KeyValue::new(names::KUBERNETES_RESOURCE, resource));
        attributes.push(KeyValue::new(names::KUBERNETES_VERB, verb(request, target.name.is_some())));
    }
    attributes
}

fn begin_span(method: &Method, target: &Target<'_>, what: &[KeyValue]) -> Span {
    let name = match target.resource() {
        Some(resource) => format!("{method} {resource}"),
        None => method.to_string(),
    };
    let span = info_span!("kubernetes", otel.name = name, otel.kind = "client");
    for attribute in what {
        span.set_attribute(attribute.key.clone(), attribute.value.clone());
    }
    span.set_attribute(names::URL_TEMPLATE, target.template());
    target.describe(&span);
    span
}

/// A kind of transport error: few values, nothing of the message.
fn kind(error: &(dyn Error + 'static)) -> &'static str {
    let causes = std::iter::successors(Some(error), |error| (**error).source());
    let io = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).last();
    match io.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "connection_refused",
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => "connection_reset",
        Some(io::ErrorKind::UnexpectedEof) => "unexpected_eof",
        Some(io::ErrorKind::TimedOut) => "timeout",
        Some(io::ErrorKind::InvalidData) => "invalid_data",
        Some(_) => "io",
        None => names::OTHER,
    }
}

/// What a call does, in the words of the access rules of Kubernetes.
fn verb<B>(request: &Request<B>, one: bool) -> &'static str {
    let watches = || request.uri().query().is_some_and(|query| query.split('&').any(is_watch));
    match (request.method(), one) {
        (&Method::GET | &Method::HEAD, true) => "get",
        (&Method::GET | &Method::HEAD, false) if watches() => "watch",
        (&Method::GET | &Method::HEAD, false) => "list",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) => "deletecollection",
        _ => names::OTHER,
    }
}

fn is_watch(parameter: &str) -> bool {
    matches!(parameter, "watch" | "watch=1" | "watch=true")
}

/// What a path is about, by the rules of Kubernetes' paths.
#[derive(Debug, Default, PartialEq, Eq)]
struct Target<'a> {
    /// `/api/v1` or `/apis/<group>/<version>`; the path itself if it isn't of that kind.
    base: String,
    namespace: Option<&'a str>,
    resource: Option<&'a str>,
    name: Option<&'a str>,
    subresource: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn of(path: &'a str) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            ["api", version, rest @ ..] => Self::of_parts(format!("/api/{version}"), rest),
            ["apis", group, version, rest @ ..] => Self::of_parts(format!("/apis/{group}/{version}"), rest),
            // `/version`, `/readyz/etcd`, `/openapi/v3/api/v1`, ...: the first part is enough to tell them apart.
            ["api" | "apis" | "version" | "livez" | "readyz" | "healthz" | "openapi" | "metrics", ..] => {
                Self { base: format!("/{}", parts[0]), ..Self::default() }
            }
            _ => Self { base: names::OTHER.to_owned(), ..Self::default() },
        }
    }

    fn of_parts(base: String, parts: &[&'a str]) -> Self {
        let (namespace, parts) = match parts {
            // A namespace, not something in it, if nothing or a subresource of it follows.
            ["namespaces", name, rest @ ..] if !matches!(rest, [] | ["status" | "finalize"]) => (Some(*name), rest),
            _ => (None, parts),
        };
        let part = |index: usize| parts.get(index).copied();
        Self { base, namespace, resource: part(0), name: part(1), subresource: part(2) }
    }

    /// `pods/eviction`, for example.
    fn resource(&self) -> Option<String> {
        let resource = self.resource?;
        Some(match self.subresource {
            Some(subresource) => format!("{resource}/{subresource}"),
            None => resource.to_owned(),
        })
    }

    /// The path without names.
    fn template(&self) -> String {
        let namespace = self.namespace.map_or("", |_| "/namespaces/{namespace}");
        let resource = self.resource.map(|resource| format!("/{resource}")).unwrap_or_default();
        let name = self.name.map_or("", |_| "/{name}");
        let subresource = self.subresource.map(|subresource| format!("/{subresource}")).unwrap_or_default();
        format!("{}{namespace}{resource}{name}{subresource}", self.base)
    }

    fn describe(&self, span: &Span) {
        let name_of = |resource: &str| self.name.filter(|_| self.resource == Some(resource));
        let names = [
            (names::K8S_NODE_NAME, name_of("nodes")),
            (names::K8S_POD_NAME, name_of("pods")),
            (names::K8S_NAMESPACE_NAME, self.namespace.or_else(|| name_of("namespaces"))),
        ];
        for (attribute, name) in names {
            if let Some(name) = name {
                span.set_attribute(attribute, name.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(method: Method, uri: &str) -> (Option<String>, &'static str, String) {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let target = Target::of(request.uri().path());
        (target.resource(), verb(&request, target.name.is_some()), target.template())
    }

    #[test]
    fn a_path_tells_verb_resource_and_template() {
        let cases = [
            (Method::GET, "/api/v1/nodes/worker-1", "nodes", "get", "/api/v1/nodes/{name}"),
            (Method::GET, "/api/v1/nodes?limit=500", "nodes", "list", "/api/v1/nodes"),
            (Method::GET, "/api/v1/nodes?&watch=true&resourceVersion=1", "nodes", "watch", "/api/v1/nodes"),
            (Method::PATCH, "/api/v1/nodes/w/status?", "nodes/status", "patch", "/api/v1/nodes/{name}/status"),
            (Method::DELETE, "/api/v1/nodes", "nodes", "deletecollection", "/api/v1/nodes"),
            (
                Method::POST,
                "/api/v1/namespaces/a/pods/b/eviction",
                "pods/eviction",
                "create",
                "/api/v1/namespaces/{namespace}/pods/{name}/eviction",
            ),
            (Method::GET, "/api/v1/namespaces/a", "namespaces", "get", "/api/v1/namespaces/{name}"),
            (
                Method::PUT,
                "/api/v1/namespaces/a/status",
                "namespaces/status",
                "update",
                "/api/v1/namespaces/{name}/status",
            ),
            (
                Method::GET,
                "/apis/policy/v1/poddisruptionbudgets",
                "poddisruptionbudgets",
                "list",
                "/apis/policy/v1/poddisruptionbudgets",
            ),
        ];
        for (method, uri, resource, verb, template) in cases {
            assert_eq!(seen(method, uri), (Some(resource.into()), verb, template.into()), "{uri}");
        }
    }

    #[test]
    fn other_paths_have_a_short_template_and_no_resource() {
        for (uri, template) in [
            ("/version", "/version"),
            ("/readyz/etcd", "/readyz"),
            ("/apis", "/apis"),
            ("/x/1", "_OTHER"),
            ("/", "_OTHER"),
        ] {
            let (resource, _, seen) = seen(Method::GET, uri);
            assert_eq!((resource, seen.as_str()), (None, template), "{uri}");
        }
    }

    #[test]
    fn a_transport_error_is_known_by_its_last_cause() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(kind(&io::Error::other(refused)), "io");
        assert_eq!(kind(&io::Error::from(io::ErrorKind::ConnectionRefused)), "connection_refused");
        assert_eq!(kind(&std::fmt::Error), "_OTHER");
    }
}
