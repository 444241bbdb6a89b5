//! Label selectors of Kubernetes: `stream=orders,group in (a, b),!consumer`.
//!
//! The grammar is that of `k8s.io/apimachinery/pkg/labels`, without its `>` and `<`. Values may hold what a Kubernetes label
//! may not (`events:orders`): names in Redis do.

use std::{collections::BTreeMap, fmt, iter::Peekable, str::CharIndices};

/// A selector: all of its requirements must hold. The empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(pub Vec<Requirement>);

/// What one label must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Name of the label.
    pub key: String,
    /// The condition.
    pub operator: Operator,
}

/// A condition for a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    /// It is one of these: `=`, `==`, `in`.
    In(Vec<String>),
    /// It is none of these, or is not there: `!=`, `notin`.
    NotIn(Vec<String>),
    /// It is there.
    Exists,
    /// It is not there: `!`.
    Absent,
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the selector is wrong at character {position}: expected {expected}, found {found}")]
pub struct BadSelector {
    /// Characters before the mistake, plus one.
    position: usize,
    expected: &'static str,
    found: String,
}

impl Operator {
    /// Whether the value of a label satisfies it; `None` is no such label.
    #[must_use]
    pub fn allows(&self, value: Option<&str>) -> bool {
        let among = |values: &[String]| value.is_some_and(|value| values.iter().any(|other| other == value));
        match self {
            Operator::In(values) => among(values),
            Operator::NotIn(values) => !among(values),
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
        }
    }
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// The place of the first mistake.
    pub fn parse(text: &str) -> Result<Selector, BadSelector> {
        let mut tokens = Tokens { text, chars: text.char_indices().peekable() };
        let mut requirements = Vec::new();
        if tokens.next_is_end() {
            return Ok(Selector(requirements));
        }
        loop {
            requirements.push(tokens.requirement()?);
            match tokens.next() {
                (_, Token::End) => return Ok(Selector(requirements)),
                (_, Token::Comma) => {}
                other => return Err(tokens.error(other, "a comma or the end")),
            }
        }
    }

    /// Whether a label that is there may have this value, as far as this selector says.
    #[must_use]
    pub fn allows(&self, key: &str, value: &str) -> bool {
        self.of(key).all(|operator| operator.allows(Some(value)))
    }

    /// The conditions for one label.
    fn of(&self, key: &str) -> impl Iterator<Item = &Operator> {
        self.0
            .iter()
            .filter(move |requirement| requirement.key == key)
            .map(|requirement| &requirement.operator)
    }

    /// The only values that a label may have, where a requirement names them.
    #[must_use]
    pub fn one_of(&self, key: &str) -> Option<&[String]> {
        self.of(key).find_map(|operator| match operator {
            Operator::In(values) => Some(&values[..]),
            _ => None,
        })
    }

    /// Whether a set of labels satisfies the selector.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0
            .iter()
            .all(|requirement| requirement.operator.allows(labels.get(&requirement.key).map(String::as_str)))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Requirement { key, operator }) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match operator {
                Operator::In(values) => match &values[..] {
                    [value] => write!(f, "{key}={value}")?,
                    values => write!(f, "{key} in ({})", values.join(","))?,
                },
                Operator::NotIn(values) => match &values[..] {
                    [value] => write!(f, "{key}!={value}")?,
                    values => write!(f, "{key} notin ({})", values.join(","))?,
                },
                Operator::Exists => f.write_str(key)?,
                Operator::Absent => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    End,
    Comma,
    Open,
    Close,
    Equal,
    NotEqual,
    Not,
    /// `<` or `>`: Kubernetes compares numbers with them, and no label here is one.
    Order,
    Word(&'a str),
}

/// A selector that is being read. Each token comes with its place, in bytes.
struct Tokens<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl<'a> Tokens<'a> {
    fn requirement(&mut self) -> Result<Requirement, BadSelector> {
        let (negated, key) = match self.next() {
            (_, Token::Not) => (true, self.next()),
            token => (false, token),
        };
        let key = match key {
            (_, Token::Word(key)) => key.to_owned(),
            other => return Err(self.error(other, "the name of a label")),
        };
        if negated {
            return Ok(Requirement { key, operator: Operator::Absent });
        }
        if matches!(self.peek(), Token::End | Token::Comma) {
            return Ok(Requirement { key, operator: Operator::Exists });
        }
        let operator = match self.next() {
            (_, Token::Equal) => Operator::In(vec![self.value()]),
            (_, Token::NotEqual) => Operator::NotIn(vec![self.value()]),
            (_, Token::Word("in")) => Operator::In(self.values()?),
            (_, Token::Word("notin")) => Operator::NotIn(self.values()?),
            other => return Err(self.error(other, "=, ==, !=, in, notin, a comma or the end")),
        };
        Ok(Requirement { key, operator })
    }

    /// A value, which may be empty.
    fn value(&mut self) -> String {
        match self.peek() {
            Token::Word(value) => {
                self.next();
                value.to_owned()
            }
            _ => String::new(),
        }
    }

    /// Values in parentheses, separated by commas; each may be empty.
    fn values(&mut self) -> Result<Vec<String>, BadSelector> {
        match self.next() {
            (_, Token::Open) => {}
            other => return Err(self.error(other, "( and values")),
        }
        let mut values = vec![self.value()];
        loop {
            match self.next() {
                (_, Token::Comma) => values.push(self.value()),
                (_, Token::Close) => return Ok(values),
                other => return Err(self.error(other, "a comma or )")),
            }
        }
    }

    fn peek(&self) -> Token<'a> {
        Tokens { text: self.text, chars: self.chars.clone() }.next().1
    }

    fn next_is_end(&self) -> bool {
        self.peek() == Token::End
    }

    fn next(&mut self) -> (usize, Token<'a>) {
        while self.chars.next_if(|(_, c)| c.is_ascii_whitespace()).is_some() {}
        let Some((start, c)) = self.chars.next() else { return (self.text.len(), Token::End) };
        let token = match c {
            ',' => Token::Comma,
            '(' => Token::Open,
            ')' => Token::Close,
            '<' | '>' => Token::Order,
            '=' => {
                let _ = self.chars.next_if(|(_, c)| *c == '=');
                Token::Equal
            }
            '!' if self.chars.next_if(|(_, c)| *c == '=').is_some() => Token::NotEqual,
            '!' => Token::Not,
            _ => {
                let in_word = |c: char| !c.is_ascii_whitespace() && !"=!(),<>".contains(c);
                while self.chars.next_if(|(_, c)| in_word(*c)).is_some() {}
                let end = self.chars.peek().map_or(self.text.len(), |(end, _)| *end);
                Token::Word(&self.text[start..end])
            }
        };
        (start, token)
    }

    fn error(&self, (place, token): (usize, Token<'a>), expected: &'static str) -> BadSelector {
        let found = match token {
            Token::End => "the end".to_owned(),
            Token::Word(word) => {
                let shown: String = word.chars().take(40).collect();
                format!("{shown:?}")
            }
            _ => format!("{:?}", self.text[place..].chars().next().unwrap_or_default()),
        };
        BadSelector { position: self.text[..place].chars().count() + 1, expected, found }
    }
}

#[cfg(test)]
#[path = "selector_tests.rs"]
mod tests;
