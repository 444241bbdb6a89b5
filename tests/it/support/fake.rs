//! A Redis that misbehaves on purpose: it speaks RESP2 and answers as a test says.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// What is sent back for a command.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These bytes, in the place of a reply.
    Is(String),
    /// These bytes, and then the connection is closed.
    Cut(String),
    /// Nothing, for ever.
    Never,
}

/// A server with one healthy stream, `orders`, and whatever a test's own answers make of it.
pub struct FakeRedis {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl FakeRedis {
    /// `answer` comes first; where it has none, the healthy reply is sent.
    pub fn start(answer: impl Fn(&[&str]) -> Option<Reply> + Send + Sync + 'static) -> FakeRedis {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (answer, count) = (Arc::new(answer), connections.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                // It ends when the client is gone.
                thread::spawn(move || converse(stream, &*answer));
            }
        });
        FakeRedis { address, connections }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn converse(mut stream: TcpStream, answer: &dyn Fn(&[&str]) -> Option<Reply>) -> Option<()> {
    let mut requests = BufReader::new(stream.try_clone().ok()?);
    // Replies to what stands between MULTI and EXEC.
    let mut queued: Option<Vec<String>> = None;
    loop {
        let words = request(&mut requests)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (text, cut) = match answer(&words).unwrap_or_else(|| healthy(&words)) {
            Reply::Is(text) => (text, false),
            Reply::Cut(text) => (text, true),
            Reply::Never => {
                let _ = requests.read_to_end(&mut Vec::new());
                return None;
            }
        };
        let text = match (words[0], &mut queued) {
            ("MULTI", _) => {
                queued = Some(Vec::new());
                text
            }
            ("EXEC", Some(replies)) if !text.starts_with('-') => {
                let text = format!("*{}\r\n{}", replies.len(), replies.concat());
                queued = None;
                text
            }
            (_, Some(replies)) if !cut => {
                replies.push(text);
                "+QUEUED\r\n".into()
            }
            _ => text,
        };
        stream.write_all(text.as_bytes()).ok()?;
        if cut {
            return None;
        }
    }
}

/// One command: an array of bulk strings.
fn request(from: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let count = number(from, '*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; number(from, '$')? + 2];
        from.read_exact(&mut word).ok()?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    Some(words)
}

fn number(from: &mut BufReader<TcpStream>, mark: char) -> Option<usize> {
    let mut line = String::new();
    from.read_line(&mut line).ok()?;
    line.trim_end().strip_prefix(mark)?.parse().ok()
}

fn healthy(words: &[&str]) -> Reply {
    Reply::Is(match words {
        ["INFO", ..] => bulk("redis_version:7.0.15\r\n"),
        ["TIME"] => array(&[bulk("1800000000"), bulk("0")]),
        ["SCAN", ..] => array(&[bulk("0"), array(&[bulk("orders")])]),
        ["XINFO", "STREAM", _] => stream(10, "1-0", "10-0"),
        ["XINFO", "GROUPS", _] => array(&[group("workers", 0, 1, "10-0", &int(0))]),
        ["XINFO", "CONSUMERS", ..] => array(&[consumer("alice", 0)]),
        ["XPENDING", ..] => array(&[]),
        ["XRANGE", _, start, end, ..] => entries(start, end, false),
        ["XREVRANGE", _, end, start, ..] => entries(start, end, true),
        ["MEMORY", "USAGE", _] => int(1000),
        _ => "+OK\r\n".into(),
    })
}

pub fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

pub fn int(number: i64) -> String {
    format!(":{number}\r\n")
}

pub fn array(items: &[String]) -> String {
    format!("*{}\r\n{}", items.len(), items.concat())
}

/// Names and values, one after the other.
pub fn fields(fields: &[(&str, String)]) -> String {
    let items: Vec<_> = fields.iter().flat_map(|(name, value)| [bulk(name), value.clone()]).collect();
    array(&items)
}

/// `XINFO STREAM`.
pub fn stream(length: i64, first: &str, last: &str) -> String {
    let entry = |id: &str| array(&[bulk(id), array(&[bulk("n"), bulk("1")])]);
    fields(&[
        ("length", int(length)),
        ("radix-tree-keys", int(1)),
        ("radix-tree-nodes", int(2)),
        ("last-generated-id", bulk(last)),
        ("max-deleted-entry-id", bulk("0-0")),
        ("entries-added", int(length)),
        ("recorded-first-entry-id", bulk(first)),
        ("groups", int(1)),
        ("first-entry", entry(first)),
        ("last-entry", entry(last)),
    ])
}

/// The entries of a range of [`stream`] of ten, `1-0` to `10-0`.
fn entries(start: &str, end: &str, backwards: bool) -> String {
    let id = |text: &str| -> (u64, u64) {
        let (ms, seq) = text.split_once('-').unwrap();
        (ms.parse().unwrap(), seq.parse().unwrap())
    };
    let within = |ms: &u64| id(start) <= (*ms, 0) && (*ms, 0) <= id(end);
    let mut entries: Vec<_> =
        (1..=10).filter(within).map(|ms| array(&[bulk(&format!("{ms}-0")), array(&[])])).collect();
    if backwards {
        entries.reverse();
    }
    array(&entries)
}

/// One group of `XINFO GROUPS`.
pub fn group(name: &str, pending: i64, consumers: i64, last_delivered: &str, lag: &str) -> String {
    fields(&[
        ("name", bulk(name)),
        ("consumers", int(consumers)),
        ("pending", int(pending)),
        ("last-delivered-id", bulk(last_delivered)),
        ("entries-read", int(5)),
        ("lag", lag.to_owned()),
    ])
}

/// One consumer of `XINFO CONSUMERS`.
pub fn consumer(name: &str, pending: i64) -> String {
    fields(&[("name", bulk(name)), ("pending", int(pending)), ("idle", int(1500))])
}
