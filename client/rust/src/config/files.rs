//! The files of a configuration: where they are, and what is in each.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};
use serde::Deserialize;
use serde_saphyr::{Spanned, UserMessageFormatter};

use super::Context;
use crate::error::Error;

/// Names the user's file instead of the one in their directory of configurations. Empty it names none.
const VARIABLE: &str = "NODEWARD_CONFIG";

/// What one file says.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) current_context: Option<String>,
    pub(super) contexts: BTreeMap<String, Context>,
}

/// As it is written. Fields that are not known are passed over.
#[derive(Debug, Default, Deserialize)]
struct Written {
    current_context: Option<String>,
    contexts: Option<BTreeMap<String, Spanned<Context>>>,
}

/// Where the user's file is, if they have a home.
pub(super) fn of_the_user() -> Option<PathBuf> {
    let home = choose_base_strategy().ok().map(|strategy| strategy.config_dir());
    choose(std::env::var_os(VARIABLE), home)
}

fn choose(asked: Option<OsString>, config_dir: Option<PathBuf>) -> Option<PathBuf> {
    match asked {
        Some(path) if !path.is_empty() => Some(path.into()),
        _ => Some(config_dir?.join("nodeward").join("config.yaml")),
    }
}

/// The path from the root: what is read once must not be another file after a change of the working directory.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| unreadable(path, error))
}

/// The files that programs have put beside the user's, in the order of their names.
pub(super) fn of_programs(users: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut directory = users.as_os_str().to_owned();
    directory.push(".d");
    let directory = PathBuf::from(directory);
    let list = || -> io::Result<Vec<PathBuf>> { fs::read_dir(&directory)?.map(|entry| Ok(entry?.path())).collect() };
    let mut paths = match list() {
        Ok(paths) => paths,
        Err(error) if is_absence(&error) => Vec::new(),
        Err(error) => return Err(unreadable(&directory, error)),
    };
    paths.retain(|path| is_meant(path));
    paths.sort_unstable();
    Ok(paths)
}

/// As `*.yaml` of a shell: hidden files are those that somebody is still writing.
fn is_meant(path: &Path) -> bool {
    let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    path.extension() == Some(OsStr::new("yaml")) && !is_hidden
}

/// What the file at an absolute path says, if it is there.
pub(super) fn read(path: &Path) -> Result<Option<File>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&text, path).map(Some),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(unreadable(path, error)),
    }
}

fn parse(text: &str, path: &Path) -> Result<File, Error> {
    let options = serde_saphyr::options! { with_snippet: false };
    let written: Option<Written> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        let text = error.render_with_formatter(&UserMessageFormatter);
        // Said before it, where an editor and a terminal make a link of it.
        wrong(path, line, text.split(" at line ").next().unwrap_or(&text))
    })?;
    let Written { current_context, contexts } = written.unwrap_or_default();
    let directory = path.parent().unwrap_or(path);
    let context = |(name, Spanned { value, referenced, .. }): (String, Spanned<Context>)| {
        if value.client_certificate.is_some() != value.client_key.is_some() {
            let what = format!("the context {name:?} needs client_certificate and client_key, or neither");
            return Err(wrong(path, referenced.line(), &what));
        }
        Ok((name, Context { file: path.to_owned(), ..value.based_on(directory) }))
    };
    let contexts = contexts.unwrap_or_default().into_iter().map(context).collect::<Result<_, _>>()?;
    Ok(File { current_context, contexts })
}

fn wrong(path: &Path, line: u64, what: &str) -> Error {
    Error::invalid(format!("{}:{line}: {what}", path.display()))
}

/// Whether there is nothing of that name, rather than something that can't be read.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    Error::invalid(format!("can't read {}: {error}", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse(text, Path::new("/c/config.yaml")).unwrap_err().message().to_owned()
    }

    #[test]
    fn what_the_file_says_is_read_and_unknown_fields_are_passed_over() {
        let text = "new: 1\ncurrent_context: a\ncontexts:\n  a:\n    endpoint: https://a:1\n    newer: {x: 2}\n";
        let file = parse(text, Path::new("/c/config.yaml")).unwrap();
        assert_eq!(file.current_context.as_deref(), Some("a"));
        let expected = Context { file: "/c/config.yaml".into(), ..Context::new("https://a:1") };
        assert_eq!(file.contexts, BTreeMap::from([("a".to_owned(), expected)]));
    }

    #[test]
    fn a_file_without_content_says_nothing() {
        for text in ["", "# later\n", "---\n", "contexts:\n", "{}"] {
            let file = parse(text, Path::new("/c/config.yaml")).unwrap();
            assert!(file.current_context.is_none() && file.contexts.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn relative_paths_begin_at_the_directory_of_the_file() {
        let text = "contexts:\n  a:\n    endpoint: e\n    ca_file: ca.crt\n    client_certificate: ../a.crt\n    \
                    client_key: keys/a.key\n    token_file: /run/token\n";
        let file = parse(text, Path::new("/c/config.yaml")).unwrap();
        let context = &file.contexts["a"];
        let path = |path: &str| Some(PathBuf::from(path));
        assert_eq!((context.ca_file.clone(), context.client_key.clone()), (path("/c/ca.crt"), path("/c/keys/a.key")));
        assert_eq!(context.client_certificate, path("/c/../a.crt"));
        assert_eq!(context.token_file, path("/run/token"));
    }

    #[test]
    fn what_can_not_be_understood_is_named_with_its_file_and_line() {
        for (text, expected) in [
            ("contexts:\n  a:\n    ca_file: x\n", "/c/config.yaml:3: missing field `endpoint`"),
            ("contexts:\n  a: {endpoint: e}\n  a: {endpoint: f}\n", "/c/config.yaml:3: "),
            ("contexts:\n  a:\n", "/c/config.yaml:2: "),
            ("contexts: [a]\n", "/c/config.yaml:1: "),
            ("current_context: a\ncontexts: {", "/c/config.yaml:2: "),
            ("current_context: a\n---\ncurrent_context: b\n", "/c/config.yaml:3: "),
        ] {
            let refusal = refusal(text);
            assert!(refusal.starts_with(expected) && !refusal.contains('\n'), "{text:?}: {refusal}");
        }
    }

    #[test]
    fn a_certificate_without_its_key_is_refused_and_a_key_without_its_certificate() {
        for field in ["client_certificate", "client_key"] {
            let refusal = refusal(&format!("contexts:\n  a:\n    endpoint: e\n    {field}: x\n"));
            let expected = "/c/config.yaml:3: the context \"a\" needs client_certificate and client_key, or neither";
            assert_eq!(refusal, expected, "{field}");
        }
    }

    #[test]
    fn the_users_file_is_where_the_variable_says_or_in_the_users_directory() {
        let users = || Some(PathBuf::from("/home/alice/.config"));
        assert_eq!(choose(Some("/etc/nodeward.yaml".into()), users()), Some("/etc/nodeward.yaml".into()));
        for unset in [None, Some(OsString::new())] {
            assert_eq!(choose(unset, users()), Some("/home/alice/.config/nodeward/config.yaml".into()));
        }
        assert_eq!(choose(None, None), None);
    }
}
