//! The run: the ground, the measures one after the other, the report.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::args::Args;
use crate::ground::{Ground, SERVER_FLAGS};
use crate::machine;
use crate::measure::{self, Measure};
use crate::report::{Finding, json, table};

/// Runs as the command line says. It fails if a limit is broken or a measure could not be taken; if it was to be quick, only in
/// the second case, since so little measured says nothing.
pub fn from_the_command_line() -> ExitCode {
    let args = Args::parse();
    let run = || tokio::runtime::Runtime::new()?.block_on(run(&args));
    match run() {
        Ok(findings) if is_good(&findings, args.quick) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_good(findings: &[Finding], quick: bool) -> bool {
    findings.iter().all(|finding| finding.failure.is_none() && (quick || finding.pass() != Some(false)))
}

async fn run(args: &Args) -> Result<Vec<Finding>> {
    let measures = measure::chosen(&args.only);
    anyhow::ensure!(!measures.is_empty(), "there is no such measure; --help lists them");
    let plan = args.plan();
    let machine = machine::describe();
    let mut ground = Ground::start(plan).await?;
    let findings = take(&measures, &mut ground).await;
    ground.stop().await?;

    println!(
        "{} pairs of blocks of {} s, {} nodes; servers: {}\n",
        plan.pairs,
        plan.seconds,
        plan.nodes,
        SERVER_FLAGS.join(" ")
    );
    machine.iter().for_each(|(name, value)| println!("- {name}: {value}"));
    println!("\n{}", table::render(&findings));
    if let Some(path) = &args.json {
        json::write(path, &findings)?;
    }
    if let Some(dir) = &args.plots {
        findings.iter().filter_map(|finding| finding.plot.as_ref()).try_for_each(|plot| plot.write(dir))?;
    }
    Ok(findings)
}

async fn take(measures: &[&Measure], ground: &mut Ground) -> Vec<Finding> {
    let mut findings = Vec::new();
    for measure in measures {
        eprintln!("{}: {}", measure.name, measure.about);
        let found = (measure.run)(ground).await;
        findings.extend(found.unwrap_or_else(|error| vec![Finding::failed(measure.name, &error)]));
    }
    findings
}
