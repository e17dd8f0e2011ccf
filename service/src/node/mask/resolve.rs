//! From the text of a path to the steps that lead there, and what to send instead of a path that leads nowhere.

use super::keep::Step;
use super::path::{self, Segment, join_field, join_key};
use super::schema::{Message, Shape, root};
use crate::node::syntax::shown;

/// The longest path. Enough for the longest key that Kubernetes allows in the deepest map.
pub(in crate::node) const MAX_BYTES: usize = 512;

/// The steps from a node to what the path names.
///
/// # Errors
/// What is wrong with the path, and the fields that exist where it goes astray.
pub(super) fn resolve(text: &str) -> Result<Vec<Step>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("{} is too long: a path has at most {MAX_BYTES} bytes", shown(text)));
    }
    let segments = path::parse(text)?;
    let mut walk = Walk { steps: Vec::new(), at: String::new(), here: Place::Message(root()) };
    for segment in &segments {
        walk.step(segment).map_err(|problem| format!("{} is not a field: {problem}", shown(text)))?;
    }
    // All elements of a list, or entries of a map, are the list or the map.
    while matches!(walk.steps.last(), Some(Step::Elements | Step::Entries)) {
        walk.steps.pop();
    }
    Ok(walk.steps)
}

/// Where a path has come to.
#[derive(Clone, Copy)]
enum Place {
    Message(&'static Message),
    List(Option<&'static Message>),
    Map(Option<&'static Message>),
    Scalar,
}

impl Place {
    fn of(shape: Shape) -> Self {
        match shape {
            Shape::Scalar => Self::Scalar,
            Shape::Message(place) => Self::Message(Shape::message(place)),
            Shape::List(_) => Self::List(shape.part()),
            Shape::Map(_) => Self::Map(shape.part()),
        }
    }

    fn of_part(part: Option<&'static Message>) -> Self {
        part.map_or(Self::Scalar, Self::Message)
    }
}

struct Walk {
    steps: Vec<Step>,
    /// The path so far, in its canonical spelling.
    at: String,
    here: Place,
}

impl Walk {
    fn step(&mut self, segment: &Segment) -> Result<(), String> {
        match (self.here, segment) {
            (Place::Message(message), Segment::Name(name)) => self.enter_field(message, name),
            (Place::Message(message), _) => Err(self.fields_of(message)),
            (Place::List(part), Segment::Every) => {
                self.advance(Step::Elements, format!("{}.*", self.at), Place::of_part(part));
                Ok(())
            }
            (Place::List(part), _) => Err(self.elements_of(part)),
            (Place::Map(part), segment) => {
                let (step, at) = match segment.key() {
                    Some(key) => (Step::Entry(key.to_owned()), join_key(&self.at, key)),
                    None => (Step::Entries, format!("{}.*", self.at)),
                };
                self.advance(step, at, Place::of_part(part));
                Ok(())
            }
            (Place::Scalar, _) => Err(format!("{} has no fields, name it whole", shown(&self.at))),
        }
    }

    fn enter_field(&mut self, message: &'static Message, name: &str) -> Result<(), String> {
        let field = message.field_named(name).ok_or_else(|| self.fields_of(message))?;
        self.advance(Step::Field(field.number), join_field(&self.at, &field.name), Place::of(field.shape));
        Ok(())
    }

    fn advance(&mut self, step: Step, at: String, here: Place) {
        self.steps.push(step);
        self.at = at;
        self.here = here;
    }

    fn fields_of(&self, message: &Message) -> String {
        let names = message.field_names().collect::<Vec<_>>().join(", ");
        if self.at.is_empty() {
            format!("a node has the fields {names}")
        } else {
            format!("{} has the fields {names}", shown(&self.at))
        }
    }

    fn elements_of(&self, part: Option<&Message>) -> String {
        let example = part.and_then(|message| message.field_names().next());
        match example {
            Some(name) => format!(
                "{} is a list, name it whole or a field of all its elements, as in `{}.*.{name}`",
                shown(&self.at),
                self.at
            ),
            None => format!("{} is a list, name it whole", shown(&self.at)),
        }
    }
}
