//! A command that cannot outlive this process, though it knows of no leash as our own programs do (see go/leash).
//!
//! It runs in a process group of its own, beside a shell that waits for the end of a pipe whose other end we hold. Once
//! we are gone, however we went, the kernel closes that end, and the shell kills the whole group.

use std::io;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// The exit status of a shell that does not find what it should become.
pub(super) const NOT_FOUND: i32 = 127;

/// The waiting shell must not hold the pipes of the command's output open, or their readers would wait for it too.
const SCRIPT: &str = r#"
exec 3<&0
(read -r end <&3; kill -s KILL 0) >/dev/null 2>&1 &
exec "$0" "$@" 3<&- </dev/null
"#;

/// A running command. Dropping it kills it, with all that it has started.
#[derive(Debug)]
pub(super) struct Leashed {
    child: Child,
    /// Not left in the child: waiting for that closes it, and what is about to end in good order would be killed.
    leash: Option<ChildStdin>,
}

impl Leashed {
    /// A command that may be given arguments, a directory and an environment, but no pipes, before it is spawned.
    pub(super) fn command(program: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, program]);
        command
    }

    /// Runs a command that [`Leashed::command`] has made. If there is no such program, it ends with [`NOT_FOUND`].
    pub(super) fn spawn(mut command: Command) -> io::Result<Self> {
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let leash = child.stdin.take();
        Ok(Self { child, leash })
    }

    /// What the command writes. To be read while it runs, or it stops when a pipe is full.
    pub(super) fn output(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        self.child.stdout.take().zip(self.child.stderr.take())
    }

    /// Waits until the command has ended.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        // What the command has left behind ends with the shell.
        self.leash = None;
        status
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        // No id: it has been waited for.
        if let Some(group) = self.child.id().and_then(|id| Pid::from_raw(id as i32)) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::time::Duration;
    use tokio::io::AsyncReadExt;

    fn shell(script: &str) -> Leashed {
        let mut command = Leashed::command("/bin/sh");
        command.args(["-c", script]);
        Leashed::spawn(command).unwrap()
    }

    /// All that a command has started writes to one pipe: when that ends, the last of them has.
    async fn all_end(mut stdout: ChildStdout) {
        let end = tokio::time::timeout(Duration::from_secs(20), stdout.read_to_end(&mut Vec::new())).await;
        end.expect("something still runs").unwrap();
    }

    #[tokio::test]
    async fn a_command_ends_with_its_own_status_and_output() {
        let mut leashed = shell("echo out; echo err >&2; exit 7");
        let (mut stdout, mut stderr) = leashed.output().unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        tokio::try_join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut err)).unwrap();
        assert_eq!(leashed.ended().await.unwrap().code(), Some(7));
        assert_eq!((&*out, &*err), ("out\n", "err\n"));
    }

    #[tokio::test]
    async fn a_command_and_what_it_started_end_with_the_leash() {
        let mut leashed = shell("sleep 600 & sleep 600");
        let (stdout, _stderr) = leashed.output().unwrap();
        leashed.leash = None;
        assert_eq!(leashed.child.wait().await.unwrap().signal(), Some(Signal::KILL.as_raw()));
        all_end(stdout).await;
    }

    #[tokio::test]
    async fn a_dropped_command_ends_with_what_it_started() {
        let mut leashed = shell("sleep 600 & sleep 600");
        let (stdout, _stderr) = leashed.output().unwrap();
        drop(leashed);
        all_end(stdout).await;
    }

    #[tokio::test]
    async fn a_program_that_does_not_exist_is_not_found() {
        let mut leashed = Leashed::spawn(Leashed::command("no-such-program")).unwrap();
        assert_eq!(leashed.ended().await.unwrap().code(), Some(NOT_FOUND));
    }
}
