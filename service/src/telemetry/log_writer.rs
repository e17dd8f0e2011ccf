//! Writes the log in a thread of its own: whoever logs does not wait for whoever reads. If that one is too slow, lines are
//! left out and counted.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use opentelemetry::metrics::Meter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

use super::names;

/// How many lines may wait to be written.
const WAITING: usize = 16_384;

/// The thread. What waits is written before it is dropped, unless nobody reads for a second.
pub(super) struct LogWriter {
    _guard: WorkerGuard,
    lost: ErrorCounter,
}

impl LogWriter {
    /// A thread that writes to this, and what to give it the lines by.
    pub fn new(to: impl Write + Send + 'static) -> (Self, NonBlocking) {
        let builder = NonBlockingBuilder::default().buffered_lines_limit(WAITING).lossy(true).thread_name("log");
        let (writer, guard) = builder.finish(to);
        (Self { _guard: guard, lost: writer.error_counter() }, writer)
    }

    /// Lets this meter tell how many lines were left out.
    pub fn count_lost(&self, meter: &Meter) {
        let lost = Arc::new(self.lost.clone());
        let counter = meter.u64_observable_counter(names::LOG_LINES_LOST).with_unit("{line}");
        counter
            .with_description("Lines of the log that were left out because its reader was too slow")
            .with_callback(move |observer| observer.observe(lost.dropped_lines() as u64, &[]))
            .build();
    }
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc;

    use super::*;

    /// Nobody reads, until they are told to.
    struct Slow(mpsc::Receiver<()>, mpsc::Sender<usize>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whoever_logs_does_not_wait_for_a_slow_reader_and_what_is_left_out_is_counted() {
        let (read, is_read) = mpsc::channel();
        let (written, lengths) = mpsc::channel();
        let (log, mut writer) = LogWriter::new(Slow(is_read, written));
        for _ in 0..2 * WAITING {
            writer.write_all(b"line").unwrap();
        }
        assert!(log.lost.dropped_lines() >= WAITING - 1, "{}", log.lost.dropped_lines());
        drop(read);
        drop(log);
        assert!(lengths.iter().count() > 0, "what waits is written at the end");
    }
}
