//! What is logged: a JSON object, kept as the bytes that it came in.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::entry::MAX_RECORD_BYTES;

/// A JSON object that can be appended to a log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(Box<RawValue>);

/// Why something can't be a record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It can't be written as JSON.
    #[error("the record can't be written as JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// It is a JSON value, but no object.
    #[error("the record is no JSON object")]
    NotAnObject,
    /// It is too large.
    #[error("the record has {bytes} bytes, more than the {limit} that a record may have")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
}

impl Record {
    /// The record that this value is written as. Raw JSON stays as it is, save that line breaks in it become spaces.
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Result<Self, RecordError> {
        let mut json = serde_json::to_string(value)?;
        if json.contains(['\n', '\r']) {
            // Such a character is never part of a text: there, JSON has it as an escape.
            json = json.replace(['\n', '\r'], " ");
        }
        let record = Self(RawValue::from_string(json)?);
        match record.json().len() {
            bytes if bytes > MAX_RECORD_BYTES => Err(RecordError::TooLarge { bytes, limit: MAX_RECORD_BYTES }),
            _ if !record.json().starts_with('{') => Err(RecordError::NotAnObject),
            _ => Ok(record),
        }
    }

    /// Its JSON, as it is in the log.
    pub fn json(&self) -> &str {
        self.0.get()
    }

    /// The value that it was made of.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.json())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn raw_json_stays_as_it_is_but_for_line_breaks() {
        let raw = RawValue::from_string("{\"b\": 1.50,\r\n \"a\":\"\\n\"}".to_owned()).unwrap();
        assert_eq!(Record::new(&raw).unwrap().json(), "{\"b\": 1.50,   \"a\":\"\\n\"}");
    }

    #[test]
    fn what_is_no_object_is_no_record() {
        for value in [json!(null), json!([{}]), json!("{}"), json!(1)] {
            assert!(matches!(Record::new(&value), Err(RecordError::NotAnObject)), "{value}");
        }
    }

    #[test]
    fn a_record_that_no_line_can_hold_is_refused() {
        let value = |bytes: usize| json!({ "x": "x".repeat(bytes - 8) });
        assert!(Record::new(&value(MAX_RECORD_BYTES)).is_ok());
        let error = Record::new(&value(MAX_RECORD_BYTES + 1)).unwrap_err();
        assert!(matches!(error, RecordError::TooLarge { .. }), "{error}");
    }
}
