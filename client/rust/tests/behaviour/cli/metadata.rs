//! `label`, `annotate` and `taint`.

use nodeward_client::Code;

use super::{Cli, Run};
use crate::fake::{Fake, Fate, status, worker};

fn cli() -> Cli {
    Cli::of(Fake::with([worker("a"), worker("b")]))
}

fn label(cli: &Cli, key: &str) -> Option<String> {
    cli.fake.get("a").unwrap().metadata.unwrap().labels.get(key).cloned()
}

fn paths(cli: &Cli) -> Vec<String> {
    cli.fake.updates().pop().unwrap().update_mask.unwrap().paths
}

fn taints(cli: &Cli) -> Vec<String> {
    let spec = cli.fake.get("a").unwrap().spec.unwrap();
    let shown = |taint: nodeward_client::api::Taint| {
        format!("{}={}:{}", taint.key, taint.value.unwrap_or_default(), taint.effect)
    };
    spec.taints.into_iter().map(shown).collect()
}

#[test]
fn labels_are_set_and_removed_at_once() {
    let cli = cli();
    assert_eq!(cli.run(&["label", "node", "a", "example.com/x=1", "team-"]).ok(), "node/a labeled\n");
    assert_eq!(paths(&cli), ["metadata.labels.`example.com/x`", "metadata.labels.team"]);
    assert_eq!((label(&cli, "example.com/x").as_deref(), label(&cli, "team")), (Some("1"), None));
}

#[test]
fn labels_that_are_only_removed_are_unlabeled() {
    assert_eq!(cli().run(&["label", "a", "team-"]).ok(), "node/a unlabeled\n");
}

#[test]
fn another_value_is_refused_without_overwrite() {
    let cli = cli();
    let run = cli.run(&["label", "a", "team=blue"]);
    let expected =
        "error: node/a has another value of the label already: team=red\nhint: give --overwrite to change it\n";
    assert_eq!((run.code, run.err.as_str()), (4, expected));
    assert_eq!(label(&cli, "team").as_deref(), Some("red"));
}

#[test]
fn another_value_is_set_with_overwrite() {
    let cli = cli();
    assert_eq!(cli.run(&["label", "a", "team=blue", "--overwrite"]).ok(), "node/a labeled\n");
    assert_eq!(label(&cli, "team").as_deref(), Some("blue"));
}

#[test]
fn the_same_value_changes_nothing() {
    let cli = cli();
    assert_eq!(cli.run(&["label", "a", "team=red"]).ok(), "node/a not labeled\n");
    assert!(cli.fake.updates().is_empty());
}

#[test]
fn a_label_to_remove_that_is_absent_is_told() {
    let run = cli().run(&["label", "a", "zone-"]);
    assert_eq!((run.code, run.out.as_str()), (0, "node/a not unlabeled\n"));
    assert_eq!(run.err, "label \"zone\" not found on node/a\n");
}

#[test]
fn the_decision_is_bound_to_the_node_that_was_read() {
    let cli = cli();
    let etag = cli.fake.get("a").unwrap().etag;
    cli.run(&["label", "a", "x=1"]).ok();
    assert_eq!(cli.fake.updates()[0].etag, etag);
}

#[test]
fn a_node_that_was_changed_meanwhile_is_decided_on_anew() {
    let cli = cli();
    cli.fake.next(Fate::Race);
    assert_eq!(cli.run(&["label", "a", "x=1"]).ok(), "node/a labeled\n");
    assert_eq!((label(&cli, "racer").as_deref(), label(&cli, "x").as_deref()), (Some("was-here"), Some("1")));
    assert_eq!(cli.fake.updates().len(), 2);
}

#[test]
fn a_value_that_somebody_else_set_meanwhile_is_not_overwritten() {
    let cli = cli();
    cli.fake.next(Fate::Race);
    let run = cli.run(&["label", "a", "racer=me"]);
    assert_eq!(run.code, 4, "{run:?}");
    assert_eq!(label(&cli, "racer").as_deref(), Some("was-here"));
}

#[test]
fn the_callers_etag_is_not_decided_on_anew() {
    let cli = cli();
    let run = cli.run(&["label", "a", "x=1", "--etag", "\"old\""]);
    assert_eq!((run.code, cli.fake.updates().len()), (4, 1));
    assert!(run.err.contains("(ETAG_MISMATCH)"), "{}", run.err);
}

#[test]
fn overwrite_does_not_depend_on_the_version() {
    let cli = cli();
    cli.run(&["label", "a", "team=blue", "--overwrite"]).ok();
    assert_eq!(cli.fake.updates()[0].etag, "");
}

#[test]
fn several_nodes_are_labeled() {
    assert_eq!(cli().run(&["label", "a", "b", "x=1"]).ok(), "node/a labeled\nnode/b labeled\n");
    assert_eq!(cli().run(&["label", "-l", "team=red", "x=1"]).ok(), "node/a labeled\nnode/b labeled\n");
}

#[test]
fn a_dry_run_changes_nothing() {
    let cli = cli();
    assert_eq!(cli.run(&["label", "a", "x=1", "--dry-run"]).ok(), "node/a labeled (server dry run)\n");
    assert_eq!(label(&cli, "x"), None);
}

#[test]
fn annotations_are_set() {
    let cli = cli();
    assert_eq!(cli.run(&["annotate", "a", "note=a b=c"]).ok(), "node/a annotated\n");
    assert_eq!(cli.fake.get("a").unwrap().metadata.unwrap().annotations["note"], "a b=c");
}

