//! The trace context in HTTP headers: W3C Trace Context and Baggage.
//!
//! Callers are trusted to name the trace they are in, and with nothing else: baggage is taken over for those who read it
//! but no decision or record may depend on it, and it isn't passed on to Kubernetes.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapCompositePropagator, TextMapPropagator};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

/// Kept besides the global propagator, which does nothing until someone sets it.
static FROM_CALLER: LazyLock<TextMapCompositePropagator> = LazyLock::new(propagator);
static TO_KUBERNETES: LazyLock<TraceContextPropagator> = LazyLock::new(TraceContextPropagator::new);

/// Takes trace context and baggage from, and to, headers.
pub(super) fn propagator() -> TextMapCompositePropagator {
    TextMapCompositePropagator::new(vec![Box::new(TraceContextPropagator::new()), Box::new(BaggagePropagator::new())])
}

/// The context that the caller sent. Without one, or if it is malformed, it is empty.
pub(super) fn extract(headers: &HeaderMap) -> Context {
    // Not the current context: a connection's task may have one, which has nothing to do with the call.
    FROM_CALLER.extract_with_context(&Context::new(), &Headers(headers))
}

/// Adds the trace of `context` to a request. Without a trace nothing is added.
pub(super) fn inject(context: &Context, headers: &mut HeaderMap) {
    TO_KUBERNETES.inject_context(context, &mut HeadersMut(headers));
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values: Vec<_> = self.0.get_all(key).iter().filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then_some(values)
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        // An empty `tracestate` is the same as none.
        if value.is_empty() {
            return;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(key.as_bytes()), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::baggage::BaggageExt;
    use opentelemetry::trace::TraceContextExt;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_is_passed_on_but_not_baggage() {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static(PARENT));
        headers.insert("tracestate", HeaderValue::from_static("vendor=1"));
        headers.insert("baggage", HeaderValue::from_static("user=mallory"));
        let context = extract(&headers);
        assert_eq!(context.baggage().get("user").map(ToString::to_string), Some("mallory".into()));

        let mut sent = HeaderMap::new();
        inject(&context, &mut sent);
        assert_eq!(sent["traceparent"], PARENT);
        assert_eq!(sent["tracestate"], "vendor=1");
        assert!(!sent.contains_key("baggage"));
    }

    #[test]
    fn a_malformed_context_counts_as_none() {
        for bad in ["", "00", "00-zz-zz-01", "00-00000000000000000000000000000000-0000000000000000-01", "é"] {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", HeaderValue::from_bytes(bad.as_bytes()).unwrap());
            assert!(!extract(&headers).span().span_context().is_valid(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_sent_without_a_trace() {
        let mut sent = HeaderMap::new();
        inject(&Context::new(), &mut sent);
        assert!(sent.is_empty());
    }
}
