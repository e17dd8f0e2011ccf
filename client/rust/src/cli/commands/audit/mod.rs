//! `audit`: who changed what, when, why, and with which result.

mod calls;
mod follow;
mod list;
mod others;
mod table;
mod verify;

use crate::args::AuditCommand;
use crate::commands::Session;
use crate::failure::Failure;

pub use verify::verify;

/// Carries out one of the commands that ask a server.
pub async fn run(session: &Session, command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::List(args) => list::list(session, args).await,
        AuditCommand::Follow(args) => follow::follow(session, args).await,
        // It needs no server.
        AuditCommand::Verify(args) => verify(args),
    }
}
