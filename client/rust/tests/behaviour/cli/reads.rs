//! `get`, `list`, and the formats of their output.

use nodeward_client::api::readiness::State;
use nodeward_client::api::{Consistency, Readiness, SchedulingState, Taint};
use serde_json::{Value, json};

use super::{Cli, bare_command};
use crate::fake::{Call, Fake, worker};

fn cli() -> Cli {
    let mut second = worker("worker-2");
    second.scheduling_state = SchedulingState::Cordoned.into();
    second.readiness = Some(Readiness { state: State::LostContact.into(), ..Readiness::default() });
    let taint = Taint { key: "gpu".into(), value: Some("a100".into()), effect: "NoSchedule".into(), time_added: None };
    second.spec.as_mut().unwrap().taints = vec![taint];
    Cli::of(Fake::with([worker("worker-1"), second]))
}

#[test]
fn a_list_is_a_table_as_of_kubectl() {
    let expected = "\
NAME       STATUS                           ROLES    AGE    VERSION
worker-1   Ready                            worker   3h1m   v1.36.0
worker-2   LostContact,SchedulingDisabled   worker   3h1m   v1.36.0
";
    assert_eq!(cli().run(&["list"]).ok(), expected);
}

#[test]
fn get_without_a_name_is_a_list() {
    let cli = cli();
    assert_eq!(cli.run(&["get"]).ok(), cli.run(&["list"]).ok());
    assert_eq!(cli.run(&["get", "nodes"]).ok(), cli.run(&["list"]).ok());
}

#[test]
fn get_takes_names_in_all_forms() {
    let cli = cli();
    for arguments in [&["get", "worker-1"][..], &["get", "node", "worker-1"], &["get", "nodes/worker-1"]] {
        let out = cli.run(arguments).ok();
        assert!(out.lines().count() == 2 && out.contains("worker-1"), "{arguments:?}: {out}");
    }
}

#[test]
fn the_wide_table_has_more_columns_and_obeys_no_sequences() {
    let out = cli().run(&["list", "-o", "wide"]).ok();
    let rows: Vec<&str> = out.lines().collect();
    assert!(
        rows[0].ends_with("ZONE     INTERNAL-IP   OS-IMAGE            KERNEL   RUNTIME            TAINTS"),
        "{out}"
    );
    assert!(
        rows[1].ends_with("zone-a   10.0.0.7      Linux\\u{1b}[31m 1   6.12     containerd://2.1   <none>"),
        "{out}"
    );
    assert!(rows[2].ends_with("gpu=a100:NoSchedule"), "{out}");
}

#[test]
fn names_are_printed_one_a_line() {
    assert_eq!(cli().run(&["list", "-o", "name"]).ok(), "node/worker-1\nnode/worker-2\n");
}

#[test]
fn one_node_as_json_is_the_message_of_the_contract() {
    let node: Value = serde_json::from_str(&cli().run(&["get", "worker-2", "-o", "json"]).ok()).unwrap();
    assert_eq!(node["name"], "nodes/worker-2");
    assert_eq!(node["readiness"]["state"], "STATE_LOST_CONTACT");
    assert_eq!(node["spec"]["taints"], json!([{"key": "gpu", "value": "a100", "effect": "NoSchedule"}]));
}

#[test]
fn a_list_as_json_has_the_nodes_and_the_etag() {
    let list: Value = serde_json::from_str(&cli().run(&["list", "-o", "json"]).ok()).unwrap();
    assert_eq!((list["nodes"].as_array().unwrap().len(), &list["etag"]), (2, &json!("set-0")));
}

#[test]
fn yaml_holds_the_same_as_json() {
    let cli = cli();
    let yaml: Value = serde_saphyr::from_str(&cli.run(&["list", "-o", "yaml"]).ok()).unwrap();
    let json: Value = serde_json::from_str(&cli.run(&["list", "-o", "json"]).ok()).unwrap();
    assert_eq!(yaml, json);
}

