//! Following operations until they have ended: on a terminal in place, and else line by line. Whoever interrupts it leaves the
//! operations as they are.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use futures::future::ready;
use futures::stream::{self, StreamExt, select_all};
use nodeward_client::api::OperationEvent;
use nodeward_client::longrunning::Operation;
use nodeward_client::{Error, OperationEventKind, OperationEventsOptions};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::ended::ended;
use crate::args::FollowFormat;
use crate::commands::Session;
use crate::commands::each::{Report, Teller, combined};
use crate::drain::{Terminal, Tracked, screen};
use crate::exit_code;
use crate::failure::{Failure, note, warn};
use crate::output::{Kind, message_value};

/// How long an operation may take to be stored as ended when its last event says so.
const STORED_WITHIN: Duration = Duration::from_secs(30);

/// Follows operations until all have ended. All failures are reported as they come.
pub async fn follow(session: &Session, operations: &[Operation], format: FollowFormat) -> Result<(), Failure> {
    let mut view = View::new(operations, format);
    let result = view.follow(session).await;
    view.leave();
    let result = match result {
        Ok(Left::AllEnded) => view.end(session).await,
        Ok(Left::Interrupted) => {
            view.tell_what_goes_on();
            Err(Failure::Reported(exit_code::DETACHED))
        }
        Err(failure) => Err(failure),
    };
    view.teller.outcome(result, &session.server)
}

/// Why it is over.
enum Left {
    AllEnded,
    Interrupted,
}

/// What is shown.
struct View {
    drains: Vec<Tracked>,
    format: FollowFormat,
    terminal: Option<Terminal>,
    teller: Teller,
    is_outage_told: bool,
    /// Those that could not be followed to their end, and the exit code of why.
    lost: BTreeMap<usize, u8>,
}

impl View {
    fn new(operations: &[Operation], format: FollowFormat) -> Self {
        let terminal = if format == FollowFormat::Text { Terminal::of_stdout() } else { None };
        let drains = operations.iter().map(Tracked::new).collect();
        Self { drains, format, terminal, teller: Teller::default(), is_outage_told: false, lost: BTreeMap::new() }
    }

    /// Shows what happens until all streams have ended, or somebody interrupts it.
    async fn follow(&mut self, session: &Session) -> Result<Left, Failure> {
        let options = OperationEventsOptions { after_sequence: 0, begin_within: session.timeout.0 };
        let streams = self.drains.iter().enumerate().map(|(index, drain)| {
            let events = session.client.operation_events(&drain.operation, options.clone());
            events.map(move |event| (index, event)).boxed()
        });
        let mut events = select_all(streams.collect::<Vec<_>>()).map(Some).chain(stream::once(ready(None)));
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut interrupt = pin!(tokio::signal::ctrl_c());
        loop {
            tokio::select! {
                event = events.next() => match event.flatten() {
                    Some((index, Ok(event))) => self.take(index, event)?,
                    Some((index, Err(error))) => self.lose(session, index, error),
                    None => return Ok(Left::AllEnded),
                },
                _ = seconds.tick() => self.draw(),
                // If there is no way to hear of it, nobody is interrupted.
                Ok(()) = &mut interrupt => return Ok(Left::Interrupted),
            }
        }
    }

    fn take(&mut self, index: usize, event: OperationEventKind) -> Result<(), Failure> {
        match event {
            OperationEventKind::Event(event) => {
                if std::mem::take(&mut self.is_outage_told) {
                    self.aside(|| warn("it goes on"));
                }
                self.show(index, *event)
            }
            OperationEventKind::Interrupted { error, .. } => {
                if !std::mem::replace(&mut self.is_outage_told, true) {
                    self.aside(|| warn(&format!("{error}; trying again")));
                }
                Ok(())
            }
        }
    }

    fn show(&mut self, index: usize, event: OperationEvent) -> Result<(), Failure> {
        let Some(drain) = self.drains.get_mut(index) else { return Ok(()) };
        let text = match self.format {
            FollowFormat::Json => {
                let value = message_value(&event, Kind::OperationEvent)?;
                drain.take(event);
                json_of(drain, "event", value)
            }
            FollowFormat::Text => drain.take(event).iter().map(|line| format!("{line}\n")).collect(),
        };
        match self.terminal {
            Some(_) => self.draw(),
            None => self.teller.tell(&Report { notes: Vec::new(), text }),
        }
        Ok(())
    }

    /// An operation that can't be followed any more.
    fn lose(&mut self, session: &Session, index: usize, error: Error) {
        let failure = Failure::from(error);
        let node = self.drains.get(index).map(|drain| drain.node.as_str()).filter(|_| self.drains.len() > 1);
        self.aside(|| failure.report(node, Some(&session.server)));
        self.lost.insert(index, failure.exit_code());
    }

    /// Tells what came of those that have ended.
    async fn end(&mut self, session: &Session) -> Result<(), Failure> {
        let mut codes: Vec<u8> = self.lost.values().copied().collect();
        for (_, drain) in self.drains.iter().enumerate().filter(|(index, _)| !self.lost.contains_key(index)) {
            codes.extend(self.teller.of_end(session, drain, self.format).await);
        }
        combined(&codes)
    }

    fn draw(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.show(&screen(&self.drains, SystemTime::now()));
        }
    }

    /// What is written to the terminal beside what is drawn there.
    fn aside(&self, work: impl FnOnce()) {
        match &self.terminal {
            Some(terminal) => terminal.aside(work),
            None => work(),
        }
    }

    fn leave(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.leave(&screen(&self.drains, SystemTime::now()));
        }
    }

    /// Whoever followed goes away, and the operations go on.
    fn tell_what_goes_on(&self) {
        for Tracked { node, operation, .. } in self.drains.iter().filter(|drain| !drain.is_over()) {
            note(&format!("The drain of node/{node} goes on"));
            note(&format!("  to follow it: nodeward operations watch {operation}"));
            note(&format!("  to end it:    nodeward operations cancel {operation}"));
        }
    }
}

impl Teller {
    /// Tells what came of an operation, and its exit code if that is no success.
    async fn of_end(&mut self, session: &Session, drain: &Tracked, format: FollowFormat) -> Option<u8> {
        let result = match session.client.wait_operation(&drain.operation, Some(STORED_WITHIN)).await {
            Ok(operation) => {
                if format == FollowFormat::Json
                    && let Ok(value) = message_value(&operation, Kind::Operation)
                {
                    self.tell(&Report { notes: Vec::new(), text: json_of(drain, "result", value) });
                }
                ended(&operation, format == FollowFormat::Text && drain.has_told_what_is_left())
            }
            Err(error) => Err(error.into()),
        };
        let failure = result.err()?;
        failure.report(Some(&drain.node), Some(&session.server));
        Some(failure.exit_code())
    }
}

/// A line of JSON about an operation.
fn json_of(drain: &Tracked, key: &str, value: serde_json::Value) -> String {
    format!("{}\n", json!({"operation": drain.operation, "node": format!("nodes/{}", drain.node), key: value}))
}
