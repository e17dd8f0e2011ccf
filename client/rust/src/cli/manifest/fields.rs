//! The fields of an object of JSON, taken one by one. What is wrong with them, and what is left over, is collected: a file is
//! mended in one go.

use std::collections::BTreeMap;

use prost_types::Timestamp;
use serde_json::{Map, Value};

/// An object whose fields are being taken.
#[derive(Debug)]
pub struct Fields {
    path: String,
    rest: Map<String, Value>,
    problems: Vec<String>,
    ignored: Vec<String>,
}

impl Fields {
    /// The whole document.
    pub fn new(object: Map<String, Value>) -> Self {
        Self { path: String::new(), rest: object, problems: Vec::new(), ignored: Vec::new() }
    }

    /// Reads an object inside of this one.
    pub fn inside<T>(&mut self, name: &str, object: Map<String, Value>, read: impl FnOnce(&mut Self) -> T) -> T {
        let mut fields = Self { path: format!("{}.", self.at(name)), ..Self::new(object) };
        let value = read(&mut fields);
        let (problems, ignored) = fields.finish();
        self.problems.extend(problems);
        self.ignored.extend(ignored);
        value
    }

    /// What was wrong, unknown fields included, and what was left out.
    pub fn finish(mut self) -> (Vec<String>, Vec<String>) {
        let unknown: Vec<String> =
            self.rest.keys().map(|key| format!("{} is not a known field", self.at(key))).collect();
        self.problems.extend(unknown);
        (self.problems, self.ignored)
    }

    /// Notes that something is wrong.
    pub fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    /// Takes a field that says nothing.
    pub fn drop(&mut self, name: &str) {
        self.rest.remove(name);
    }

    /// Takes a field that is not used, and notes it if it holds something.
    pub fn ignore(&mut self, name: &str) {
        let is_empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
        if self.rest.remove(name).is_some_and(|value| !is_empty(&value)) {
            self.leave_out(name);
        }
    }

    /// Notes that a field is not used.
    pub fn leave_out(&mut self, name: &str) {
        self.ignored.push(self.at(name));
    }

    /// Takes an object.
    pub fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        self.take(name, "an object", |value| match value {
            Value::Object(object) => Some(object),
            _ => None,
        })
    }

    /// Takes an object and reads it.
    pub fn nested<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.object(name).map(|object| self.inside(name, object, read))
    }

    /// Takes a string.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.take(name, "a string", into_text)
    }

    /// Takes a string that must be there.
    pub fn required_text(&mut self, name: &str) -> String {
        if !self.rest.contains_key(name) {
            self.problem(format!("{} is required", self.at(name)));
        }
        self.text(name).unwrap_or_default()
    }

    /// Takes a truth value.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        self.take(name, "true or false", |value| value.as_bool())
    }

    /// Takes a whole number of a type.
    pub fn integer<T: TryFrom<i64>>(&mut self, name: &str) -> Option<T> {
        self.take(name, "a whole number in its range", |value| T::try_from(value.as_i64()?).ok())
    }

    /// Takes a time.
    pub fn time(&mut self, name: &str) -> Option<Timestamp> {
        self.take(name, "a time like 2026-01-31T12:00:00Z", |value| value.as_str()?.parse().ok())
    }

    /// Takes a map of strings.
    pub fn texts(&mut self, name: &str) -> BTreeMap<String, String> {
        self.map(name, "a string", into_text)
    }

    /// Takes a map of amounts, which Kubernetes also takes as numbers.
    pub fn quantities(&mut self, name: &str) -> BTreeMap<String, String> {
        self.map(name, "a quantity: a string or a number", |value| match value {
            Value::Number(number) => Some(number.to_string()),
            other => into_text(other),
        })
    }

    fn map(&mut self, name: &str, kind: &str, convert: fn(Value) -> Option<String>) -> BTreeMap<String, String> {
        let object = self.object(name).unwrap_or_default();
        self.inside(name, object, |fields| {
            let keys: Vec<String> = fields.rest.keys().cloned().collect();
            keys.into_iter().filter_map(|key| fields.take(&key, kind, convert).map(|value| (key, value))).collect()
        })
    }

    /// Takes a list of strings.
    pub fn list_of_texts(&mut self, name: &str) -> Vec<String> {
        let all = |values: Vec<Value>| values.into_iter().map(into_text).collect();
        self.take(name, "a list of strings", |value| into_list(value).and_then(all)).unwrap_or_default()
    }

    /// Takes a list of objects.
    pub fn list<T>(&mut self, name: &str, read: impl Fn(&mut Self) -> T) -> Vec<T> {
        let values = self.take(name, "a list", into_list).unwrap_or_default();
        let mut items = Vec::new();
        for (index, value) in values.into_iter().enumerate() {
            let place = format!("{name}[{index}]");
            match value {
                Value::Object(object) => items.push(self.inside(&place, object, &read)),
                _ => self.problem(format!("{} must be an object", self.at(&place))),
            }
        }
        items
    }

    /// Takes a field of a type. One that is null counts as absent, as with Kubernetes.
    fn take<T>(&mut self, name: &str, kind: &str, convert: impl FnOnce(Value) -> Option<T>) -> Option<T> {
        let value = self.rest.remove(name).filter(|value| !value.is_null())?;
        let converted = convert(value);
        if converted.is_none() {
            self.problem(format!("{} must be {kind}", self.at(name)));
        }
        converted
    }

    fn at(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }
}

fn into_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn into_list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}
