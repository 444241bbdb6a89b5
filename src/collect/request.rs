//! Commands as bytes, to be sent together.

use std::io::Write as _;

use super::commands::Command;
use crate::model::name::Name;

/// Commands to send.
#[derive(Debug, Default)]
pub struct Requests {
    bytes: Vec<u8>,
    count: usize,
}

/// An argument of a command.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// As it is.
    Bytes(&'a [u8]),
    /// In decimal digits.
    Number(u64),
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Arg::Bytes(text.as_bytes())
    }
}

impl<'a> From<&'a String> for Arg<'a> {
    fn from(text: &'a String) -> Self {
        Arg::Bytes(text.as_bytes())
    }
}

impl<'a> From<&'a Name> for Arg<'a> {
    fn from(name: &'a Name) -> Self {
        Arg::Bytes(name.as_bytes())
    }
}

impl From<u64> for Arg<'_> {
    fn from(number: u64) -> Self {
        Arg::Number(number)
    }
}

impl Requests {
    /// One command.
    #[must_use]
    pub fn one(command: &Command, args: &[Arg<'_>]) -> Requests {
        let mut requests = Requests::default();
        requests.add(command, args);
        requests
    }

    /// Adds a command with its arguments.
    pub fn add(&mut self, command: &Command, args: &[Arg<'_>]) {
        self.count += 1;
        let words = command.words.as_bytes().split(|byte| *byte == b' ');
        self.line(b'*', (words.clone().count() + args.len()) as u64);
        words.for_each(|word| self.bulk(word));
        for arg in args {
            match arg {
                Arg::Bytes(bytes) => self.bulk(bytes),
                Arg::Number(number) => self.bulk(number.to_string().as_bytes()),
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// What is to be sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// They are sent.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    fn bulk(&mut self, bytes: &[u8]) {
        self.line(b'$', bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, kind: u8, number: u64) {
        self.bytes.push(kind);
        match number {
            0..10 => self.bytes.push(b'0' + number as u8),
            // Writing to memory cannot fail.
            _ => _ = write!(self.bytes, "{number}"),
        }
        self.bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::commands;

    #[test]
    fn a_command_is_an_array_of_strings() {
        let mut requests = Requests::one(&commands::XPENDING, &["a\r\n".into(), "é".into(), u64::MAX.into()]);
        requests.add(&commands::XINFO_STREAM, &[]);
        let expected = "*4\r\n$8\r\nXPENDING\r\n$3\r\na\r\n\r\n$2\r\né\r\n$20\r\n18446744073709551615\r\n\
                        *2\r\n$5\r\nXINFO\r\n$6\r\nSTREAM\r\n";
        assert_eq!((requests.bytes(), requests.count()), (expected.as_bytes(), 2));
        requests.clear();
        assert_eq!((requests.bytes(), requests.count()), (&b""[..], 0));
    }
}
