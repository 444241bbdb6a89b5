//! Patterns for names, in Redis's glob syntax (`KEYS`, `SCAN MATCH`): `*`, `?`, `[abc]`, `[^a-c]`, `\` before a character.
//!
//! They are matched by the regex crate, whose time is linear in the name: Redis's own matcher can be made to run for minutes.

use regex::bytes::{Regex, RegexBuilder};

use super::name::Name;

/// One item of a list of names and globs.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// A name without wildcards, escapes removed.
    Exact(Name),
    /// A name with at least one wildcard.
    Glob(Glob),
}

/// A glob: its text as Redis reads it, and the matcher.
#[derive(Clone, Debug)]
pub struct Glob {
    text: String,
    /// The bytes before the first wildcard.
    prefix: Vec<u8>,
    /// The matcher; `None` where anything may come behind them.
    regex: Option<Regex>,
}

/// The matcher follows from the text.
impl PartialEq for Glob {
    fn eq(&self, other: &Glob) -> bool {
        self.text == other.text
    }
}

/// What is wrong with a glob.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// Nothing at all.
    #[error("is empty")]
    Empty,
    /// `[` without its `]`.
    #[error("has a \"[\" without its \"]\" (write \\[ for the character itself)")]
    OpenClass,
    /// `[]` or `[^]`.
    #[error("has an empty \"[]\"")]
    EmptyClass,
    /// A backslash with nothing behind it.
    #[error("ends in a single \"\\\" (write \\\\ for the character itself)")]
    TrailingBackslash,
    /// Longer than the matcher takes.
    #[error("is too long")]
    TooLong,
}

impl Pattern {
    /// Reads a name or a glob.
    ///
    /// # Errors
    /// A glob that Redis would read otherwise than it was meant.
    pub fn parse(text: &str) -> Result<Pattern, BadPattern> {
        if text.is_empty() {
            return Err(BadPattern::Empty);
        }
        let mut regex = String::from("(?s-u)^");
        let mut exact = Vec::new();
        // Where the first wildcard stands, and whether there is nothing but asterisks from there on.
        let (mut wildcard, mut is_open) = (None, true);
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            if matches!(byte, b'*' | b'?' | b'[') {
                wildcard.get_or_insert(exact.len());
            }
            is_open &= wildcard.is_none() || byte == b'*';
            match byte {
                b'*' => regex += ".*",
                b'?' => regex += ".",
                b'[' => class(&mut bytes, &mut regex)?,
                b'\\' => literal(bytes.next().ok_or(BadPattern::TrailingBackslash)?, &mut regex, &mut exact),
                _ => literal(byte, &mut regex, &mut exact),
            }
        }
        regex.push('$');
        let Some(wildcard) = wildcard else {
            return Ok(Pattern::Exact(Name::from(&exact[..])));
        };
        let regex = RegexBuilder::new(&regex).unicode(false).build().map_err(|_| BadPattern::TooLong)?;
        exact.truncate(wildcard);
        let regex = (!is_open).then_some(regex);
        Ok(Pattern::Glob(Glob { text: text.to_owned(), prefix: exact, regex }))
    }

    /// The glob, where it is one.
    #[must_use]
    pub fn glob(&self) -> Option<&Glob> {
        match self {
            Pattern::Exact(_) => None,
            Pattern::Glob(glob) => Some(glob),
        }
    }

    /// Whether the pattern fits a name.
    #[must_use]
    pub fn matches(&self, name: &Name) -> bool {
        match self {
            Pattern::Exact(exact) => exact == name,
            Pattern::Glob(glob) => glob.matches(name),
        }
    }
}

impl Glob {
    /// The glob as it was written, for `SCAN … MATCH`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// With what every name begins that it fits.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Whether the glob fits a name.
    #[must_use]
    pub fn matches(&self, name: &Name) -> bool {
        let bytes = name.as_bytes();
        bytes.starts_with(&self.prefix) && self.regex.as_ref().is_none_or(|regex| regex.is_match(bytes))
    }
}

fn literal(byte: u8, regex: &mut String, exact: &mut Vec<u8>) {
    *regex += &format!("\\x{byte:02x}");
    exact.push(byte);
}

/// The part of a class behind its `[`: `^`, then characters, ranges and escapes up to `]`.
fn class(bytes: &mut std::str::Bytes<'_>, regex: &mut String) -> Result<(), BadPattern> {
    let mut members = Vec::new();
    let mut negated = false;
    loop {
        match bytes.next().ok_or(BadPattern::OpenClass)? {
            b']' => break,
            b'^' if members.is_empty() && !negated => negated = true,
            b'\\' => members.push((bytes.next().ok_or(BadPattern::OpenClass)?, None)),
            b'-' if members.last().is_some_and(|(_, to)| to.is_none()) => {
                match bytes.next().ok_or(BadPattern::OpenClass)? {
                    // A dash at the end stands for itself.
                    b']' => {
                        members.push((b'-', None));
                        break;
                    }
                    to => {
                        if let Some(last) = members.last_mut() {
                            last.1 = Some(to);
                        }
                    }
                }
            }
            byte => members.push((byte, None)),
        }
    }
    if members.is_empty() {
        return Err(BadPattern::EmptyClass);
    }
    *regex += if negated { "[^" } else { "[" };
    for (from, to) in members {
        let to = to.unwrap_or(from);
        *regex += &format!("\\x{:02x}-\\x{:02x}", from.min(to), from.max(to));
    }
    regex.push(']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, name: &[u8]) -> bool {
        Pattern::parse(pattern).unwrap().matches(&Name::from(name))
    }

    #[test]
    fn matches_as_redis_does() {
        for (pattern, name, expected) in [
            ("*", &b""[..], true),
            ("*", b"any\xff\n", true),
            ("events:*", b"events:a", true),
            ("events:*", b"event:a", false),
            ("h?llo", b"hello", true),
            ("h?llo", b"hllo", false),
            ("h[ae]llo", b"hallo", true),
            ("h[ae]llo", b"hillo", false),
            ("h[^e]llo", b"hallo", true),
            ("h[^e]llo", b"hello", false),
            ("h[a-b]llo", b"hbllo", true),
            ("h[b-a]llo", b"hbllo", true),
            ("h[a-]llo", b"h-llo", true),
            ("h[\\]]llo*", b"h]llo", true),
            ("a.b*", b"axb", false),
            ("orders", b"orders", true),
            ("orders", b"orders2", false),
            ("orders\\*", b"orders*", true),
            ("orders\\*", b"ordersx", false),
            ("orders\\**", b"orders*x", true),
            ("a**", b"a", true),
            ("a*?", b"a", false),
            ("a?*", b"ab\n", true),
            ("a*b", b"ab", true),
            ("a*b", b"abc", false),
            ("\u{e9}*", "\u{e9}t\u{e9}".as_bytes(), true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} on {name:?}");
        }
    }

    #[test]
    fn bad_globs_are_named() {
        for (pattern, expected) in [
            ("", BadPattern::Empty),
            ("a[bc", BadPattern::OpenClass),
            ("a[b-", BadPattern::OpenClass),
            ("a[", BadPattern::OpenClass),
            ("a[]*", BadPattern::EmptyClass),
            ("a*\\", BadPattern::TrailingBackslash),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap_err(), expected, "{pattern}");
        }
    }
}
