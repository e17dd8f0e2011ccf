//! `config`: what the configuration says, and which context is the current one.

mod current;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use nodeward_client::{Config, Error};

use crate::args::ConfigCommand;
use crate::failure::{Failure, note, warn};
use crate::output::{print, printable};

/// Variables that come before the current context.
const STRONGER: [&str; 2] = ["NODEWARD_ENDPOINT", "NODEWARD_CONFIG_CONTEXT"];

/// Carries one of the commands out. None of them talks to a server.
pub fn run(command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::View => view(),
        ConfigCommand::Contexts => contexts(),
        ConfigCommand::UseContext { name } => use_context(&name),
    }
}

fn view() -> Result<(), Failure> {
    let text = serde_saphyr::to_string(&load()?);
    print(&printable(&text.map_err(|error| Failure::Input(format!("can't write it as YAML: {error}")))?))
}

fn contexts() -> Result<(), Failure> {
    let config = load()?;
    if config.contexts().is_empty() {
        note("No contexts found");
        return Ok(());
    }
    print(&printable(&table(&config)))
}

fn use_context(name: &str) -> Result<(), Failure> {
    let config = load()?;
    config.context(name).map_err(Failure::of_usage)?;
    let path = config.path().ok_or_else(|| Failure::Input("there is no home to have a configuration in".to_owned()))?;
    current::set(path, name)?;
    for variable in STRONGER.iter().filter(|variable| std::env::var_os(variable).is_some()) {
        warn(&format!("{variable} is set, and comes before the current context"));
    }
    print(&format!("{} is the current context\n", printable(name)))
}

fn load() -> Result<Config, Failure> {
    Config::load().map_err(|error: Error| Failure::Input(error.message().to_owned()))
}

fn table(config: &Config) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["CURRENT", "NAME", "ENDPOINT", "FILE"]);
    for (name, context) in config.contexts() {
        let star = if config.current_name() == Some(name) { "*" } else { "" };
        table.add_row([star, name, &context.endpoint, &context.file().display().to_string()]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    format!("{}\n", table.trim_fmt())
}
