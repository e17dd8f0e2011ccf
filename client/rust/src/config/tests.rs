use std::fs;

use tempfile::TempDir;

use super::*;

/// A directory of configurations.
struct Home {
    root: TempDir,
}

impl Home {
    /// With the user's own file.
    fn of(users: &str) -> Self {
        let home = Self { root: TempDir::new().unwrap() };
        fs::write(home.path(), users).unwrap();
        home
    }

    fn path(&self) -> PathBuf {
        self.root.path().join("config.yaml")
    }

    /// Adds a file of a program.
    fn with(self, name: &str, text: &str) -> Self {
        let directory = self.root.path().join("config.yaml.d");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(name), text).unwrap();
        self
    }

    fn config(&self) -> Config {
        Config::from_file(self.path()).unwrap()
    }
}

fn one(name: &str, endpoint: &str) -> String {
    format!("contexts:\n  {name}:\n    endpoint: {endpoint}\n")
}

#[test]
fn without_any_file_there_are_no_contexts() {
    let directory = TempDir::new().unwrap();
    let config = Config::from_file(directory.path().join("config.yaml")).unwrap();
    assert!(config.contexts().is_empty() && config.current().unwrap().is_none());
}

#[test]
fn the_contexts_of_programs_are_added_to_the_users() {
    let home = Home::of(&one("work", "https://work")).with("sandbox.yaml", &one("sandbox-admin", "https://sandbox"));
    let config = home.config();
    assert_eq!(config.context("work").unwrap().endpoint, "https://work");
    let sandbox = config.context("sandbox-admin").unwrap();
    assert_eq!(sandbox.endpoint, "https://sandbox");
    assert_eq!(sandbox.file(), home.root.path().join("config.yaml.d/sandbox.yaml"));
}

#[test]
fn a_context_that_several_files_have_is_taken_whole_from_the_first() {
    let home = Home::of(&one("a", "https://users"))
        .with("1.yaml", "contexts:\n  a: {endpoint: x, token_file: t}\n  b: {endpoint: first}\n")
        .with("2.yaml", "contexts:\n  b: {endpoint: second, token_file: t}\n");
    let config = home.config();
    let context = |name: &str| (config.contexts()[name].endpoint.as_str(), config.contexts()[name].token_file.clone());
    assert_eq!(context("a"), ("https://users", None));
    assert_eq!(context("b"), ("first", None));
}

#[test]
fn the_current_context_of_the_user_comes_before_that_of_a_program() {
    let program = "current_context: b\ncontexts:\n  a: {endpoint: a}\n  b: {endpoint: b}\n";
    let home = Home::of("current_context: a\n").with("p.yaml", program);
    assert_eq!(home.config().current().unwrap().unwrap().endpoint, "a");
    let home = Home::of("# none\n").with("p.yaml", program);
    assert_eq!(home.config().current().unwrap().unwrap().endpoint, "b");
}

#[test]
fn other_files_in_the_directory_of_programs_do_not_count() {
    let home = Home::of("").with("a.yml", "{").with(".b.yaml", "{").with("c.yaml.tmp", "{");
    assert!(home.config().contexts().is_empty());
}

#[test]
fn a_program_that_writes_what_can_not_be_understood_is_named() {
    let home = Home::of("").with("p.yaml", "\ncontexts: 1\n");
    let error = Config::from_file(home.path()).unwrap_err();
    let file = home.root.path().join("config.yaml.d/p.yaml");
    assert!(error.message().starts_with(&format!("{}:2: ", file.display())), "{error}");
}

#[test]
fn a_file_that_can_not_be_read_is_named() {
    let directory = TempDir::new().unwrap();
    let error = Config::from_file(directory.path()).unwrap_err();
    assert!(error.message().starts_with(&format!("can't read {}: ", directory.path().display())), "{error}");
}

#[test]
fn a_context_that_does_not_exist_is_an_error_that_lists_those_that_do() {
    let config = Home::of(&one("work", "e")).with("p.yaml", &one("play", "e")).config();
    let error = config.context("wrok").unwrap_err();
    assert_eq!(error.message(), "there is no context \"wrok\"");
    assert_eq!(error.hint(), Some("these exist: play, work"));
    let error = Home::of("").config().context("work").unwrap_err();
    assert_eq!(error.hint(), Some("there are no contexts"));
}

#[test]
fn a_current_context_that_does_not_exist_is_an_error_that_names_the_file() {
    let home = Home::of("current_context: gone\n");
    let error = home.config().current().unwrap_err();
    let expected = format!("there is no context \"gone\", which {} says is the current one", home.path().display());
    assert_eq!(error.message(), expected);
}

#[test]
fn of_a_context_of_the_sandbox_it_is_said_that_none_runs() {
    let config = Home::of("current_context: sandbox-viewer\n").config();
    for error in [config.current().unwrap_err(), config.context("sandbox-admin").unwrap_err()] {
        assert!(error.message().ends_with(": no sandbox runs"), "{error}");
        assert!(error.hint().unwrap().contains("cargo sandbox"), "{error}");
    }
    let config = Home::of("").with("sandbox.yaml", &one("sandbox-admin", "e")).config();
    assert!(!config.context("sandbox-nobody").unwrap_err().message().contains("no sandbox runs"));
}

#[test]
fn a_configuration_is_written_as_one_that_says_the_same() {
    let home = Home::of("current_context: a\n").with(
        "p.yaml",
        "contexts:\n  a:\n    endpoint: https://a\n    client_certificate: a.crt\n    client_key: a.key\n",
    );
    let config = home.config();
    let written = Home::of(&serde_saphyr::to_string(&config).unwrap()).config();
    assert_eq!(written.current_name(), Some("a"));
    let context = Context { file: home.root.path().join("config.yaml.d/p.yaml"), ..written.contexts()["a"].clone() };
    assert_eq!(context, config.contexts()["a"]);
}
