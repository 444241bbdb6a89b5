//! Names of streams, groups and consumers. In Redis a name is any string of bytes; people, labels and pages want text.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt::{self, Write as _},
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::Arc,
};

use hashbrown::{HashSet, HashTable};
use sha2::{Digest, Sha256};

/// Longest text of a name, in bytes. A longer one is cut and ends in a hash, so that it stays unique.
pub const MAX_TEXT: usize = 1024;

/// A name as Redis has it, with the text that stands for it everywhere.
///
/// Valid UTF-8 is its own text. Other bytes are shown as `\xNN`, and so is a backslash that would read as such an
/// escape: two different names never have the same text, and the bytes can be had back from it (up to [`MAX_TEXT`]).
#[derive(Clone)]
pub struct Name(Repr);

#[derive(Clone)]
enum Repr {
    /// The bytes are their own text: nearly every name there is.
    Plain(Arc<str>),
    Escaped(Arc<Escaped>),
}

/// Bytes, and the text that stands for them.
struct Escaped {
    bytes: Box<[u8]>,
    text: Box<str>,
}

impl Name {
    /// The bytes as Redis has them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Plain(text) => text.as_bytes(),
            Repr::Escaped(name) => &name.bytes,
        }
    }

    /// The name whose text this is; `None` where it is that of a name which was cut, or of none.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Name> {
        let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
        while let [first, tail @ ..] = rest {
            let hex = starts_with_escape(rest).then(|| str::from_utf8(&rest[2..4]).ok()).flatten();
            match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &rest[4..];
                }
                None => {
                    bytes.push(*first);
                    rest = tail;
                }
            }
        }
        Some(Name::from(&bytes[..])).filter(|name| name.text() == text)
    }

    /// The unique text of the name, for labels and JSON. It may hold control characters: their writers escape them.
    #[must_use]
    pub fn text(&self) -> &str {
        match &self.0 {
            Repr::Plain(text) => text,
            Repr::Escaped(name) => &name.text,
        }
    }
}

/// For terminals and logs: the text with control characters and direction marks escaped too.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = String::with_capacity(self.text().len());
        for c in self.text().chars() {
            if c.is_control()
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            {
                escape_into(&mut shown, c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                shown.push(c);
            }
        }
        f.pad(&shown)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl From<&[u8]> for Name {
    fn from(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.len() <= MAX_TEXT && !has_escape(bytes) => Name(Repr::Plain(text.into())),
            _ => {
                let (bytes, text) = (bytes.into(), text_of(bytes).into());
                Name(Repr::Escaped(Arc::new(Escaped { bytes, text })))
            }
        }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Name::from(text.as_bytes())
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        // Those in use are mostly the same one.
        match (&self.0, &other.0) {
            (Repr::Plain(one), Repr::Plain(another)) if Arc::ptr_eq(one, another) => true,
            _ => self.as_bytes() == other.as_bytes(),
        }
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

/// So that a set of names is searched by bytes.
impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Names that are in use, each of them once: a consumer is mostly named alike in all groups, and in each poll.
#[derive(Debug, Default)]
pub struct Names {
    each: HashSet<Name, RandomState>,
    /// The consumers of a group, which mostly are those of the poll before.
    lists: HashTable<Arc<[Name]>>,
}

impl Names {
    /// The name that these bytes are.
    pub fn get(&mut self, bytes: &[u8]) -> Name {
        if let Some(name) = self.each.get(bytes) {
            return name.clone();
        }
        let name = Name::from(bytes);
        self.each.insert(name.clone());
        name
    }

    /// The list of the names that these bytes are.
    pub fn list<'a>(&mut self, bytes: impl Iterator<Item = &'a [u8]> + Clone) -> Arc<[Name]> {
        let hasher = self.each.hasher().clone();
        let hash = hash_of(&hasher, bytes.clone());
        if let Some(list) = self.lists.find(hash, |list| list.iter().map(Name::as_bytes).eq(bytes.clone())) {
            return list.clone();
        }
        let list: Arc<[Name]> = bytes.map(|bytes| self.get(bytes)).collect();
        let rehash = |list: &Arc<[Name]>| hash_of(&hasher, list.iter().map(Name::as_bytes));
        self.lists.insert_unique(hash, list.clone(), rehash);
        list
    }

    /// Forgets those that nobody else uses.
    pub fn sweep(&mut self) {
        self.lists.retain(|list| Arc::strong_count(list) > 1);
        self.each.retain(|name| match &name.0 {
            Repr::Plain(text) => Arc::strong_count(text) > 1,
            Repr::Escaped(name) => Arc::strong_count(name) > 1,
        });
    }
}

fn hash_of<'a>(hasher: &RandomState, names: impl Iterator<Item = &'a [u8]>) -> u64 {
    let mut hash = hasher.build_hasher();
    names.for_each(|name| name.hash(&mut hash));
    hash.finish()
}

