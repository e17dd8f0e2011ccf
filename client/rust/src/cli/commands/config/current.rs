//! The change of `current_context` in the user's own file: of that one line, so that comments and all else stay as they are.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use serde_json::{Map, Value};
use tempfile::NamedTempFile;

use crate::failure::Failure;

const FIELD: &str = "current_context";

/// Makes a context the current one in this file, which need not exist. A reader sees the old file or the new one.
pub fn set(path: &Path, name: &str) -> Result<(), Failure> {
    let failed = |action: &str, error: io::Error| Failure::Input(format!("can't {action} {}: {error}", path.display()));
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed("read", error)),
    };
    let changed = with_current(&text, name).ok_or_else(|| {
        Failure::Input(format!("set {FIELD} in {} by hand: it is not on a line of its own", path.display()))
    })?;
    write(path, &changed).map_err(|error| failed("write", error))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    // Whoever keeps the file elsewhere and has a link here goes on doing so.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().unwrap_or(&path);
    fs::create_dir_all(directory)?;
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    if let Ok(metadata) = fs::metadata(&path) {
        file.as_file().set_permissions(metadata.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

/// The text with another current context, or none if a change of one line would not do.
fn with_current(text: &str, name: &str) -> Option<String> {
    let field = format!("{FIELD}: {}", in_yaml(name));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    match lines.iter_mut().find(|line| line.starts_with(&format!("{FIELD}:"))) {
        Some(line) => {
            let comment = line.find(" #").map(|begin| line.split_off(begin)).unwrap_or_default();
            *line = format!("{field}{comment}");
        }
        None => {
            let is_content = |line: &String| !line.is_empty() && !line.starts_with(['#', '%']) && line != "---";
            let place = lines.iter().position(is_content).unwrap_or(lines.len());
            lines.insert(place, field);
        }
    }
    let changed = lines.join("\n") + "\n";
    let mut expected = fields(text)?;
    expected.insert(FIELD.to_owned(), name.into());
    // The line may have been a part of something else: of a text of several lines, for instance.
    (fields(&changed)? == expected).then_some(changed)
}

fn fields(text: &str) -> Option<Map<String, Value>> {
    serde_saphyr::from_str::<Option<Map<String, Value>>>(text).ok().map(Option::unwrap_or_default)
}

/// A name as YAML: as it is, unless it might be taken for something else.
fn in_yaml(name: &str) -> String {
    let is_plain = |one: char| one.is_ascii_alphanumeric() || "-_.".contains(one);
    let quoted = Value::from(name).to_string();
    match serde_saphyr::from_str::<Value>(name) {
        Ok(Value::String(read)) if read == name && name.chars().all(is_plain) => name.to_owned(),
        _ => quoted,
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn changed(text: &str) -> Option<String> {
        with_current(text, "b")
    }

    #[test]
    fn only_the_line_of_the_current_context_changes() {
        let text = "# mine\ncurrent_context: a # for now\n\ncontexts:\n  a: {endpoint: e} # work\nnew: {x: 1}\n";
        assert_eq!(changed(text), Some(text.replace("current_context: a", "current_context: b")));
    }

    #[test]
    fn a_file_without_one_gets_it_before_its_first_field() {
        for (before, after) in [
            ("", "current_context: b\n"),
            ("# mine\n\ncontexts: {}\n", "# mine\n\ncurrent_context: b\ncontexts: {}\n"),
            ("---\ncontexts: {}\n", "---\ncurrent_context: b\ncontexts: {}\n"),
        ] {
            assert_eq!(changed(before).as_deref(), Some(after), "{before:?}");
        }
    }

    #[test]
    fn a_file_in_which_another_line_would_change_too_is_left_to_the_user() {
        for text in ["{current_context: a}\n", "current_context:\n  a\n", "x: |\n current_context: c\ncontexts: [\n"] {
            assert_eq!(changed(text), None, "{text:?}");
        }
    }

    #[test]
    fn names_that_yaml_would_take_for_something_else_are_quoted() {
        for name in ["null", "1.5", "a b", "a: b", "\"", "#", "", "ä", "yes"] {
            let text = with_current("", name).unwrap_or_else(|| panic!("{name:?}"));
            assert_eq!(fields(&text).unwrap()[FIELD], name);
        }
        assert_eq!(in_yaml("sandbox-viewer"), "sandbox-viewer");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_the_file_stays_one_and_its_mode_stays_the_same() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let directory = TempDir::new().unwrap();
        let (file, link) = (directory.path().join("kept.yaml"), directory.path().join("config.yaml"));
        fs::write(&file, "current_context: a\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        set(&link, "b").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "current_context: b\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_does_not_exist_is_made_with_its_directory() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("nodeward/config.yaml");
        set(&path, "b").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "current_context: b\n");
    }
}
