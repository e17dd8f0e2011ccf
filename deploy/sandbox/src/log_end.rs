//! The end of a component's log: what to show of it, and what it tells about why the component died.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// How much of a log is looked at: a Go program that panics ends with the stacks of all that it was doing.
const BYTES: u64 = 256 * 1024;

/// How much of it is shown.
const LINES: usize = 12;
const LINE_LENGTH: usize = 400;

/// Causes that have left their words in a log, and what can be done about each.
const CAUSES: [(&str, &str); 5] = [
    ("no space left on device", "the disk is full: free some space and start again."),
    ("address already in use", "another program took its port: start again, another port will be chosen."),
    ("out of memory", "the machine is out of memory: a sandbox needs about 1 GB, and 2 GB with 5,000 nodes."),
    ("cannot allocate memory", "the machine is out of memory: a sandbox needs about 1 GB, and 2 GB with 5,000 nodes."),
    ("too many open files", "raise the limit of open files (ulimit -n 4096) and start again."),
];

/// The end of a log.
#[derive(Debug)]
pub(crate) struct LogEnd(String);

impl LogEnd {
    /// Reads it. A log that cannot be read says so in place of its text: it is wanted for a message about worse.
    pub(crate) fn read(path: &Path) -> Self {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        Self(read().unwrap_or_else(|e| format!("(the log cannot be read: {e})")))
    }

    /// The last lines, without the stacks that follow a panic.
    pub(crate) fn shown(&self) -> String {
        let mut lines: Vec<&str> = self.0.lines().filter(|line| !line.trim().is_empty()).collect();
        let panics = lines.iter().rposition(|line| line.starts_with("panic:") || line.starts_with("fatal error:"));
        if let Some(position) = panics {
            lines.truncate(position + 1);
        }
        if lines.is_empty() {
            return "  (nothing was logged)".into();
        }
        let last = &lines[lines.len().saturating_sub(LINES)..];
        last.iter().map(|line| format!("  {}", shortened(line))).collect::<Vec<_>>().join("\n")
    }

    /// What the reader can do about it.
    pub(crate) fn advice(&self) -> &'static str {
        let known = CAUSES.iter().find(|(words, _)| self.shown().contains(words));
        known.map_or(
            "start again, in an empty directory if its data was kept; if it dies again, the log says why.",
            |(_, advice)| advice,
        )
    }
}

fn shortened(line: &str) -> String {
    let mut characters = line.chars();
    let start: String = characters.by_ref().take(LINE_LENGTH).collect();
    if characters.next().is_some() { format!("{start}...") } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_shown() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let text: String = (0..5000).map(|n| format!("line {n}\n")).collect();
        std::fs::write(&log, text).unwrap();
        let shown = LogEnd::read(&log).shown();
        assert_eq!(shown.lines().count(), LINES);
        assert!(shown.ends_with("line 4999"), "{shown}");
    }

    #[test]
    fn the_stacks_after_a_panic_are_not_shown() {
        let stacks = "\ngoroutine 1 [running]:\nmain.main()\n".repeat(50);
        let shown = LogEnd(format!("starting\npanic: failed to create WAL\n{stacks}")).shown();
        assert_eq!(shown, "  starting\n  panic: failed to create WAL");
    }

    #[test]
    fn a_full_disk_is_recognised_and_long_lines_are_shortened() {
        let end = LogEnd(format!("cannot write: no space left on device {}", "x".repeat(5000)));
        assert!(end.advice().contains("free some space"), "{}", end.advice());
        assert!(end.shown().len() < 500);
    }

    #[test]
    fn a_log_that_is_absent_does_not_hide_the_death() {
        assert!(LogEnd::read(Path::new("/nonexistent/log")).shown().contains("cannot be read"));
    }
}
