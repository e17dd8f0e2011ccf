//! What is answered to which request.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

use super::Probes;
use crate::telemetry::Metrics;

const PLAIN: &str = "text/plain; charset=utf-8";

/// What there is to tell.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    pub metrics: Metrics,
    pub probes: Probes,
}

impl Routes {
    /// The answer to a request, of which nothing but the method and the path matters.
    pub fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        // Of an answer to HEAD, the body is not sent.
        let asks = matches!(*request.method(), Method::GET | Method::HEAD);
        match request.uri().path() {
            "/metrics" | "/livez" | "/readyz" if !asks => {
                let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
                refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                refusal
            }
            "/metrics" => self.metrics(),
            "/livez" => probed(self.probes.live()),
            "/readyz" => probed(self.probes.readiness()),
            _ => text(StatusCode::NOT_FOUND, "there are /metrics, /livez and /readyz"),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        match self.metrics.to_prometheus() {
            Ok(metrics) => response(StatusCode::OK, Metrics::MEDIA_TYPE, metrics),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

fn probed(outcome: Result<(), String>) -> Response<Full<Bytes>> {
    match outcome {
        Ok(()) => text(StatusCode::OK, "ok"),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, &reason),
    }
}

fn text(status: StatusCode, line: &str) -> Response<Full<Bytes>> {
    response(status, PLAIN, format!("{line}\n"))
}

fn response(status: StatusCode, media_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::telemetry::{Telemetry, TelemetryOptions};

    async fn answer(routes: &Routes, method: Method, path: &str) -> (u16, String, String) {
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        let (head, body) = routes.answer(&request).into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        (head.status.as_u16(), head.headers[CONTENT_TYPE].to_str().unwrap().to_owned(), body)
    }

    /// The metrics last as long as the telemetry.
    fn routes() -> (Routes, Telemetry) {
        let (telemetry, _) = Telemetry::build(&TelemetryOptions::default()).unwrap();
        (Routes { metrics: telemetry.metrics(), probes: Probes::default() }, telemetry)
    }

    #[tokio::test]
    async fn probes_are_answered_with_a_status_and_a_reason() {
        let (routes, _telemetry) = routes();
        let plain = |status, line: &str| (status, PLAIN.to_owned(), format!("{line}\n"));
        let get = async |path| answer(&routes, Method::GET, path).await;
        assert_eq!(get("/livez").await, plain(200, "ok"));
        assert_eq!(get("/readyz").await, plain(503, "the state of the cluster has not been read yet"));
        routes.probes.ready();
        assert_eq!(get("/readyz?verbose").await, plain(200, "ok"));
        drop(routes.probes.runs("the watch of the cluster"));
        assert_eq!(get("/livez").await, plain(503, "the watch of the cluster has ended"));
    }

    #[tokio::test]
    async fn metrics_are_text_for_prometheus() {
        let (routes, _telemetry) = routes();
        let (status, media_type, body) = answer(&routes, Method::GET, "/metrics").await;
        assert_eq!((status, media_type.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
        assert!(body.contains("# TYPE nodeward_build_info gauge\n"), "{body}");
    }

    #[tokio::test]
    async fn there_is_nothing_else() {
        let (routes, _telemetry) = routes();
        for path in ["/", "/metrics/", "/metricsx", "/debug", "/livez/../metrics"] {
            assert_eq!(answer(&routes, Method::GET, path).await.0, 404, "{path}");
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::CONNECT] {
            assert_eq!(answer(&routes, method, "/readyz").await.0, 405);
        }
    }
}
