//! The log: lines for people or JSON, each of which names the trace it was written in.
//!
//! Within a call that is the trace of its `x-trace-id`, sampled or not, whatever the log filter leaves of the spans.

use anyhow::Context as _;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use super::{LogFormat, TelemetryOptions, names};

/// The layer that writes the log to `writer`, in colours if `ansi`.
pub(super) fn log_layer<S, W>(
    options: &TelemetryOptions,
    writer: W,
    ansi: bool,
) -> anyhow::Result<impl Layer<S> + Send + Sync + use<S, W>>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&options.log_filter)
        .with_context(|| format!("the log filter `{}` (--log, RUST_LOG) is not valid", options.log_filter))?;
    let lines = fmt::layer().with_writer(writer).with_ansi(ansi);
    let format = options.log_format;
    let lines = match format {
        LogFormat::Text => lines.event_format(Traced { inner: fmt::format().with_ansi(ansi), format }).boxed(),
        LogFormat::Json => {
            let inner = fmt::format().json().flatten_event(true);
            lines.fmt_fields(JsonFields::new()).event_format(Traced { inner, format }).boxed()
        }
    };
    Ok(lines.with_filter(filter))
}

/// Writes lines as `F` does, with the ids of the trace added under the names that OpenTelemetry has for them in logs.
struct Traced<F> {
    inner: F,
    format: LogFormat,
}

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        // Not the span of the log, which knows of no other that its filter leaves out.
        let current = Context::current();
        let span = current.span().span_context().clone();
        if !span.is_valid() {
            return writer.write_str(&line);
        }
        let (line, trace, id) = (line.trim_end(), span.trace_id(), span.span_id());
        match self.format {
            LogFormat::Text => writeln!(writer, "{line} {}={trace} {}={id}", names::TRACE_ID, names::SPAN_ID),
            // The ids are hexadecimal: there is nothing to escape.
            LogFormat::Json => {
                let object = line.strip_suffix('}').unwrap_or(line);
                writeln!(writer, r#"{object},"{}":"{trace}","{}":"{id}"}}"#, names::TRACE_ID, names::SPAN_ID)
            }
        }
    }
}
