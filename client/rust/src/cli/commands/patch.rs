//! `patch`.

use nodeward_client::Patch;
use nodeward_client::api::patch_node_request::{PatchType, Subresource};

use crate::args::{PatchArgs, PatchKind};
use crate::commands::{Session, change};
use crate::failure::Failure;
use crate::input;

/// The field manager of an apply patch, which must have one.
const FIELD_MANAGER: &str = "nodeward-cli";

/// Applies a patch to each of the nodes.
pub async fn patch(session: &Session, args: PatchArgs) -> Result<(), Failure> {
    let patch = read(&args)?;
    let targets = session.targets(&args.names, &args.select).await?;
    let change = change(&args.change, targets.len())?;
    session
        .change_each(&targets, &args.change, async |name| {
            let changed = session.client.patch(name, patch.clone(), change.clone()).await?;
            let done = if args.kind == PatchKind::Apply { "serverside-applied" } else { "patched" };
            session.report(done, &changed, &args.change)
        })
        .await
}

fn read(args: &PatchArgs) -> Result<Patch, Failure> {
    if args.force && args.kind != PatchKind::Apply {
        return Err(Failure::usage("--force is for --type apply"));
    }
    let (text, source) = match (&args.patch, &args.patch_file) {
        (Some(text), _) => (text.clone(), "the patch".to_owned()),
        (None, Some(path)) => (input::read(path)?, path.display().to_string()),
        (None, None) => return Err(Failure::usage("give --patch or --patch-file")),
    };
    let mut documents = input::documents(&text, &source)?;
    let (Some(document), true) = (documents.pop(), documents.is_empty()) else {
        return Err(Failure::Input(format!("{source} must hold one document")));
    };
    let default_manager = if args.kind == PatchKind::Apply { FIELD_MANAGER } else { "" };
    Ok(Patch {
        format: match args.kind {
            PatchKind::Json => PatchType::Json,
            PatchKind::Merge => PatchType::Merge,
            PatchKind::Strategic => PatchType::StrategicMerge,
            PatchKind::Apply => PatchType::Apply,
        },
        json: document.to_string(),
        subresource: if args.subresource.is_some() { Subresource::Status } else { Subresource::Unspecified },
        field_manager: args.field_manager.clone().unwrap_or_else(|| default_manager.to_owned()),
        force: args.force,
    })
}
