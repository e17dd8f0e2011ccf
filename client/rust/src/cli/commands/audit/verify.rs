//! `audit verify`: whether the files of a log are what was written, without a server.

use std::path::Path;

use nodeward_audit_log::{Expected, PublicKey, Verifier};

use crate::args::AuditVerifyArgs;
use crate::exit_code::NOT_INTACT;
use crate::failure::Failure;
use crate::input;
use crate::output::{print, printable};

/// Verifies a log, and shows what was found.
pub fn verify(args: AuditVerifyArgs) -> Result<(), Failure> {
    let verifier = match &args.public_key {
        Some(key) => Verifier::new(public_key(key)?),
        None => Verifier::trusting_the_log(),
    };
    let mut expected: Vec<Expected> = args.expect.into_iter().map(Expected::Position).collect();
    for path in &args.checkpoints {
        let kept = Expected::parse_lines(&input::read(path)?);
        expected.extend(kept.map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?);
    }
    let report = verifier.expect(expected).verify(&args.dir).map_err(|fault| Failure::Input(fault.to_string()))?;
    match args.output {
        Some(_) => {
            let json = serde_json::to_string_pretty(&report);
            print(&format!("{}\n", json.map_err(|error| Failure::Output(error.into()))?))?;
        }
        None => print(&printable(&report.to_string()))?,
    }
    if report.is_intact() { Ok(()) } else { Err(Failure::Reported(NOT_INTACT)) }
}

/// The key as it is given, or in this file.
fn public_key(text: &str) -> Result<PublicKey, Failure> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let path = Path::new(text);
    input::read(path)?.parse().map_err(|error| Failure::Input(format!("{}: {error}", path.display())))
}
