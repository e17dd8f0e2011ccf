//! Copies of what is on record elsewhere, sent to the OTLP endpoint as log records.
//!
//! Best effort: what is copied never waits for it. Only so much may wait to be sent, and what is lost is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::metrics::{Counter, Meter};
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, SdkLogRecord, SdkLogger, SdkLoggerProvider,
};

use super::exporter::Otlp;
use super::{TelemetryOptions, names};

/// How many bytes may wait to be sent, about.
const MOST_BYTES: usize = 8 << 20;

/// What a copy takes beside its body, about.
const COPY_BYTES: usize = 1024;

/// How many are sent at once: collectors take messages of 4 MiB.
const BATCH: usize = 32;

/// What is copied.
#[derive(Clone, Debug)]
pub struct LogCopy {
    /// Which kind of event it is.
    pub event: &'static str,
    /// When it happened.
    pub time: SystemTime,
    /// The text.
    pub body: String,
    /// The trace that it belongs to, and the span, if that is known.
    pub trace: Option<(TraceId, SpanId)>,
    /// What it is found by. Those without a value are left out.
    pub attributes: Vec<(&'static str, String)>,
}

/// Sends copies. Its clones share what may wait.
#[derive(Clone, Debug)]
pub struct Copies {
    logger: SdkLogger,
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Queue {
    waiting: AtomicUsize,
    lost: Counter<u64>,
}

/// The provider of log records, and who sends them, if there is somewhere to send them to.
pub(super) fn provider(
    options: &TelemetryOptions,
    resource: Resource,
    otlp: Option<&Otlp<'_>>,
    meter: &Meter,
) -> anyhow::Result<Option<(SdkLoggerProvider, Copies)>> {
    let Some(otlp) = otlp else { return Ok(None) };
    Ok(Some(sending(otlp.logs()?, options.export_delay(), resource, meter)))
}

fn sending(
    exporter: impl LogExporter + 'static,
    delay: Duration,
    resource: Resource,
    meter: &Meter,
) -> (SdkLoggerProvider, Copies) {
    let lost = meter.u64_counter(names::AUDIT_COPIES_LOST).with_unit("{record}");
    let lost = lost.with_description("Copies of audit records and checkpoints that did not get to the OTLP endpoint");
    let queue = Arc::new(Queue { waiting: AtomicUsize::new(0), lost: lost.build() });
    // All that may wait by our count has room there, which drops silently.
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(MOST_BYTES / COPY_BYTES)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(delay)
        .build();
    let exporter = Counting { exporter, queue: Arc::clone(&queue) };
    let processor = BatchLogProcessor::builder(exporter).with_batch_config(config).build();
    let provider = SdkLoggerProvider::builder().with_resource(resource).with_log_processor(processor).build();
    let copies = Copies { logger: provider.logger("nodeward"), queue };
    (provider, copies)
}

impl Copies {
    /// Sends it, if not too much waits already.
    pub fn send(&self, copy: LogCopy) {
        let bytes = COPY_BYTES + copy.body.len();
        let room = |waiting: usize| Some(waiting + bytes).filter(|bytes| *bytes <= MOST_BYTES);
        if self.queue.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_err() {
            return self.queue.lost(1, "full");
        }
        let mut record = self.logger.create_log_record();
        record.set_event_name(copy.event);
        record.set_timestamp(copy.time);
        record.set_observed_timestamp(SystemTime::now());
        record.set_severity_number(Severity::Info);
        record.set_severity_text("INFO");
        record.set_body(AnyValue::from(copy.body));
        record.add_attributes(copy.attributes.into_iter().filter(|(_, value)| !value.is_empty()));
        if let Some((trace, span)) = copy.trace {
            record.set_trace_context(trace, span, None);
        }
        self.logger.emit(record);
    }
}

impl Queue {
    fn lost(&self, copies: usize, why: &'static str) {
        self.lost.add(copies as u64, &[KeyValue::new(names::COPY_LOSS, why)]);
    }
}

/// An exporter that counts what it could not send, and what no longer waits.
#[derive(Debug)]
struct Counting<E> {
    exporter: E,
    queue: Arc<Queue>,
}

impl<E: LogExporter> LogExporter for Counting<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let (copies, bytes) =
            batch.iter().fold((0, 0), |(copies, bytes), (record, _)| (copies + 1, bytes + size(record)));
        let sent = self.exporter.export(batch).await;
        self.queue.waiting.fetch_sub(bytes, Ordering::Relaxed);
        if sent.is_err() {
            self.queue.lost(copies, "export");
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

fn size(record: &SdkLogRecord) -> usize {
    let body = match record.body() {
        Some(AnyValue::String(text)) => text.as_str().len(),
        _ => 0,
    };
    COPY_BYTES + body
}
