//! `label` and `annotate`.

use std::collections::BTreeMap;

use nodeward_client::api::{Node, ObjectMeta};
use nodeward_client::path;

use crate::args::PairsArgs;
use crate::commands::decide::{Outcome, Update};
use crate::commands::{Session, change as change_of, show_node};
use crate::failure::{Failure, note};
use crate::pairs::{Pairs, Step, is_pair, split};

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
    session
        .each(&targets, async |name| {
            let decide = |node: &Node| field.decide(name, node, &pairs, args.overwrite);
            // To overwrite is to want the value whatever is there.
            let outcome = session.update_by(name, &change, !args.overwrite, decide).await?;
            match outcome {
                Outcome::Changed(changed) => session.show(field.done(&pairs), &changed, &args.change),
                Outcome::Same(node) => show_node(&node, &format!("not {}", field.done(&pairs)), &args.change),
            }
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

    fn decide(self, name: &str, node: &Node, pairs: &Pairs, overwrite: bool) -> Result<Option<Update>, Failure> {
        let none = BTreeMap::new();
        let present = node.metadata.as_ref().map_or(&none, |metadata| match self {
            Self::Labels => &metadata.labels,
            Self::Annotations => &metadata.annotations,
        });
        let step = pairs.decide(present, overwrite).map_err(|taken| self.refusal(name, &taken))?;
        for key in &step.absent {
            note(&format!("{} {key:?} not found on node/{name}", self.noun()));
        }
        Ok((!step.is_empty()).then(|| self.update(step)))
    }

    fn update(self, step: Step) -> Update {
        let Step { set, remove, absent: _ } = step;
        let path = match self {
            Self::Labels => path::label,
            Self::Annotations => path::annotation,
        };
        let update_mask = set.keys().chain(&remove).map(|key| path(key)).collect();
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
