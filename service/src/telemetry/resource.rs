//! Who reports.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use uuid::Uuid;

use super::{TelemetryOptions, names};

/// This process: what OTEL_RESOURCE_ATTRIBUTES says goes before what we find out, and an option before both.
pub(super) fn resource(options: &TelemetryOptions) -> Resource {
    let found = [
        KeyValue::new(names::SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
        KeyValue::new(names::SERVICE_INSTANCE_ID, Uuid::new_v4().to_string()),
    ];
    let given = [
        (names::K8S_CLUSTER_NAME, &options.cluster_name),
        (names::K8S_POD_NAME, &options.pod_name),
        (names::K8S_NAMESPACE_NAME, &options.pod_namespace),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some(KeyValue::new(name, value.clone()?)));
    Resource::builder_empty()
        .with_attributes(found)
        .with_detectors(&[Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())])
        .with_attributes(given)
        .with_service_name(options.service_name.clone())
        .build()
}