#[test]
fn what_is_no_pair_is_a_usage_error() {
    for arguments in [&["label", "a"][..], &["label", "a", "x=1", "b"], &["label", "a", "x=1", "x-"], &["label", "x=1"]]
    {
        assert_eq!(cli().run(arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn taints_are_set_changed_and_removed() {
    let cli = cli();
    assert_eq!(cli.run(&["taint", "node", "a", "gpu=a100:NoSchedule"]).ok(), "node/a tainted\n");
    assert_eq!(paths(&cli), ["spec.taints.`gpu:NoSchedule`"]);
    assert_eq!(cli.run(&["taint", "a", "gpu=h100:NoSchedule", "--overwrite"]).ok(), "node/a modified\n");
    assert_eq!(taints(&cli), ["gpu=h100:NoSchedule"]);
    assert_eq!(cli.run(&["taint", "a", "gpu-", "x:NoExecute"]).ok(), "node/a modified\n");
    assert_eq!(taints(&cli), ["x=:NoExecute"]);
    assert_eq!(cli.run(&["taint", "a", "x:NoExecute-"]).ok(), "node/a untainted\n");
    assert!(taints(&cli).is_empty());
}

#[test]
fn a_taint_that_is_there_is_refused_without_overwrite() {
    let cli = cli();
    cli.run(&["taint", "a", "gpu=a100:NoSchedule"]).ok();
    let run = cli.run(&["taint", "a", "gpu=h100:NoSchedule"]);
    assert_eq!(run.code, 4);
    assert!(run.err.contains("has taints of the same key and effect already: gpu"), "{}", run.err);
}

#[test]
fn removing_a_taint_that_is_not_there_fails() {
    assert_eq!(cli().run(&["taint", "a", "gpu-"]).code, 4);
}

#[test]
fn what_is_no_taint_is_a_usage_error() {
    for taint in ["gpu=a100", "gpu=a100:Sometimes", "gpu:NoSchedule:x", "=x:NoSchedule"] {
        assert_eq!(cli().run(&["taint", "a", taint]).code, 2, "{taint}");
    }
}

/// Runs a command whose answer is lost, then again as the first run says.
fn repeated(cli: &Cli, arguments: &[&str]) -> Run {
    cli.fake.next(Fate::Lose(status(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "too late", None)));
    let lost = cli.run(arguments);
    assert_eq!(lost.code, 5, "{lost:?}");
    let advice =
        lost.err.split_once("repeat the command with ").unwrap().1.split_once(" to have it").unwrap().0.to_owned();
    let flags: Vec<&str> = advice.split(' ').collect();
    cli.run(&[arguments, &flags].concat())
}

#[test]
fn a_repeated_command_sends_the_same_request_and_succeeds_by_its_first_answer() {
    for (arguments, done) in [
        (&["taint", "a", "gpu=a100:NoSchedule"][..], "node/a tainted\n"),
        (&["label", "a", "x=1", "team-"], "node/a labeled\n"),
        (&["annotate", "a", "x=1"], "node/a annotated\n"),
        (&["cordon", "a"], "node/a cordoned\n"),
    ] {
        let cli = cli();
        assert_eq!(repeated(&cli, arguments).ok(), done);
        let ids = cli.fake.request_ids();
        assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "{arguments:?}");
    }
}

#[test]
fn a_repeated_command_does_not_undo_what_others_did_since() {
    let cli = cli();
    cli.fake.next(Fate::Lose(status(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "too late", None)));
    let id = "4e0f4f3e-6a6c-4a53-8a1f-1c2d3e4f5a6b";
    let arguments = ["label", "a", "team=blue", "--overwrite", "--request-id", id];
    assert_eq!(cli.run(&arguments).code, 5);
    cli.run(&["label", "a", "team=green", "--overwrite"]).ok();
    cli.run(&arguments).ok();
    assert_eq!(label(&cli, "team").as_deref(), Some("green"));
}

#[test]
fn a_taint_that_a_repeated_request_has_set_or_removed_itself_is_no_obstacle() {
    let cli = cli();
    let id = ["--request-id", "4e0f4f3e-6a6c-4a53-8a1f-1c2d3e4f5a6b"];
    cli.run(&["taint", "a", "gpu=a100:NoSchedule"]).ok();
    assert_eq!(cli.run(&[&["taint", "a", "gpu=a100:NoSchedule"], &id[..]].concat()).ok(), "node/a unchanged\n");
    assert_eq!(cli.run(&[&["taint", "a", "other-"], &id[..]].concat()).ok(), "node/a unchanged\n");
    assert_eq!(cli.run(&[&["taint", "a", "gpu=h100:NoSchedule"], &id[..]].concat()).code, 4);
}

#[test]
fn another_value_is_refused_also_at_the_callers_etag() {
    let cli = cli();
    let etag = cli.fake.get("a").unwrap().etag;
    assert_eq!(cli.run(&["label", "a", "team=blue", "--etag", &etag]).code, 4);
    assert!(cli.fake.updates().is_empty());
}

#[test]
fn a_taint_is_removed_by_its_key_whatever_its_effects() {
    let cli = cli();
    cli.run(&["taint", "a", "gpu:NoSchedule", "gpu:NoExecute", "other:NoSchedule"]).ok();
    assert_eq!(cli.run(&["taint", "a", "gpu-"]).ok(), "node/a untainted\n");
    assert_eq!(taints(&cli), ["other=:NoSchedule"]);
}

#[test]
fn what_is_absent_is_told_once_however_often_it_is_decided() {
    let cli = cli();
    cli.fake.next(Fate::Race);
    assert_eq!(cli.run(&["label", "a", "x=1", "zone-"]).err, "label \"zone\" not found on node/a\n");
}
