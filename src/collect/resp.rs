//! Redis's protocol, RESP2 and RESP3: replies are scanned once, as their bytes come in, and read where they are. What
//! nobody keeps is never copied, and payloads of entries are dropped as they come.
//!
//! [`Replies`] has the bytes, and one `Part` for each value in them, in order; a [`Reply`] is one value with all that is
//! within.

use std::mem;

use super::tracking::Changes;
use crate::model::decimal;

mod reply;

pub use reply::{ErrorReply, Items, Reply};

/// Longest line: of an error, a status, a number or a length. Redis's own are far shorter.
const LONGEST_LINE: usize = 64 * 1024;

/// How deep lists may be nested. The deepest reply that is asked for has five levels.
const DEEPEST: usize = 32;

/// Most bytes of replies at once: places in them are numbers of 32 bits.
const MOST_BYTES: usize = 1 << 30;

/// Most values of replies at once: 900,000 consumers fit. Fewer in unit tests.
const MOST_PARTS: usize = if cfg!(test) { 1 << 12 } else { 1 << 23 };

/// Most keys that are kept of those told to have changed: of more, all count as changed. Fewer in unit tests.
const MOST_CHANGES: usize = if cfg!(test) { 1 << 10 } else { 1 << 16 };

/// Bytes of room that are kept for what comes next.
const KEPT: usize = 256 * 1024;

/// How many lists are around the payload of an entry: what EXEC answers, what the command in it does, the entry, and its
/// fields. Nothing else that is long is as deep.
const AROUND_PAYLOAD: usize = 4;

/// Shortest payload that is not kept: nobody reads it, it has only a size.
const LONG_PAYLOAD: usize = 1024;

/// Bytes that do not follow the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not Redis's protocol: {0}")]
pub struct Malformed(&'static str);

/// One value. Places and lengths are those in the bytes.
#[derive(Clone, Copy, Debug)]
enum Part {
    Nil,
    Integer(i64),
    Text {
        from: u32,
        length: u32,
    },
    Error {
        from: u32,
        length: u32,
    },
    /// An array, a set or a map: so many values, which follow; `parts` counts this one and all within.
    List {
        items: u32,
        parts: u32,
        is_map: bool,
    },
    /// A payload that was dropped.
    Payload {
        length: u32,
    },
    /// A value that no question has for an answer: a boolean, a double, a big number.
    Other,
}

/// A list of which not all values have come.
#[derive(Clone, Copy, Debug)]
struct Open {
    place: usize,
    left: u32,
    /// Whether it is no part of a reply: what a server tells besides.
    is_aside: bool,
}

/// The type of a value, the text of its first line, and where the next one begins.
type Line<'a> = (u8, &'a [u8], usize);

/// Bytes from a server, and what was found in them so far.
#[derive(Debug, Default)]
pub struct Replies {
    bytes: Vec<u8>,
    /// Where the next value begins.
    at: usize,
    parts: Vec<Part>,
    open: Vec<Open>,
    /// Bytes still to come of a payload that is dropped, with the two that end it.
    dropping: usize,
    /// Replies that are there in full.
    whole: usize,
    changes: Changes,
}

