//! Settings as they were written, each with the place where it stands: the common form of file, flags and variables.

use std::{fmt, path::Path};

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, ScanError, YamlData};

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file: name, line and column, both from 1.
    File(String, usize, usize),
    /// By a flag, or by a variable of our own.
    Given(String),
    /// By a variable that other tools use for the same.
    Fallback(&'static str),
    /// Nowhere.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(file, line, column) => write!(f, "{file}:{line}:{column}"),
            Place::Given(name) => f.write_str(name),
            Place::Fallback(name) => f.write_str(name),
            Place::Default => f.write_str("default"),
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it was written.
    pub place: Place,
    /// What was written.
    pub value: Value,
}

/// What was written. Has no `Debug` output of its own content: it may be a secret.
#[derive(Clone)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction: no setting takes one.
    Float,
    /// A string of the file.
    Text(String),
    /// A string of a flag or a variable: it stands for any type.
    Raw(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping and its place.
#[derive(Clone, Debug)]
pub struct Key {
    /// Where it was written.
    pub place: Place,
    /// Its text; of a number, how it would be written plainly.
    pub text: String,
    /// Whether it is a string: `1` is not, `"1"` is.
    pub is_string: bool,
}

impl Node {
    /// What stands at a path of keys joined by dots.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Node> {
        let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
        let Value::Map(pairs) = &self.value else { return None };
        let (_, node) = pairs.iter().find(|(name, _)| name.text == key)?;
        rest.map_or(Some(node), |rest| node.at(rest))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name())
    }
}

impl Value {
    /// The type in words, for error messages.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) => "a whole number",
            Value::Float => "a number with a fraction",
            Value::Text(_) | Value::Raw(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Reads a YAML file: one document, whose root is a mapping or empty.
///
/// # Errors
/// The place and the reason why the text is not YAML.
pub fn parse(file: &Path, text: &str) -> Result<Node, (Place, String)> {
    let name = file.display().to_string();
    let place = |line, column| Place::File(name.clone(), line, column);
    let documents = MarkedYaml::load_from_str(text).map_err(|error: ScanError| {
        (place(error.marker().line(), error.marker().col() + 1), error.info().to_owned())
    })?;
    match &documents[..] {
        [] => Ok(Node { place: place(1, 1), value: Value::Map(Vec::new()) }),
        [document] => Ok(node(document, &name)),
        [_, second, ..] => {
            let message = "the file holds a second YAML document: put everything into one".to_owned();
            Err((place_of(second, &name), message))
        }
    }
}

fn place_of(yaml: &MarkedYaml<'_>, file: &str) -> Place {
    Place::File(file.to_owned(), yaml.span.start.line(), yaml.span.start.col() + 1)
}

fn node(yaml: &MarkedYaml<'_>, file: &str) -> Node {
    let value = match &yaml.data {
        YamlData::Value(Scalar::Boolean(value)) => Value::Bool(*value),
        YamlData::Value(Scalar::Integer(value)) => Value::Int(*value),
        YamlData::Value(Scalar::FloatingPoint(_)) => Value::Float,
        YamlData::Value(Scalar::String(text)) => Value::Text(text.to_string()),
        YamlData::Representation(text, ..) => Value::Text(text.to_string()),
        YamlData::Sequence(items) => Value::List(items.iter().map(|item| node(item, file)).collect()),
        YamlData::Mapping(pairs) => {
            Value::Map(pairs.iter().map(|(name, value)| (key(name, file), node(value, file))).collect())
        }
        YamlData::Tagged(_, inner) => return node(inner, file),
        YamlData::Value(Scalar::Null) | YamlData::Alias(_) | YamlData::BadValue => Value::Null,
    };
    Node { place: place_of(yaml, file), value }
}

/// A key that is not a string is no setting: shown in the message as far as it can be.
fn key(yaml: &MarkedYaml<'_>, file: &str) -> Key {
    let (text, is_string) = match &yaml.data {
        YamlData::Value(Scalar::String(text)) => (text.to_string(), true),
        YamlData::Value(Scalar::Integer(value)) => (value.to_string(), false),
        YamlData::Value(Scalar::Boolean(value)) => (value.to_string(), false),
        _ => ("?".to_owned(), false),
    };
    Key { place: place_of(yaml, file), text, is_string }
}
