use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::directory::Directory;
use crate::running::State;

/// A home, with the user's configuration, and sandboxes.
struct Home {
    root: TempDir,
    place: Place,
}

const USERS: &str = "# mine\ncurrent_context: work\ncontexts: {work: {endpoint: https://nodeward.example.com:7443}}\n";

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let config = root.path().join("config.yaml");
        fs::write(&config, USERS).unwrap();
        let place = Place::beside(&config, root.path());
        Self { root, place }
    }

    /// A sandbox that runs, until its directory is dropped.
    fn start(&self, name: &str) -> Directory {
        let directory = Directory::take(Some(&self.root.path().join(name)), false).unwrap();
        let (pid, apiserver_url, kubeconfig, control_plane) = Default::default();
        directory.publish(&State { pid, apiserver_url, kubeconfig, control_plane }).unwrap();
        directory
    }

    fn write(&self, sandbox: &Directory) -> Option<ClientContexts> {
        self.place.write(&contexts(sandbox.path())).unwrap()
    }

    /// As if the sandbox and all that it would have done at its end had been killed.
    fn kill(&self, sandbox: Directory, written: Option<ClientContexts>) {
        drop(sandbox);
        std::mem::forget(written.unwrap());
    }

    fn written(&self) -> Option<Value> {
        Some(serde_saphyr::from_str(&fs::read_to_string(&self.place.file).ok()?).unwrap())
    }

    fn owner(&self) -> PathBuf {
        self.written().unwrap()["sandbox"].as_str().unwrap().into()
    }
}

fn contexts(sandbox: &Path) -> Contexts {
    let context = |user: User| {
        let mut context = Context::new("https://127.0.0.1:7443");
        context.ca_file = Some(sandbox.join("ca.crt"));
        context.client_certificate = Some(sandbox.join(format!("{user}.crt")));
        context.client_key = Some(sandbox.join(format!("{user}.key")));
        (ClientContexts::name(user), context)
    };
    Contexts::with(sandbox, User::ALL.into_iter().map(context))
}

#[test]
fn each_user_has_a_context_and_the_admins_is_the_current_one() {
    let home = Home::new();
    let sandbox = home.start("one");
    let _written = home.write(&sandbox).unwrap();
    let written = home.written().unwrap();
    assert_eq!(written["current_context"], "sandbox-admin");
    let names: Vec<_> = written["contexts"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["sandbox-admin", "sandbox-auditor", "sandbox-operator", "sandbox-viewer"]);
    let dir = sandbox.path().display();
    let operator = json!({
        "endpoint": "https://127.0.0.1:7443",
        "ca_file": format!("{dir}/ca.crt"),
        "client_certificate": format!("{dir}/operator.crt"),
        "client_key": format!("{dir}/operator.key"),
    });
    assert_eq!(written["contexts"]["sandbox-operator"], operator);
}

#[test]
fn the_users_own_configuration_is_never_touched_and_at_the_end_nothing_else_is_there() {
    let home = Home::new();
    let sandbox = home.start("one");
    drop(home.write(&sandbox).unwrap());
    assert_eq!(home.written(), None);
    assert!(!home.place.file.parent().unwrap().exists());
    assert_eq!(fs::read_to_string(home.root.path().join("config.yaml")).unwrap(), USERS);
}

#[test]
fn contexts_of_other_programs_stay() {
    let home = Home::new();
    let sandbox = home.start("one");
    let written = home.write(&sandbox).unwrap();
    let others = home.place.file.with_file_name("others.yaml");
    fs::write(&others, "contexts: {}\n").unwrap();
    drop(written);
    assert!(others.exists());
}

#[test]
fn a_sandbox_that_runs_keeps_its_contexts_when_another_starts_and_ends() {
    let home = Home::new();
    let (first, second) = (home.start("one"), home.start("two"));
    let _written = home.write(&first).unwrap();
    assert!(home.write(&second).is_none());
    home.place.sweep().unwrap();
    home.place.remove(second.path()).unwrap();
    assert_eq!(home.owner(), first.path());
}

#[test]
fn the_contexts_of_a_killed_sandbox_are_replaced() {
    let home = Home::new();
    let (first, second) = (home.start("one"), home.start("two"));
    let written = home.write(&first);
    home.kill(first, written);
    let _written = home.write(&second).unwrap();
    assert_eq!(home.owner(), second.path());
}

#[test]
fn the_contexts_of_a_killed_sandbox_are_swept() {
    let home = Home::new();
    let sandbox = home.start("one");
    let written = home.write(&sandbox);
    home.kill(sandbox, written);
    home.place.sweep().unwrap();
    assert_eq!(home.written(), None);
}

#[test]
fn a_sandbox_that_starts_again_where_it_was_killed_takes_its_contexts_over() {
    let home = Home::new();
    let sandbox = home.start("one");
    let written = home.write(&sandbox);
    home.kill(sandbox, written);
    let again = home.start("one");
    let _written = home.write(&again).unwrap();
    assert_eq!(home.owner(), again.path());
}

#[test]
fn a_file_that_is_no_sandboxs_is_left_alone() {
    let home = Home::new();
    let sandbox = home.start("one");
    fs::create_dir(home.place.file.parent().unwrap()).unwrap();
    for text in ["contexts: {}\n", "{", ""] {
        fs::write(&home.place.file, text).unwrap();
        assert!(home.write(&sandbox).is_none());
        home.place.sweep().unwrap();
        assert_eq!(fs::read_to_string(&home.place.file).unwrap(), text);
    }
}

#[test]
fn a_client_finds_the_sandbox_unless_its_user_has_another_current_context() {
    let home = Home::new();
    let sandbox = home.start("one");
    let _written = home.write(&sandbox).unwrap();
    let path = home.root.path().join("config.yaml");
    let config = Config::from_file(&path).unwrap();
    assert_eq!(config.current_name(), Some("work"));
    assert_eq!(config.context("sandbox-viewer").unwrap().endpoint, "https://127.0.0.1:7443");
    fs::remove_file(&path).unwrap();
    assert_eq!(Config::from_file(&path).unwrap().current_name(), Some("sandbox-admin"));
}

#[test]
fn the_name_in_the_certificate_is_told_only_where_it_is_not_that_of_the_address() {
    let name = |address: &str| server_name(address.parse().unwrap());
    assert_eq!([name("127.0.0.1:1"), name("[::1]:1")], [None, None]);
    assert_eq!(name("192.0.2.7:1"), Some("localhost"));
}