/// Whether a text may be that of a name which was cut: only those are so long, and cut between two characters.
#[must_use]
pub fn may_be_cut(text: &str) -> bool {
    text.len() + 4 > MAX_TEXT
}

/// Whether `bytes` begin with what reads as an escape: `\x` and two hexadecimal digits.
fn starts_with_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'\\', b'x', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}

fn has_escape(bytes: &[u8]) -> bool {
    bytes.contains(&b'\\') && bytes.windows(4).any(starts_with_escape)
}

fn escape_into(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

fn text_of(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    'chunks: for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if text.len() > MAX_TEXT {
                break 'chunks;
            }
            if starts_with_escape(rest) {
                escape_into(&mut text, b"\\");
            } else {
                text.push(c);
            }
            rest = &rest[c.len_utf8()..];
        }
        escape_into(&mut text, chunk.invalid());
        rest = &rest[chunk.invalid().len()..];
    }
    if text.len() > MAX_TEXT { shortened(&text, bytes) } else { text }
}

/// The beginning of a long name, three escaped dots and a hash. No whole name has an escaped dot in its text, so a
/// shortened name cannot be mistaken for a whole one either.
fn shortened(text: &str, bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let mut end = String::from("\\x2e\\x2e\\x2e");
    for byte in &digest[..16] {
        let _ = write!(end, "{byte:02x}");
    }
    let mut cut = MAX_TEXT - end.len();
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{end}", &text[..cut])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn valid_utf8_is_shown_as_it_is() {
        for text in ["orders", "", "événements", "a\\b", "quote\"", "new\nline", "\\x", "\\xg0"] {
            assert_eq!(Name::from(text).text(), text);
        }
    }

    #[test]
    fn a_name_is_there_once_as_long_as_it_is_used() {
        let mut names = Names::default();
        let (first, again) = (names.get(b"orders"), names.get(b"orders"));
        assert!(std::ptr::eq(first.text(), again.text()));
        let odd = names.get(b"\xff");
        assert_eq!((odd.as_bytes(), names.each.len()), (&b"\xff"[..], 2));
        drop((first, again));
        names.sweep();
        assert_eq!(names.each.iter().collect::<Vec<_>>(), [&odd]);
    }

    #[test]
    fn a_list_is_there_once_as_long_as_it_is_used() {
        let mut names = Names::default();
        let lists: [&[&[u8]]; 6] =
            [&[b"one", b"two"], &[b"onetwo"], &[b"one"], &[b"two", b"one"], &[], &[b""]];
        let list = |names: &mut Names, list: &[&[u8]]| names.list(list.iter().copied());
        let first = lists.map(|bytes| list(&mut names, bytes));
        for (bytes, first) in lists.iter().zip(&first) {
            assert!(first.iter().map(Name::as_bytes).eq(bytes.iter().copied()), "{first:?}");
            assert!(Arc::ptr_eq(first, &list(&mut names, bytes)), "{first:?}");
        }
        assert!(std::ptr::eq(first[0][0].text(), first[2][0].text()));
        names.sweep();
        assert_eq!((names.lists.len(), names.each.len()), (6, 4));
        let empty = first.into_iter().next_back();
        names.sweep();
        assert_eq!((names.lists.len(), names.each.len()), (1, 1));
        drop(empty);
        names.sweep();
        assert_eq!((names.lists.len(), names.each.len()), (0, 0));
    }

    #[test]
    fn other_bytes_are_escaped() {
        assert_eq!(Name::from(&b"a\xffb"[..]).text(), "a\\xffb");
        assert_eq!(Name::from(&b"a\\xffb"[..]).text(), "a\\x5cxffb");
    }

    #[test]
    fn a_text_of_no_name_is_none() {
        let cut = Name::from("a".repeat(2000).as_str());
        for text in ["\\x41", "a\\xFF", "\\x5cy", cut.text()] {
            assert_eq!(Name::of_text(text), None, "{text}");
        }
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
        assert_eq!(Name::from("a\u{1b}[31m\nb\u{202e}").to_string(), "a\\x1b[31m\\x0ab\\xe2\\x80\\xae");
    }

    #[test]
    fn a_long_name_is_cut_and_stays_unique() {
        let (a, b) = (vec![b'a'; 1 << 20], vec![b'a'; (1 << 20) + 1]);
        let (a, b) = (Name::from(&a[..]), Name::from(&b[..]));
        assert_eq!(a.text().len(), MAX_TEXT);
        assert_ne!(a.text(), b.text());
        // A name that is literally the text of a shortened one is told apart.
        assert_ne!(Name::from(a.text()).text(), a.text());
        // Characters of several bytes are cut between, not within.
        assert!(Name::from("é".repeat(1 << 12).as_str()).text().len() <= MAX_TEXT);
    }

    proptest! {
        #[test]
        fn the_bytes_can_be_had_back(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'x'), Just(b'f')], 0..64)) {
            let name = Name::from(&bytes[..]);
            prop_assert_eq!(Name::of_text(name.text()), Some(name));
        }
    }
}
