//! What the sandbox is doing, for whoever waits for it: a spinner on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a long step says where it is when there is no terminal to redraw.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// Where progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nowhere.
    Quiet,
    /// On stderr, as lines.
    Lines,
    /// On stderr, with a spinner.
    Terminal,
}

impl Progress {
    /// A spinner if stderr is a terminal, lines if it is not.
    pub fn auto() -> Self {
        if std::io::stderr().is_terminal() { Self::Terminal } else { Self::Lines }
    }

    /// Begins a step. It ends with [`Step::done`]; dropped before, it has failed and leaves nothing behind.
    pub fn step(self, what: impl Into<String>) -> Step {
        let what = what.into();
        let bar = match self {
            Self::Terminal => {
                let bar = ProgressBar::new_spinner();
                if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {msg} [{elapsed}]") {
                    bar.set_style(style);
                }
                bar.set_prefix(what.clone());
                bar.enable_steady_tick(Duration::from_millis(120));
                Some(bar)
            }
            Self::Lines => {
                say(&format!("{what} ..."));
                None
            }
            Self::Quiet => None,
        };
        let now = Instant::now();
        Step { progress: self, what, bar, begun: now, last_line: Mutex::new(now) }
    }
}

/// A step that is under way.
#[derive(Debug)]
pub struct Step {
    progress: Progress,
    what: String,
    bar: Option<ProgressBar>,
    begun: Instant,
    last_line: Mutex<Instant>,
}

impl Step {
    /// Says how far the step is. May be called as often as one likes.
    pub fn at(&self, state: impl Into<String>) {
        match (&self.bar, self.progress) {
            (Some(bar), _) => bar.set_message(state.into()),
            (None, Progress::Lines) => {
                let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
                if last.elapsed() >= LINE_EVERY {
                    *last = Instant::now();
                    say(&format!("  {} ({:.0} s)", state.into(), self.begun.elapsed().as_secs_f64()));
                }
            }
            (None, _) => {}
        }
    }

    /// Ends the step.
    pub fn done(self) {
        if self.progress == Progress::Quiet {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        say(&format!("{}: {:.1} s", self.what, self.begun.elapsed().as_secs_f64()));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writes a line to stderr. Unlike `eprintln!` it is not swallowed by a test harness, and does not panic when the
/// terminal is gone.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
