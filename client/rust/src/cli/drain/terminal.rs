//! The terminal on which drains are shown, in place.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::write;

/// How often it is drawn at most, in a second.
const HZ: u8 = 10;

/// Lines that are drawn over those before.
#[derive(Debug)]
pub struct Terminal {
    lines: ProgressBar,
}

impl Terminal {
    /// The standard output, if it is a terminal.
    pub fn of_stdout() -> Option<Self> {
        if !std::io::stdout().is_terminal() {
            return None;
        }
        let lines = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout_with_hz(HZ));
        lines.set_style(ProgressStyle::with_template("{msg}").ok()?);
        Some(Self { lines })
    }

    /// Shows these lines instead of those before.
    pub fn show(&self, lines: &[String]) {
        self.lines.set_message(lines.join("\n"));
    }

    /// Does something that writes to the terminal, too.
    pub fn aside(&self, work: impl FnOnce()) {
        self.lines.suspend(work);
    }

    /// Leaves these lines there: what is written from now on comes below.
    pub fn leave(&self, lines: &[String]) {
        self.lines.abandon_with_message(lines.join("\n"));
        // The last line has no end. There is nowhere to tell that the terminal is gone.
        let _ = write("\n");
    }
}
