//! From one written value to a value of its setting's type, or to what was expected of it.

use std::time::Duration;

use super::{
    settings::Kind,
    spelling::closest,
    tree::{Node, Place, Value},
};
use crate::catalogue::{CATALOGUE, for_autoscalers};

/// A checked value and where it was written.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Where it was written.
    pub place: Place,
    /// The value, of its setting's type.
    pub value: Typed,
}

/// A value of its setting's type.
#[derive(Clone)]
pub enum Typed {
    /// Text, secret, file, choice, form and metric.
    Text(String),
    /// Bool.
    Bool(bool),
    /// Count.
    Count(i64),
    /// Counts.
    Counts(Vec<i64>),
    /// Duration.
    Duration(Duration),
    /// List: items with their places.
    List(Vec<(Place, String)>),
}

/// The places of a list's items do not count.
impl PartialEq for Typed {
    fn eq(&self, other: &Typed) -> bool {
        match (self, other) {
            (Typed::Text(a), Typed::Text(b)) => a == b,
            (Typed::Bool(a), Typed::Bool(b)) => a == b,
            (Typed::Count(a), Typed::Count(b)) => a == b,
            (Typed::Duration(a), Typed::Duration(b)) => a == b,
            (Typed::List(a), Typed::List(b)) => {
                a.iter().map(|(_, item)| item).eq(b.iter().map(|(_, item)| item))
            }
            _ => false,
        }
    }
}

impl std::fmt::Debug for Typed {
    /// It may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// What was expected of a setting, and what was found. Never quotes a secret.
pub fn expected(kind: Kind, found: &Value) -> String {
    let expected = match kind {
        Kind::Text | Kind::Secret | Kind::File => "a string".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::Count(min, max) => format!("a whole number from {min} to {max}"),
        Kind::Counts(min, max) => format!("a whole number from {min} to {max}, or a list of them"),
        Kind::Duration(min, max) => {
            let text = humantime::format_duration;
            format!("a duration from {} to {}, as 500ms, 5s or 1m", text(min), text(max))
        }
        Kind::Choice(words) => format!("one of {}", words.join(", ")),
        Kind::List => "a list of strings".to_owned(),
        Kind::Form(form) => form.words.to_owned(),
        Kind::Metric => "a metric that autoscalers may read".to_owned(),
    };
    let mend = match (found, kind) {
        (Value::Int(_) | Value::Bool(_) | Value::Float, kind) if takes_any_text(kind) => {
            " (put it in quotes)".to_owned()
        }
        (Value::Text(text), Kind::Metric) => metric_instead_of(text),
        _ => String::new(),
    };
    let found = match (found, kind) {
        (_, Kind::Secret) => found.type_name().to_owned(),
        (Value::Text(text) | Value::Raw(text), _) => format!("{text:?}"),
        (Value::Int(number), _) => number.to_string(),
        (other, _) => other.type_name().to_owned(),
    };
    format!("expected {expected}, found {found}{mend}")
}

/// Whether a number would do if it stood in quotes.
fn takes_any_text(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Secret | Kind::File | Kind::List)
}

/// What to write in place of a metric that does not exist, or that autoscalers may not read.
fn metric_instead_of(text: &str) -> String {
    let exists = CATALOGUE.iter().any(|metric| metric.name == text);
    match closest(text, names_for_autoscalers()).filter(|_| !exists) {
        Some(meant) => format!("; did you mean {meant:?}?"),
        None => format!("; choose one of {}", names_for_autoscalers().collect::<Vec<_>>().join(", ")),
    }
}

/// The metrics that autoscalers may read.
pub fn names_for_autoscalers() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|metric| metric.name).filter(|name| for_autoscalers(name).is_some())
}

/// A written value as one of a setting of this kind; `None` where it is none.
pub fn typed(kind: Kind, node: &Node) -> Option<Typed> {
    match (kind, &node.value) {
        (Kind::Text | Kind::Secret | Kind::File, Value::Text(text) | Value::Raw(text)) => {
            Some(Typed::Text(text.clone()))
        }
        (Kind::Choice(words), Value::Text(text) | Value::Raw(text)) => {
            words.contains(&text.as_str()).then(|| Typed::Text(text.clone()))
        }
        (Kind::Form(form), Value::Text(text) | Value::Raw(text)) => {
            form.fits(text).then(|| Typed::Text(text.clone()))
        }
        (Kind::Metric, Value::Text(text) | Value::Raw(text)) => {
            for_autoscalers(text).map(|metric| Typed::Text(metric.name.to_owned()))
        }
        (Kind::Bool, Value::Bool(value)) => Some(Typed::Bool(*value)),
        (Kind::Bool, Value::Raw(text)) => text.parse().ok().map(Typed::Bool),
        (Kind::Count(min, max), Value::Int(value)) => {
            (min..=max).contains(value).then_some(Typed::Count(*value))
        }
        (Kind::Count(min, max), Value::Raw(text)) => {
            text.parse().ok().filter(|value| (min..=max).contains(value)).map(Typed::Count)
        }
        (Kind::Counts(min, max), Value::List(items)) if !items.is_empty() => {
            let one = |item| match typed(Kind::Count(min, max), item)? {
                Typed::Count(count) => Some(count),
                _ => None,
            };
            items.iter().map(one).collect::<Option<_>>().map(Typed::Counts)
        }
        (Kind::Counts(min, max), Value::Int(value)) => {
            (min..=max).contains(value).then(|| Typed::Counts(vec![*value]))
        }
        (Kind::Counts(min, max), Value::Raw(text)) => {
            let one = |text: &str| text.trim().parse().ok().filter(|value| (min..=max).contains(value));
            text.split(',').map(one).collect::<Option<_>>().map(Typed::Counts)
        }
        (Kind::Duration(min, max), Value::Text(text) | Value::Raw(text)) => humantime::parse_duration(text)
            .ok()
            .filter(|value| (min..=max).contains(value))
            .map(Typed::Duration),
        (Kind::List, Value::Raw(text)) => {
            let items = text.split(',').map(|item| (node.place.clone(), item.trim().to_owned()));
            Some(Typed::List(items.collect()))
        }
        (Kind::List, Value::Text(text)) => Some(Typed::List(vec![(node.place.clone(), text.clone())])),
        _ => None,
    }
}
