//! What is counted.

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

use super::*;
use crate::telemetry::names;

struct Counted {
    layer: LimitLayer,
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

impl Counted {
    fn new(options: &LimitOptions) -> Self {
        let exporter = InMemoryMetricExporter::default();
        let provider =
            SdkMeterProvider::builder().with_reader(PeriodicReader::builder(exporter.clone()).build()).build();
        let limits = Limits::new(options, &Time::by_hand().0, &provider.meter("tests"));
        Self { layer: limits.into(), provider, exporter }
    }

    /// The sums of an instrument by the values of their attributes, which are in alphabetical order of their names.
    fn sums(&self, name: &str) -> Vec<(Vec<String>, i64)> {
        self.provider.force_flush().unwrap();
        let exports = self.exporter.get_finished_metrics().unwrap();
        let metrics = exports.last().unwrap().scope_metrics().flat_map(|scope| scope.metrics());
        let mut sums: Vec<_> =
            metrics.filter(|metric| metric.name() == name).flat_map(|one| sums(one.data())).collect();
        sums.sort();
        sums
    }
}

fn sums(metric: &AggregatedMetrics) -> Vec<(Vec<String>, i64)> {
    fn values<'a>(attributes: impl Iterator<Item = &'a opentelemetry::KeyValue>) -> Vec<String> {
        let mut attributes: Vec<_> = attributes.map(|one| (one.key.to_string(), one.value.to_string())).collect();
        attributes.sort();
        attributes.into_iter().map(|(_, value)| value).collect()
    }
    match metric {
        AggregatedMetrics::U64(MetricData::Sum(sum)) => {
            sum.data_points().map(|point| (values(point.attributes()), point.value() as i64)).collect()
        }
        AggregatedMetrics::I64(MetricData::Sum(sum)) => {
            sum.data_points().map(|point| (values(point.attributes()), point.value())).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn refused_calls_are_counted_by_class_and_limit() {
    let options =
        LimitOptions { read_rate: 1, read_burst: 1, watch_concurrency: 1, max_calls: 2, max_streams: 1, ..no_limits() };
    let counted = Counted::new(&options);
    let [_first, _watch] = [GET, WATCH].map(|path| call(&counted.layer, path, user("alice")).unwrap());
    for path in [GET, GET, WATCH] {
        call(&counted.layer, path, user("alice")).unwrap_err();
    }
    call(&counted.layer, WATCH, user("bob")).unwrap_err();
    let _second = call(&counted.layer, CORDON, user("bob")).unwrap();
    call(&counted.layer, CORDON, user("bob")).unwrap_err();
    let expected = [
        (["mutations", "calls"], 1),
        (["reads", "rate"], 2),
        (["watches", "concurrency"], 1),
        (["watches", "streams"], 1),
    ];
    let expected = expected.map(|(values, count)| (values.map(str::to_owned).to_vec(), count));
    assert_eq!(counted.sums(names::LIMIT_REFUSALS), expected);
}

#[test]
fn the_load_is_measured_beside_its_limits() {
    let counted = Counted::new(&LimitOptions { max_calls: 100, ..no_limits() });
    let streams = [WATCH, REFLECT].map(|path| call(&counted.layer, path, user("alice")).unwrap());
    let _read = call(&counted.layer, GET, user("alice")).unwrap();
    let sum = |limit: &str, number| (vec![limit.to_owned()], number);
    assert_eq!(counted.sums(names::LOAD_USAGE), [sum("calls", 1), sum("streams", 2)]);
    drop(streams);
    assert_eq!(counted.sums(names::LOAD_USAGE), [sum("calls", 1), sum("streams", 0)]);
    assert_eq!(counted.sums(names::LOAD_LIMIT), [sum("calls", 100)]);
}
