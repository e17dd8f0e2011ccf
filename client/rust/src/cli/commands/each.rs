//! Doing the same to many nodes: several at a time, told in their order.
//!
//! What was done and what is told of it are apart: that something can't be written decides nothing about the next node. What
//! was not done is always told, on the standard error and by the exit code.

use std::cell::Cell;
use std::future::ready;
use std::io;

use futures::{FutureExt, StreamExt, stream};

use crate::args::{ChangeArgs, DryRun};
use crate::commands::Session;
use crate::connection::Server;
use crate::failure::{Failure, note};
use crate::output::write;

/// How many nodes are worked on at a time.
const AT_ONCE: usize = 8;

/// What is told of a node that was changed.
#[derive(Debug, Default)]
pub struct Report {
    /// What goes to the standard error first.
    pub notes: Vec<String>,
    /// What goes to the standard output.
    pub text: String,
}

/// Where reports go.
#[derive(Debug, Default)]
pub struct Teller {
    broken: Option<io::Error>,
}

impl Teller {
    /// Tells it, if there is still somebody to tell it to.
    pub fn tell(&mut self, report: &Report) {
        report.notes.iter().for_each(|text| note(text));
        if self.broken.is_none() {
            self.broken = write(&report.text).err();
        }
    }

    /// What came of the command.
    pub fn outcome(self, result: Result<(), Failure>, server: &Server) -> Result<(), Failure> {
        let Some(error) = self.broken else { return result };
        let unshown = Failure::Unshown(error);
        let Err(failure) = result else { return Err(unshown) };
        unshown.report(None, Some(server));
        Err(failure)
    }
}

/// A change that failed, with what is to be said of it. `node`: its node, if the command is about others too.
pub fn failed(failure: Failure, args: &ChangeArgs, node: Option<&str>) -> Failure {
    match args.dry_run {
        DryRun::None => failure.of_change(node),
        // There is nothing to be done once.
        DryRun::Server => failure,
    }
}

/// What came of several parts that failed with these codes, which were reported: their code, or that they differ.
pub fn combined(codes: &[u8]) -> Result<(), Failure> {
    match codes.split_first() {
        None => Ok(()),
        Some((first, others)) => {
            Err(Failure::Reported(if others.iter().all(|code| code == first) { *first } else { 1 }))
        }
    }
}

impl Session {
    /// Changes each node. A failure is reported and the others go on, unless none of them could do better.
    pub async fn change_each(
        &self,
        targets: &[String],
        args: &ChangeArgs,
        act: impl AsyncFn(&str) -> Result<Report, Failure>,
    ) -> Result<(), Failure> {
        let mut teller = Teller::default();
        let is_one_of_many = targets.len() > 1;
        let change = async |target: &str| {
            act(target).await.map_err(|failure| failed(failure, args, Some(target).filter(|_| is_one_of_many)))
        };
        let result = self.each(targets, change, |report| teller.tell(&report)).await;
        teller.outcome(result, &self.server)
    }

    /// Does the same to each node, and hands over what came of it, in the order of the nodes.
    pub async fn each<T>(
        &self,
        targets: &[String],
        act: impl AsyncFn(&str) -> Result<T, Failure>,
        mut done: impl FnMut(T),
    ) -> Result<(), Failure> {
        if let [target] = targets {
            return act(target).await.map(done);
        }
        let (started, is_hopeless) = (Cell::new(0), Cell::new(false));
        let work = async |target| {
            started.set(started.get() + 1);
            let result = act(target).await;
            is_hopeless.set(is_hopeless.get() || result.as_ref().is_err_and(Failure::is_of_all_nodes));
            (target, result)
        };
        let mut results = stream::iter(targets)
            .take_while(|_| ready(!is_hopeless.get()))
            .map(|target| work(target).boxed_local())
            .buffered(AT_ONCE);
        let mut codes: Vec<u8> = Vec::new();
        while let Some((target, result)) = results.next().await {
            match result {
                Ok(value) => done(value),
                Err(failure) => {
                    failure.report(Some(target), Some(&self.server));
                    codes.push(failure.exit_code());
                }
            }
        }
        drop(results);
        let rest = &targets[started.get()..];
        if !rest.is_empty() {
            note(&format!("not tried: {}", rest.join(", ")));
        }
        combined(&codes)
    }
}
