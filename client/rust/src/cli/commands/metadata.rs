//! `label` and `annotate`.

use std::collections::BTreeMap;

use nodeward_client::api::{Node, ObjectMeta};
use nodeward_client::path;

use crate::args::PairsArgs;
use crate::commands::decide::{Decision, Update};
use crate::commands::{Session, change as change_of};
use crate::failure::Failure;
use crate::pairs::{Pairs, is_pair, split};

/// Which of the two maps is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Labels,
    Annotations,
}

/// Sets and removes labels or annotations.
pub async fn change(session: &Session, args: PairsArgs, field: Field) -> Result<(), Failure> {
    let (names, pairs) = split(&args.arguments, field.noun(), is_pair)?;
    let pairs = Pairs::parse(&pairs)?;
    let targets = session.targets(&names, &args.select).await?;
    let change = change_of(&args.change, targets.len())?;
    let (update, done) = (field.update(&pairs), field.done(&pairs));
    session
        .change_each(&targets, &args.change, async |name| {
            let decide = |node: &Node| field.decide(name, node, &pairs, args.overwrite);
            // To overwrite is to want the value whatever is there.
            let outcome = session.update_by(name, &update, &change, !args.overwrite, decide).await?;
            session.report_outcome(outcome, done, &format!("not {done}"), &args.change)
        })
        .await
}

impl Field {
    fn noun(self) -> &'static str {
        match self {
            Self::Labels => "label",
            Self::Annotations => "annotation",
        }
    }

    /// What kubectl says was done.
    fn done(self, pairs: &Pairs) -> &'static str {
        match (self, pairs.set.is_empty()) {
            (Self::Labels, false) => "labeled",
            (Self::Labels, true) => "unlabeled",
            (Self::Annotations, _) => "annotated",
        }
    }

    fn decide(self, name: &str, node: &Node, pairs: &Pairs, overwrite: bool) -> Result<Decision, Failure> {
        let none = BTreeMap::new();
        let present = node.metadata.as_ref().map_or(&none, |metadata| match self {
            Self::Labels => &metadata.labels,
            Self::Annotations => &metadata.annotations,
        });
        let step = pairs.decide(present, overwrite).map_err(|taken| self.refusal(name, &taken))?;
        let note = |key: &String| format!("{} {key:?} not found on node/{name}", self.noun());
        Ok(Decision { is_needed: step.is_needed, notes: step.absent.iter().map(note).collect() })
    }

    fn update(self, pairs: &Pairs) -> Update {
        let path = match self {
            Self::Labels => path::label,
            Self::Annotations => path::annotation,
        };
        let update_mask = pairs.set.keys().chain(&pairs.remove).map(|key| path(key)).collect();
        let set = pairs.set.clone();
        let metadata = match self {
            Self::Labels => ObjectMeta { labels: set, ..ObjectMeta::default() },
            Self::Annotations => ObjectMeta { annotations: set, ..ObjectMeta::default() },
        };
        Update { node: Node { metadata: Some(metadata), ..Node::default() }, update_mask }
    }

    fn refusal(self, name: &str, taken: &[(String, String)]) -> Failure {
        let values: Vec<String> = taken.iter().map(|(key, value)| format!("{key}={value}")).collect();
        Failure::Refused {
            message: format!("node/{name} has another value of the {} already: {}", self.noun(), values.join(", ")),
            hint: "give --overwrite to change it".to_owned(),
        }
    }
}
