//! `create`.

use std::collections::BTreeMap;

use crate::args::CreateArgs;
use crate::commands::each::Report;
use crate::commands::{Session, change};
use crate::failure::{Failure, warn};
use crate::input;
use crate::manifest::{self, Manifest};

/// Creates the nodes of all files. Nothing is created if one of them can't be used.
pub async fn create(session: &Session, args: CreateArgs) -> Result<(), Failure> {
    let mut manifests: BTreeMap<String, Manifest> = BTreeMap::new();
    let mut names: Vec<String> = Vec::new();
    for path in &args.files {
        let source = path.display().to_string();
        for document in input::documents(&input::read(path)?, &source)? {
            for manifest in manifest::nodes(document, &source)? {
                names.push(manifest.name.clone());
                if let Some(twice) = manifests.insert(manifest.name.clone(), manifest) {
                    return Err(Failure::Input(format!("{source}: the node {:?} is there twice", twice.name)));
                }
            }
        }
    }
    if names.is_empty() {
        return Err(Failure::Input("the files hold no nodes".to_owned()));
    }
    if args.change.etag.is_some() {
        return Err(Failure::usage("--etag is for nodes that exist"));
    }
    let change = change(&args.change, names.len())?;
    for Manifest { name, ignored, .. } in manifests.values().filter(|manifest| !manifest.ignored.is_empty()) {
        warn(&format!("node/{name}: not taken over: {}", ignored.join(", ")));
    }
    session
        .change_each(&names, &args.change, async |name| {
            let Some(Manifest { node, .. }) = manifests.get(name).cloned() else { return Ok(Report::default()) };
            let changed = session.client.create(name, node, change.clone()).await?;
            session.report("created", &changed, &args.change)
        })
        .await
}