impl Replies {
    /// Where bytes that come are put.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Whether so many replies have come in full. What comes after them is left for later.
    ///
    /// # Errors
    /// The bytes are no replies: nothing that follows can be read either.
    pub fn have(&mut self, count: usize) -> Result<bool, Malformed> {
        while self.whole < count {
            if !self.scan()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The replies that have come in full since the last [`Replies::clear`].
    pub fn iter(&self) -> Items<'_> {
        Items { bytes: &self.bytes, parts: &self.parts, left: self.whole }
    }

    /// They have been read. What has come after them is moved up only once there is little of it, or much before it.
    pub fn clear(&mut self) {
        self.whole = 0;
        self.parts.clear();
        if self.at == self.bytes.len() || self.at > KEPT {
            self.drop_read();
        }
    }

    /// Drops the bytes that no part is of any more.
    fn drop_read(&mut self) {
        self.bytes.drain(..self.at);
        self.bytes.shrink_to(KEPT);
        self.at = 0;
    }

    /// Scans one value; of a list, its head. False where not all of it has come.
    fn scan(&mut self) -> Result<bool, Malformed> {
        if self.dropping > 0 {
            return self.drop_payload();
        }
        let Some((kind, line, next)) = self.line()? else { return Ok(false) };
        let (from, length) = (self.at + 1, line.len());
        let (mut end, mut is_aside) = (next, false);
        let part = match kind {
            b':' => Part::Integer(number(line)?),
            b'+' => text(from, length)?,
            b'-' => error(from, length)?,
            b'$' | b'=' | b'!' => match count(line)? {
                None => Part::Nil,
                Some(length) if self.open.len() >= AROUND_PAYLOAD && length as usize >= LONG_PAYLOAD => {
                    self.dropping = length as usize + 2;
                    Part::Payload { length }
                }
                Some(length) => {
                    let length = length as usize;
                    end = next + length + 2;
                    if end > MOST_BYTES {
                        return Err(Malformed("there is more than 1 GiB of replies"));
                    }
                    if self.bytes.len() < end {
                        self.bytes.reserve(end - self.bytes.len());
                        return Ok(false);
                    }
                    if self.bytes[end - 2..end] != *b"\r\n" {
                        return Err(Malformed("a string does not end where it should"));
                    }
                    match kind {
                        b'!' => error(next, length)?,
                        // Three letters and a colon say what text it is.
                        b'=' if length >= 4 => text(next + 4, length - 4)?,
                        _ => text(next, length)?,
                    }
                }
            },
            b'*' | b'~' | b'>' | b'%' | b'|' => match count(line)? {
                None => Part::Nil,
                Some(items) => {
                    let is_map = matches!(kind, b'%' | b'|');
                    is_aside = kind == b'|' || kind == b'>' && self.open.is_empty();
                    let items = items.checked_mul(1 + u32::from(is_map));
                    let items = items.ok_or(Malformed("a list is too long"))?;
                    Part::List { items, parts: 1, is_map }
                }
            },
            b'_' => Part::Nil,
            b'#' | b',' | b'(' => Part::Other,
            _ => return Err(Malformed("a value has an unknown type")),
        };
        if self.parts.len() == MOST_PARTS || end > MOST_BYTES {
            return Err(Malformed("there is too much in the replies"));
        }
        self.at = end;
        self.parts.push(part);
        if self.dropping > 0 {
            return self.drop_payload();
        }
        if let Part::List { items, .. } = part {
            if self.open.len() == DEEPEST {
                return Err(Malformed("lists are nested too deeply"));
            }
            // One that is empty ends as if a value in it had.
            self.open.push(Open { place: self.parts.len() - 1, left: items.max(1), is_aside });
            if items > 0 {
                return Ok(true);
            }
        }
        self.end();
        Ok(true)
    }

    /// Drops what has come of a payload. False where not all of it has.
    fn drop_payload(&mut self) -> Result<bool, Malformed> {
        let (there, left) = (self.bytes.len() - self.at, self.dropping - 2);
        let dropped = there.min(left);
        self.dropping -= dropped;
        // Room is made for what comes next, unless there is more to move than that.
        if there - dropped <= dropped {
            self.bytes.drain(self.at..self.at + dropped);
        } else {
            self.at += dropped;
        }
        match self.bytes.get(self.at..self.at + 2).filter(|_| dropped == left) {
            None => return Ok(false),
            Some(b"\r\n") => {}
            Some(_) => return Err(Malformed("a string does not end where it should")),
        }
        self.at += 2;
        self.dropping = 0;
        self.end();
        Ok(true)
    }

    /// The line that begins here.
    fn line(&self) -> Result<Option<Line<'_>>, Malformed> {
        let bytes = &self.bytes[self.at..];
        // Nearly every line has one or two characters: the length of something.
        match *bytes {
            [kind, _, b'\r', b'\n', ..] => return Ok(Some((kind, &bytes[1..2], self.at + 4))),
            [kind, first, _, b'\r', b'\n', ..] if first != b'\r' => {
                return Ok(Some((kind, &bytes[1..3], self.at + 5)));
            }
            _ => {}
        }
        let Some((kind, line)) = bytes.split_first() else { return Ok(None) };
        let mut from = 0;
        while let Some(end) = line[from..].iter().position(|byte| *byte == b'\r').map(|end| from + end) {
            match line.get(end + 1) {
                Some(b'\n') => return Ok(Some((*kind, &line[..end], self.at + end + 3))),
                Some(_) => from = end + 1,
                None => break,
            }
        }
        if line.len() > LONGEST_LINE { Err(Malformed("a line does not end")) } else { Ok(None) }
    }

    /// A value is there in full, and so may be the lists that it ends.
    fn end(&mut self) {
        while let Some(open) = self.open.last_mut() {
            open.left -= 1;
            if open.left > 0 {
                return;
            }
            let Open { place, is_aside, .. } = *open;
            self.open.pop();
            if is_aside {
                self.hear(place);
                self.parts.truncate(place);
                // Nothing but such may come for long.
                if place == 0 && self.at > KEPT {
                    self.drop_read();
                }
                return;
            }
            let within = self.parts.len() - place;
            if let Part::List { parts, .. } = &mut self.parts[place] {
                // There are fewer parts than bytes.
                *parts = within as u32;
            }
        }
        self.whole += 1;
    }
}

/// What is told besides replies.
impl Replies {
    /// Keys that have changed, as far as that was told since this was last asked.
    pub fn take_changes(&mut self) -> Changes {
        mem::take(&mut self.changes)
    }

    /// `invalidate` and a list of keys; nil is all of them.
    fn hear(&mut self, place: usize) {
        let text = |part: &Part| match *part {
            Part::Text { from, length } => Some(&self.bytes[from as usize..][..length as usize]),
            _ => None,
        };
        match &self.parts[place..] {
            [Part::List { is_map: false, .. }, what, keys @ ..] if text(what) == Some(b"invalidate") => {
                self.changes.all |= matches!(keys, [Part::Nil]);
                self.changes.keys.extend(keys.iter().filter_map(text).map(Box::from));
                if self.changes.keys.len() > MOST_CHANGES {
                    self.changes = Changes { all: true, keys: Vec::new() };
                }
            }
            _ => {}
        }
    }
}

fn text(from: usize, length: usize) -> Result<Part, Malformed> {
    Ok(Part::Text { from: place(from)?, length: place(length)? })
}

fn error(from: usize, length: usize) -> Result<Part, Malformed> {
    Ok(Part::Error { from: place(from)?, length: place(length)? })
}

fn place(place: usize) -> Result<u32, Malformed> {
    u32::try_from(place).map_err(|_| Malformed("there is more than 1 GiB of replies"))
}

fn number(line: &[u8]) -> Result<i64, Malformed> {
    decimal::signed(line).ok_or(Malformed("a number is none"))
}

/// How long a string or a list is; `None` where it is nil.
fn count(line: &[u8]) -> Result<Option<u32>, Malformed> {
    match number(line)? {
        -1 => Ok(None),
        count => u32::try_from(count).map(Some).map_err(|_| Malformed("a length is none")),
    }
}

#[cfg(test)]
#[path = "resp_tests.rs"]
pub(super) mod tests;
