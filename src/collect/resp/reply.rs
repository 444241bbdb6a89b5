//! Replies that have come in full, read where they are.

use std::fmt;

use super::Part;

/// One value of a reply, with all that is within.
#[derive(Clone, Copy)]
pub struct Reply<'a> {
    pub(super) bytes: &'a [u8],
    /// Its own part, and those within.
    pub(super) parts: &'a [Part],
}

impl<'a> Reply<'a> {
    /// Whether it is nil.
    #[must_use]
    pub fn is_nil(self) -> bool {
        matches!(self.parts, [Part::Nil, ..])
    }

    /// The number that it is.
    #[must_use]
    pub fn integer(self) -> Option<i64> {
        match self.parts {
            [Part::Integer(number), ..] => Some(*number),
            _ => None,
        }
    }

    /// The text that it is: any bytes.
    #[must_use]
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self.parts {
            [Part::Text { from, length }, ..] => Some(self.slice(*from, *length)),
            _ => None,
        }
    }

    /// The error that it is.
    #[must_use]
    pub fn error(self) -> Option<ErrorReply> {
        match self.parts {
            [Part::Error { from, length }, ..] => {
                let text = String::from_utf8_lossy(self.slice(*from, *length));
                Some(ErrorReply(text.into_owned()))
            }
            _ => None,
        }
    }

    /// What is in it, where it is an array or a set.
    #[must_use]
    pub fn items(self) -> Option<Items<'a>> {
        match self.parts {
            [Part::List { items, is_map: false, .. }, within @ ..] => Some(self.within(*items, within)),
            _ => None,
        }
    }

    /// Names and values in turn: of a map, or of an array that can be one, as RESP2 has it.
    #[must_use]
    pub fn fields(self) -> Option<Items<'a>> {
        match self.parts {
            [Part::List { items, .. }, within @ ..] if items % 2 == 0 => Some(self.within(*items, within)),
            _ => None,
        }
    }

    /// Bytes of the strings in it, those that were dropped too.
    #[must_use]
    pub fn size(self) -> u64 {
        let of = |part: &Part| match part {
            Part::Text { length, .. } | Part::Payload { length } => u64::from(*length),
            _ => 0,
        };
        self.parts.iter().map(of).sum()
    }

    fn within(self, items: u32, parts: &'a [Part]) -> Items<'a> {
        Items { bytes: self.bytes, parts, left: items as usize }
    }

    fn slice(self, from: u32, length: u32) -> &'a [u8] {
        &self.bytes[from as usize..][..length as usize]
    }
}

/// As it was sent, for the messages of failed tests.
impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.parts.first(), self.bytes(), self.items()) {
            (_, Some(bytes), _) => write!(f, "\"{}\"", bytes.escape_ascii()),
            (_, _, Some(items)) => f.debug_list().entries(items).finish(),
            (Some(part), ..) => part.fmt(f),
            (None, ..) => f.write_str("nothing"),
        }
    }
}

/// Several values, in order.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) parts: &'a [Part],
    pub(super) left: usize,
}

impl Items<'_> {
    /// How many there are at most: that so many were promised proves nothing.
    #[must_use]
    pub fn room(&self) -> usize {
        self.left.min(self.parts.len())
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Reply<'a>;

    fn next(&mut self) -> Option<Reply<'a>> {
        self.left = self.left.checked_sub(1)?;
        let parts = match self.parts.first()? {
            Part::List { parts, .. } => *parts as usize,
            _ => 1,
        };
        let (own, rest) = self.parts.split_at(parts);
        self.parts = rest;
        Some(Reply { bytes: self.bytes, parts: own })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Items<'_> {}

/// An error that a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply(String);

impl ErrorReply {
    /// Its first word, `ERR` or another, and the rest.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once(' ').unwrap_or((&self.0, ""))
    }
}