#[test]
fn managed_fields_are_shown_on_demand_only() {
    let cli = cli();
    for command in [&["get", "worker-1"][..], &["list"], &["cordon", "worker-1"]] {
        assert!(!cli.run(&[command, &["-o", "yaml"]].concat()).ok().contains("managedFields"), "{command:?}");
    }
    for command in [&["get", "worker-1"][..], &["list"]] {
        let out = cli.run(&[command, &["-o", "yaml", "--show-managed-fields"]].concat()).ok();
        assert!(out.contains("managedFields"), "{command:?}");
    }
}

#[test]
fn kubernetes_itself_is_asked_who_set_which_field() {
    let cli = cli();
    for command in [&["get", "worker-1"][..], &["list"]] {
        cli.run(&[command, &["--show-managed-fields"]].concat()).ok();
    }
    let consistency = |call| match call {
        Call::Get(request) => request.consistency(),
        Call::List(request) => request.consistency(),
        Call::Stream(request) => request.consistency(),
        other => panic!("{other:?}"),
    };
    let asked: Vec<Consistency> = cli.fake.calls().into_iter().map(consistency).collect();
    assert_eq!(asked, [Consistency::Consistent; 2]);
}

#[test]
fn a_watch_can_not_show_who_set_which_field() {
    assert_eq!(cli().run(&["get", "--watch", "--show-managed-fields"]).code, 2);
}

#[test]
fn only_what_is_shown_is_asked_for() {
    let cli = cli();
    cli.run(&["list", "-o", "name"]).ok();
    cli.run(&["list", "-o", "json"]).ok();
    let mask = |call| match call {
        Call::Stream(request) => request.read_mask.map(|mask| mask.paths),
        other => panic!("{other:?}"),
    };
    let masks: Vec<Option<Vec<String>>> = cli.fake.calls().into_iter().map(mask).collect();
    assert_eq!(masks, [Some(vec!["name".to_owned()]), None]);
}

#[test]
fn selector_filter_and_order_are_sent() {
    let cli = cli();
    cli.run(&["list", "-l", "team=red", "--filter", "ready = true", "--sort", "name desc"]).ok();
    let Some(Call::List(request)) = cli.fake.calls().pop() else { panic!("it was not asked") };
    assert_eq!((request.label_selector.as_str(), request.filter.as_str()), ("team=red", "ready = true"));
    assert_eq!(request.order_by, "name desc");
}

#[test]
fn kubernetes_itself_is_asked_if_that_is_wanted() {
    let cli = cli();
    cli.run(&["get", "worker-1", "--consistent"]).ok();
    cli.run(&["get", "worker-1"]).ok();
    let consistency = |call| match call {
        Call::Get(request) => request.consistency(),
        other => panic!("{other:?}"),
    };
    let asked: Vec<Consistency> = cli.fake.calls().into_iter().map(consistency).collect();
    assert_eq!(asked, [Consistency::Consistent, Consistency::Cached]);
}

#[test]
fn an_empty_list_says_so_beside_the_output() {
    let run = Cli::of(Fake::default()).run(&["list"]);
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (0, "", "No nodes found\n"));
}

#[test]
fn a_missing_node_among_others_is_reported_and_the_others_shown() {
    let run = cli().run(&["get", "worker-1", "missing", "worker-2", "-o", "name"]);
    assert_eq!((run.code, run.out.as_str()), (3, "node/worker-1\nnode/worker-2\n"));
    assert!(run.err.starts_with("error: node \"missing\" does not exist (NODE_NOT_FOUND)\n"), "{}", run.err);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::process::Stdio;
    let cli = Cli::of(Fake::with((0..5000).map(|number| worker(&format!("worker-{number}")))));
    let mut child = cli.command(&["list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn completion_scripts_are_printed_without_a_server() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = bare_command(&["completion", shell]).output().unwrap();
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("uncordon"), "{shell}");
    }
}

#[test]
fn the_help_documents_exit_codes_and_variables() {
    let help = String::from_utf8(bare_command(&["--help"]).output().unwrap().stdout).unwrap();
    for word in ["Exit codes:", "NODEWARD_ENDPOINT", "NODEWARD_TOKEN_FILE", "NODEWARD_TIMEOUT"] {
        assert!(help.contains(word), "{word}");
    }
}
