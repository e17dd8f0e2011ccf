//! Files that commands read: JSON or YAML.

use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::failure::Failure;

/// No manifest of a node is larger; a pipe that never ends must not fill the memory.
const MOST_BYTES: u64 = 16 << 20;

/// The text of a file, or of the standard input for `-`.
pub fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let result = if path == Path::new("-") {
        std::io::stdin().lock().take(MOST_BYTES + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text))
    };
    match result {
        Err(error) => Err(Failure::Input(format!("can't read {}: {error}", path.display()))),
        Ok(length) if length as u64 > MOST_BYTES => {
            Err(Failure::Input(format!("{} is larger than {} MiB", path.display(), MOST_BYTES >> 20)))
        }
        Ok(_) => Ok(text),
    }
}

/// The documents of a text in JSON or YAML. Empty ones don't count.
pub fn documents(text: &str, source: &str) -> Result<Vec<Value>, Failure> {
    // JSON that is not YAML (tabs) is JSON all the same.
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(vec![value]);
    }
    serde_saphyr::from_multiple(text).map_err(|error| {
        let text = error.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        Failure::Input(format!("{source} is neither JSON nor YAML: {text}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_yaml_are_read() {
        let expected = vec![json!({"a": {"b": 1}})];
        assert_eq!(documents("{\"a\":\t{\"b\": 1}}", "x").unwrap(), expected);
        assert_eq!(documents("a:\n  b: 1\n", "x").unwrap(), expected);
    }

    #[test]
    fn several_documents_are_read_and_empty_ones_skipped() {
        assert_eq!(documents("---\n# none\n---\na: 1\n---\nb: 2\n", "x").unwrap(), [json!({"a": 1}), json!({"b": 2})]);
    }

    #[test]
    fn what_is_neither_is_refused_with_its_place() {
        let Err(Failure::Input(message)) = documents("a: [1\nb: }", "node.yaml") else { panic!("it was accepted") };
        assert!(message.starts_with("node.yaml is neither JSON nor YAML: line "), "{message}");
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        assert!(documents(&"[".repeat(200_000), "x").is_err());
        assert!(documents(&"a: ".repeat(1000), "x").is_err());
        assert!(documents(&"- ".repeat(200_000), "x").is_err());
    }
}
