//! A client of HTTP that costs next to nothing: a plain socket, read into a buffer that is kept.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;

use crate::Result;

/// A client of one address.
pub struct Client {
    address: SocketAddr,
    buffer: Vec<u8>,
}

/// One answer: how long it took from the connection to its last byte, and where its body is.
pub struct Answer<'a> {
    pub time: Duration,
    pub status: u16,
    /// As it came: in chunks, if the server sent chunks.
    pub raw: &'a [u8],
    is_chunked: bool,
    is_gzip: bool,
}

impl Client {
    pub fn of(address: SocketAddr) -> Client {
        Client { address, buffer: vec![0; 1 << 20] }
    }

    /// Asks for a path, in an encoding.
    pub fn get(&mut self, path: &str, encoding: &str) -> Result<Answer<'_>> {
        let started = Instant::now();
        let mut socket = TcpStream::connect(self.address)?;
        socket.set_read_timeout(Some(Duration::from_secs(120)))?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/plain;version=0.0.4\r\nAccept-Encoding: {encoding}\r\nConnection: close\r\n\r\n",
            self.address
        );
        socket.write_all(request.as_bytes())?;
        let mut length = 0;
        loop {
            if length == self.buffer.len() {
                self.buffer.resize(length * 2, 0);
            }
            match socket.read(&mut self.buffer[length..])? {
                0 => break,
                more => length += more,
            }
        }
        let time = started.elapsed();
        let bytes = &self.buffer[..length];
        let end =
            bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or("an answer without a head")?;
        let head = str::from_utf8(&bytes[..end])?.to_ascii_lowercase();
        let status = head.split(' ').nth(1).ok_or("an answer without a status")?.parse()?;
        let is_chunked = head.contains("\r\ntransfer-encoding: chunked");
        let is_gzip = head.contains("\r\ncontent-encoding: gzip");
        Ok(Answer { time, status, raw: &bytes[end + 4..], is_chunked, is_gzip })
    }
}

impl Answer<'_> {
    /// The body, put together from its chunks.
    pub fn body(&self) -> Result<Vec<u8>> {
        let (mut rest, mut body) = (self.raw, Vec::new());
        if !self.is_chunked {
            return Ok(rest.to_vec());
        }
        loop {
            let end = rest.windows(2).position(|window| window == b"\r\n").ok_or("a chunk without a size")?;
            let size = usize::from_str_radix(str::from_utf8(&rest[..end])?, 16)?;
            rest = &rest[end + 2..];
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(rest.get(..size).ok_or("a chunk is cut off")?);
            rest = rest.get(size + 2..).ok_or("a chunk has no end")?;
        }
    }

    /// The body as text, where the answer is that all is well.
    pub fn text(&self) -> Result<String> {
        let body = self.body()?;
        let mut text = String::new();
        match self.is_gzip {
            true => _ = GzDecoder::new(&body[..]).read_to_string(&mut text)?,
            false => text = String::from_utf8(body)?,
        }
        if self.status == 200 { Ok(text) } else { Err(format!("status {}: {text}", self.status).into()) }
    }
}

/// The value of a series in an exposition, by what its line begins with.
pub fn value(exposition: &str, series: &str) -> Result<f64> {
    let rest = exposition.lines().find_map(|line| line.strip_prefix(series));
    let value = rest.and_then(|rest| rest.split_whitespace().next());
    Ok(value.ok_or_else(|| format!("no series {series}"))?.parse()?)
}

/// How many samples there are.
pub fn samples(exposition: &str) -> usize {
    exposition.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count()
}
