//! What the code that changes nodes says about a change on its span.

use std::sync::{Arc, OnceLock};

use opentelemetry::{Array, Context, StringValue, Value};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

use super::names;

/// The longest text taken over from a request, in bytes.
const MAX_TEXT: usize = 1024;
/// The most paths of changed fields, or names of nodes, taken over.
const MAX_TEXTS: usize = 64;

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The node is not as it was.
    Changed,
    /// The node was as it should be already.
    Unchanged,
    /// The change was only tried, and would be made.
    Validated,
    /// The same request had been carried out before.
    Replayed,
    /// Nothing was done, or not all of it.
    Failed,
}

impl Outcome {
    /// The value of [`names::OUTCOME`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Validated => "validated",
            Self::Replayed => "replayed",
            Self::Failed => "failed",
        }
    }
}

/// The span of a change, to say on it what is known of the change.
///
/// Get it where the change begins, before other spans are entered, and say each thing once. A task that goes on with the
/// change must be spawned with `.instrument(Span::current())` (of `tracing::Instrument`): a spawned task doesn't have the
/// span of its spawner, and its calls to Kubernetes would not be part of the trace. The span lasts as long as that task,
/// also when the caller has left.
#[derive(Debug, Clone)]
pub struct MutationSpan {
    span: Span,
    record: Option<Arc<Record>>,
}

impl MutationSpan {
    /// The current span.
    pub fn current() -> Self {
        let span = Span::current();
        let record = span.context().get::<Arc<Record>>().cloned();
        Self { span, record }
    }

    /// The node that is to change, by its name without `nodes/`.
    pub fn node(&self, name: &str) -> &Self {
        self.text(names::K8S_NODE_NAME, name)
    }

    /// The nodes that have changed, by their names: how many, and which.
    pub fn nodes<T: AsRef<str>>(&self, names: &[T]) -> &Self {
        self.span.set_attribute(names::NODE_COUNT, i64::try_from(names.len()).unwrap_or(i64::MAX));
        self.texts(names::NODE_NAMES, names)
    }

    /// The uid of that node.
    pub fn node_uid(&self, uid: &str) -> &Self {
        self.text(names::K8S_NODE_UID, uid)
    }

    /// The id of its audit records, in nodeward's log and in Kubernetes'.
    pub fn audit_id(&self, id: Uuid) -> &Self {
        self.text(names::AUDIT_ID, &id.to_string())
    }

    /// What the request says of itself: its `request_id`, its `reason` (neither, if empty) and whether it is only tried.
    pub fn request(&self, request_id: &str, reason: &str, validate_only: bool) -> &Self {
        self.span.set_attribute(names::VALIDATE_ONLY, validate_only);
        self.text(names::REQUEST_ID, request_id).text(names::REASON, reason)
    }

    /// The operation that was begun, by its name without `operations/`. Nothing, if that is empty.
    pub fn operation(&self, name: &str) -> &Self {
        self.text(names::OPERATION, name)
    }

    /// The paths of the fields that have changed.
    pub fn changed_fields<T: AsRef<str>>(&self, paths: impl IntoIterator<Item = T>) -> &Self {
        self.texts(names::CHANGED_FIELDS, paths)
    }

    /// How it ended. Only the first time counts. That a call was answered with an error is said without it
    /// ([`Outcome::Failed`]), but nobody else can tell how a change ended whose caller had left.
    pub fn outcome(&self, outcome: Outcome) -> &Self {
        match &self.record {
            Some(record) => record.outcome(&self.span, outcome),
            None => self.span.set_attribute(names::OUTCOME, outcome.as_str()),
        }
        self
    }

    fn texts<T: AsRef<str>>(&self, name: &'static str, texts: impl IntoIterator<Item = T>) -> &Self {
        let texts = texts.into_iter().take(MAX_TEXTS).map(|text| StringValue::from(short(text.as_ref()))).collect();
        self.span.set_attribute(name, Value::Array(Array::String(texts)));
        self
    }

    fn text(&self, name: &'static str, text: &str) -> &Self {
        if !text.is_empty() {
            self.span.set_attribute(name, short(text));
        }
        self
    }
}

/// The beginning of a text of any length.
fn short(text: &str) -> String {
    let end = (0..=text.len().min(MAX_TEXT)).rfind(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or_default()].to_owned()
}

/// What both a handler and the layer around it may say on the span of a call, but only once.
#[derive(Debug, Default)]
pub(super) struct Record {
    outcome: OnceLock<Outcome>,
}

impl Record {
    /// The context with a record, to be the parent of the span of a call.
    pub(super) fn attach(context: &Context) -> (Context, Arc<Self>) {
        let record = Arc::new(Self::default());
        (context.with_value(Arc::clone(&record)), record)
    }

    pub(super) fn outcome(&self, span: &Span, outcome: Outcome) {
        if self.outcome.set(outcome).is_ok() {
            span.set_attribute(names::OUTCOME, outcome.as_str());
        }
    }
}
