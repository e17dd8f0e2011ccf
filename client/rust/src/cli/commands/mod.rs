//! The commands, one group a file, and what they share: the session, which nodes a change is of, and what is told of it.

mod audit;
mod config;
mod cordon;
mod create;
mod decide;
mod delete;
mod drain;
mod each;
mod metadata;
mod operations;
mod patch;
mod plan;
mod read;
mod taint;
mod watch;

use clap::CommandFactory;
use clap_complete::Shell;
use nodeward_client::api::Node;
use nodeward_client::{Change, Changed, Client, ListOptions, node_id};

use crate::args::{AuditCommand, ChangeArgs, Cli, Command, DryRun, SelectArgs};
use crate::commands::each::Report;
use crate::connection::{Server, Timeout};
use crate::failure::{Failure, note};
use crate::names;
use crate::output::{Format, Kind, node_text, print, shown_name, without_managed_fields, yaml_document};

/// What a command works with.
pub struct Session {
    client: Client,
    server: Server,
    timeout: Timeout,
    verbose: bool,
}

/// Carries a command out.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { connection, command } = cli;
    match command {
        Command::Completion { shell } => completion(shell),
        Command::Config(command) => config::run(command),
        Command::Audit(AuditCommand::Verify(args)) => audit::verify(args),
        command => {
            let (client, server) = connection.connect().await?;
            let session = Session { client, server, timeout: connection.timeout, verbose: connection.verbose };
            session.run(command).await.map_err(|failure| {
                failure.report(None, Some(&session.server));
                Failure::Reported(failure.exit_code())
            })
        }
    }
}

fn completion(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "nodeward", &mut script);
    print(&String::from_utf8_lossy(&script))
}

impl Session {
    async fn run(&self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Get(args) => read::get(self, args).await,
            Command::List(args) => read::list(self, args).await,
            Command::Watch(args) => watch::watch(self, args).await,
            Command::Cordon(args) => cordon::cordon(self, args).await,
            Command::Uncordon(args) => cordon::uncordon(self, args).await,
            Command::Drain(args) => drain::drain(self, *args).await,
            Command::Plan(args) => plan::plan(self, *args).await,
            Command::Operations(command) => operations::run(self, command).await,
            Command::Label(args) => metadata::change(self, args, metadata::Field::Labels).await,
            Command::Annotate(args) => metadata::change(self, args, metadata::Field::Annotations).await,
            Command::Taint(args) => taint::taint(self, args).await,
            Command::Patch(args) => patch::patch(self, args).await,
            Command::Create(args) => create::create(self, args).await,
            Command::Delete(args) => delete::delete(self, args).await,
            Command::Audit(command) => audit::run(self, command).await,
            // They need no server.
            Command::Completion { .. } | Command::Config(_) => Ok(()),
        }
    }

    /// The nodes that a change is of: those named, or those that match.
    async fn targets(&self, names: &[String], select: &SelectArgs) -> Result<Vec<String>, Failure> {
        let names = names::nodes(names)?;
        match (names.is_empty(), is_selection(select)?) {
            (false, true) => Err(Failure::usage("give either names or a selector or filter, not both")),
            (true, false) => Err(Failure::usage("give the names of nodes, or a selector or filter")),
            (false, false) => Ok(names),
            (true, true) => self.matching(select).await,
        }
    }

    async fn matching(&self, select: &SelectArgs) -> Result<Vec<String>, Failure> {
        let options = ListOptions { read_mask: vec!["name".to_owned()], ..list_options(select.clone()) };
        let list = self.client.list_all(options).await?;
        if list.nodes.is_empty() {
            note("No nodes found");
        }
        Ok(list.nodes.iter().map(|node| node_id(&node.name).to_owned()).collect())
    }

    /// What is told of a change: what was done, or the node in the format that was asked for.
    fn report(&self, done: &str, changed: &Changed<Node>, args: &ChangeArgs) -> Result<Report, Failure> {
        Ok(Report { notes: self.trace(changed), text: text(&changed.value, done, args)? })
    }

    /// What is told of the request of a change.
    fn trace<T>(&self, changed: &Changed<T>) -> Vec<String> {
        let Changed { request_id, trace_id, .. } = changed;
        let trace_id = trace_id.iter().map(|trace_id| format!("trace: {trace_id}"));
        let lines = std::iter::once(format!("request: {request_id}")).chain(trace_id);
        lines.filter(|_| self.verbose).collect()
    }
}

/// What was done to a node, or the node in the format that was asked for.
fn text(node: &Node, done: &str, args: &ChangeArgs) -> Result<String, Failure> {
    match args.output {
        None => Ok(format!("{} {done}{}\n", shown_name(node), dry_run_suffix(args))),
        // Several nodes are shown one after the other: each is a document.
        Some(Format::Yaml) => yaml_document(&without_managed_fields(node.clone()), Kind::Node),
        format => node_text(&without_managed_fields(node.clone()), format),
    }
}

/// What kubectl adds to what it would have done.
fn dry_run_suffix(args: &ChangeArgs) -> &'static str {
    if args.dry_run == DryRun::Server { " (server dry run)" } else { "" }
}

/// The options that all changes have, refused where they can't be meant for so many nodes.
fn change(args: &ChangeArgs, targets: usize) -> Result<Change, Failure> {
    of_one_node(&args.request_id, &args.etag, targets)?;
    Ok(Change {
        request_id: args.request_id.clone(),
        etag: args.etag.clone(),
        validate_only: args.dry_run == DryRun::Server,
        reason: args.reason.clone(),
    })
}

/// Refuses what can't be meant for several nodes.
fn of_one_node(request_id: &Option<String>, etag: &Option<String>, targets: usize) -> Result<(), Failure> {
    for (flag, value) in [("--request-id", request_id), ("--etag", etag)] {
        if targets > 1 && value.is_some() {
            return Err(Failure::usage(format!("{flag} is for one node, these are {targets}")));
        }
    }
    Ok(())
}

/// Whether nodes are selected for a change. An empty selector, most often a variable that is not set, would mean them all.
fn is_selection(select: &SelectArgs) -> Result<bool, Failure> {
    for (flag, value) in [("--selector", &select.selector), ("--filter", &select.filter)] {
        if value.as_ref().is_some_and(|value| value.trim().is_empty()) {
            return Err(Failure::Usage {
                message: format!("{flag} is empty: it would mean every node"),
                hint: Some("if all nodes are meant, give --filter 'name = \"*\"'".to_owned()),
            });
        }
    }
    Ok(select.selector.is_some() || select.filter.is_some())
}

fn list_options(select: SelectArgs) -> ListOptions {
    let (filter, label_selector) = (select.filter.unwrap_or_default(), select.selector.unwrap_or_default());
    ListOptions { filter, label_selector, ..ListOptions::default() }
}
