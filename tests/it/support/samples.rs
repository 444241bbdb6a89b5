//! An exposition, read back.

use std::collections::BTreeMap;

/// One series with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// All series of an exposition.
#[derive(Clone, Debug)]
pub struct Samples(pub Vec<Sample>);

impl Samples {
    /// Reads text 0.0.4; panics at what Prometheus would refuse.
    #[track_caller]
    pub fn parse(text: &str) -> Samples {
        let lines = text.split('\n').filter(|line| !line.is_empty() && !line.starts_with('#'));
        Samples(
            lines
                .map(|line| {
                    let (name, labels, rest) =
                        series(line).unwrap_or_else(|| panic!("not a sample: {line:?}"));
                    let value = rest.trim().parse().unwrap_or_else(|_| panic!("no value: {line:?}"));
                    Sample { name, labels, value }
                })
                .collect(),
        )
    }

    /// The series that have this name and these labels, as in `redis_stream_length{stream="orders"}`.
    pub fn all(&self, selector: &str) -> Vec<&Sample> {
        let (name, wanted, rest) = series(selector).unwrap_or_else(|| panic!("not a selector: {selector}"));
        assert!(rest.is_empty(), "not a selector: {selector}");
        let fits = |sample: &&Sample| {
            sample.name == name && wanted.iter().all(|(key, value)| sample.labels.get(key) == Some(value))
        };
        self.0.iter().filter(fits).collect()
    }

    /// The value of the one series that fits; `None` where there is none.
    #[track_caller]
    pub fn value(&self, selector: &str) -> Option<f64> {
        match &self.all(selector)[..] {
            [] => None,
            [sample] => Some(sample.value),
            several => panic!("{selector} fits several: {several:#?}"),
        }
    }

    /// Checks many values at once, and shows all that are wrong.
    #[track_caller]
    pub fn check(&self, expected: &[(&str, Option<f64>)]) {
        let wrong: Vec<_> = expected
            .iter()
            .filter(|(selector, value)| self.value(selector) != *value)
            .map(|(selector, value)| {
                format!("{selector}: expected {value:?}, found {:?}", self.value(selector))
            })
            .collect();
        assert!(wrong.is_empty(), "wrong:\n  {}\nof\n{}", wrong.join("\n  "), self.redis_lines());
    }

    /// Everything that was measured on Redis, for messages.
    pub fn redis_lines(&self) -> String {
        let redis = self.0.iter().filter(|sample| sample.name.starts_with("redis_"));
        let line = |sample: &Sample| format!("{}{:?} {}", sample.name, sample.labels, sample.value);
        // One name may be a kilobyte.
        redis.map(|sample| line(sample).chars().take(300).collect()).collect::<Vec<String>>().join("\n")
    }
}

/// A name, its labels, and what follows.
fn series(text: &str) -> Option<(String, BTreeMap<String, String>, String)> {
    let (name, mut rest) = word(text);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, after) = word(rest);
            let (value, after) = quoted(after.strip_prefix("=\"")?)?;
            if labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    (!name.is_empty()).then(|| (name.to_owned(), labels, rest.to_owned()))
}

fn word(text: &str) -> (&str, &str) {
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    text.split_at(text.bytes().take_while(|byte| is_of_word(byte)).count())
}

/// A label's value, up to its closing quote, and what follows.
fn quoted(mut text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    loop {
        let end = text.find(['"', '\\'])?;
        value.push_str(&text[..end]);
        let mut rest = text[end..].chars();
        if rest.next()? == '"' {
            return Some((value, rest.as_str()));
        }
        value.push(match rest.next()? {
            'n' => '\n',
            c @ ('"' | '\\') => c,
            _ => return None,
        });
        text = rest.as_str();
    }
}
