//! Which context of the user's configuration is used, and the commands about it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nodeward_client::Code;
use tempfile::TempDir;

use super::{Cli, Run, bare_command};
use crate::fake::{Fake, Fate, status, worker};

/// A user with a configuration of two contexts: `one` and `two`, each with a server and a token of its own.
struct User {
    home: TempDir,
    one: Cli,
    two: Cli,
}

impl User {
    fn new() -> Self {
        let [one, two] = ["one", "two"].map(|name| Cli::of(Fake::with([worker(name)])));
        let user = Self { home: TempDir::new().unwrap(), one, two };
        for name in ["one", "two"] {
            fs::write(user.home.path().join(format!("{name}.token")), format!("token-{name}")).unwrap();
        }
        let context = |name: &str, cli: &Cli| {
            format!("  {name}:\n    endpoint: http://{}\n    token_file: {name}.token\n", cli.address)
        };
        let contexts = [context("one", &user.one), context("two", &user.two)].concat();
        user.write(&format!("current_context: one\ncontexts:\n{contexts}"));
        user
    }

    fn path(&self) -> PathBuf {
        self.home.path().join("config.yaml")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare_command(arguments);
        command.env("NODEWARD_CONFIG", self.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    /// Which node is listed, and so, of which server.
    fn listed(&self, arguments: &[&str]) -> String {
        self.run(&[&["list", "-o", "name"], arguments].concat()).ok()
    }
}

/// The `authorization` of the last request that a server got.
fn authorization(cli: &Cli) -> Option<String> {
    let value = cli.fake.lock().metadata.last()?.get("authorization")?.to_str().unwrap().to_owned();
    Some(value)
}

#[test]
fn the_current_context_is_used_if_nobody_says_otherwise() {
    let user = User::new();
    assert_eq!(user.listed(&[]), "node/one\n");
    assert_eq!(authorization(&user.one).as_deref(), Some("Bearer token-one"));
}

#[test]
fn another_context_is_asked_for_by_a_flag_or_a_variable() {
    let user = User::new();
    assert_eq!(user.listed(&["--context", "two"]), "node/two\n");
    assert_eq!(authorization(&user.two).as_deref(), Some("Bearer token-two"));
    let mut command = user.command(&["list", "-o", "name"]);
    assert_eq!(Run::of(command.env("NODEWARD_CONFIG_CONTEXT", "two").output().unwrap()).ok(), "node/two\n");
}

#[test]
fn an_endpoint_sets_the_whole_context_aside_its_credentials_too() {
    let user = User::new();
    let endpoint = format!("http://{}", user.two.address);
    assert_eq!(user.listed(&["--endpoint", &endpoint]), "node/two\n");
    assert_eq!(authorization(&user.two), None);
    let mut command = user.command(&["list", "-o", "name"]);
    assert_eq!(Run::of(command.env("NODEWARD_ENDPOINT", &endpoint).output().unwrap()).ok(), "node/two\n");
    assert_eq!(authorization(&user.two), None);
}

#[test]
fn an_endpoint_and_a_context_together_are_refused() {
    let user = User::new();
    let mut command = user.command(&["list", "--context", "one"]);
    let run = Run::of(command.env("NODEWARD_ENDPOINT", "http://127.0.0.1:1").output().unwrap());
    assert_eq!(run.code, 2);
    assert!(run.err.contains("NODEWARD_ENDPOINT") && run.err.contains("--context"), "{}", run.err);
}

#[test]
fn a_token_that_is_given_takes_the_place_of_the_contexts() {
    let user = User::new();
    let mut command = user.command(&["list"]);
    Run::of(command.env("NODEWARD_TOKEN", "mine").output().unwrap()).ok();
    assert_eq!(authorization(&user.one).as_deref(), Some("Bearer mine"));
}

#[test]
fn a_context_that_does_not_exist_is_a_usage_error_that_lists_those_that_do() {
    let run = User::new().run(&["list", "--context", "three"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    assert_eq!(run.err, "error: there is no context \"three\"\nhint: these exist: one, two\n");
}

#[test]
fn a_configuration_that_can_not_be_understood_is_named_with_its_line() {
    let user = User::new();
    user.write("current_context: one\ncontexts: [\n");
    let run = user.run(&["list"]);
    assert_eq!(run.code, 2);
    assert!(run.err.starts_with(&format!("error: {}:", user.path().display())), "{}", run.err);
    let endpoint = format!("http://{}", user.two.address);
    assert_eq!(user.listed(&["--endpoint", &endpoint]), "node/two\n");
}

#[test]
fn a_file_that_a_context_names_and_that_is_not_there_is_told_with_the_context() {
    let user = User::new();
    user.write("current_context: a\ncontexts:\n  a: {endpoint: 'https://127.0.0.1:1', ca_file: gone.crt}\n");
    let run = user.run(&["list"]);
    assert_eq!(run.code, 2);
    let expected = format!("hint: see the context \"a\" of {}\n", user.path().display());
    assert!(run.err.contains("gone.crt") && run.err.ends_with(&expected), "{}", run.err);
}

#[test]
fn a_server_that_is_not_there_is_named_with_its_context() {
    let user = User::new();
    user.write("current_context: a\ncontexts:\n  a: {endpoint: 'http://127.0.0.1:1'}\n");
    let run = user.run(&["list"]);
    assert_eq!(run.code, 5);
    assert!(run.err.contains("a server runs at http://127.0.0.1:1 (context a)"), "{}", run.err);
}

#[test]
fn who_is_denied_is_told_by_which_context() {
    let user = User::new();
    user.one.fake.next(Fate::Fail(status(Code::PermissionDenied, "ACCESS_DENIED", "no", Some("ask for it"))));
    let run = user.run(&["cordon", "one"]);
    let expected =
        format!("error: no (ACCESS_DENIED)\nhint: ask for it\nserver: http://{} (context one)\n", user.one.address);
    assert!(run.err.starts_with(&expected), "{}", run.err);
}

#[test]
fn contexts_are_listed_with_a_star_at_the_current_one() {
    let user = User::new();
    let out = user.run(&["config", "contexts"]).ok();
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    let (path, one, two) = (user.path(), user.one.address, user.two.address);
    let [path, one, two] = [path.display().to_string(), format!("http://{one}"), format!("http://{two}")];
    assert_eq!(lines[0], ["CURRENT", "NAME", "ENDPOINT", "FILE"]);
    assert_eq!(lines[1], ["*", "one", &one, &path]);
    assert_eq!(lines[2], ["two", &two, &path]);
}

#[test]
fn the_configuration_is_shown_with_the_paths_of_its_files() {
    let user = User::new();
    let out = user.run(&["config", "view"]).ok();
    assert!(out.starts_with("current_context: one\ncontexts:\n"), "{out}");
    assert!(out.contains(&format!("token_file: {}/two.token\n", user.home.path().display())), "{out}");
}

#[test]
fn a_context_that_is_made_the_current_one_is_used_from_then_on() {
    let user = User::new();
    assert_eq!(user.run(&["config", "use-context", "two"]).ok(), "two is the current context\n");
    assert_eq!(user.listed(&[]), "node/two\n");
}

#[test]
fn a_context_that_does_not_exist_does_not_become_the_current_one() {
    let user = User::new();
    let before = fs::read_to_string(user.path()).unwrap();
    assert_eq!(user.run(&["config", "use-context", "three"]).code, 2);
    assert_eq!(fs::read_to_string(user.path()).unwrap(), before);
}

#[test]
fn a_variable_that_comes_before_the_current_context_is_told() {
    let user = User::new();
    let mut command = user.command(&["config", "use-context", "two"]);
    let run = Run::of(command.env("NODEWARD_CONFIG_CONTEXT", "one").output().unwrap());
    assert_eq!(run.code, 0);
    assert!(run.err.contains("NODEWARD_CONFIG_CONTEXT is set"), "{}", run.err);
}
