//! A way to Redis that takes time, as another machine is away: each piece is handed on half a round trip after it came,
//! in either direction, and holds nothing back that comes after it. It also notes what is sent.

use std::{
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{Result, series::Series};

/// The proxy. A thread for each connection ends with it, and the one that accepts them with the bench.
pub struct Proxy {
    pub port: u16,
    /// All that was sent to Redis since it was last taken.
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    /// In front of this port.
    pub fn start(server: u16, round_trip: Duration) -> Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (port, sent) = (listener.local_addr()?.port(), Arc::default());
        let notes = Arc::clone(&sent);
        thread::spawn(move || {
            for client in listener.incoming() {
                // A connection that cannot be carried is closed: who is measured says so.
                let _ = client.map(|client| carry(client, server, round_trip / 2, Arc::clone(&notes)));
            }
        });
        Ok(Proxy { port, sent })
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How long PING takes through it, a hundred times.
    pub fn ping(&self) -> Result<Series> {
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        let mut times = Series::default();
        for _ in 0..100 {
            let started = Instant::now();
            redis::cmd("PING").exec(&mut connection)?;
            times.push_time(started.elapsed());
        }
        Ok(times)
    }

    /// What was sent to Redis since this was last asked.
    pub fn take_sent(&self) -> Vec<u8> {
        std::mem::take(&mut self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Both directions by one thread, which sleeps until something comes or is due.
fn carry(client: TcpStream, server: u16, delay: Duration, sent: Arc<Mutex<Vec<u8>>>) -> Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server))?;
    for socket in [&client, &server] {
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
    }
    let [there, back] = [(client.try_clone()?, server.try_clone()?, Some(sent)), (server, client, None)].map(
        |(from, to, notes)| Direction {
            from,
            to,
            notes,
            delay,
            pieces: VecDeque::new(),
            has_ended: false,
            is_full: false,
        },
    );
    thread::spawn(move || {
        // Of the 50 µs by which the system lets a sleeper sleep longer, next to nothing is left.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1000));
        let (mut both, mut buffer) = ([there, back], vec![0; 1 << 16]);
        // A connection that breaks is closed: who is measured says so.
        while both.iter_mut().try_for_each(|direction| direction.pass(&mut buffer)).is_ok()
            && both.iter().any(|direction| !direction.is_over())
            && wait(&both).is_ok()
        {}
    });
    Ok(())
}

/// Until something comes, there is room again for what was held up, or the next piece is due.
fn wait(both: &[Direction; 2]) -> rustix::io::Result<()> {
    let mut events = Vec::new();
    for direction in both {
        if !direction.has_ended {
            events.push(PollFd::new(&direction.from, PollFlags::IN));
        }
        if direction.is_full {
            events.push(PollFd::new(&direction.to, PollFlags::OUT));
        }
    }
    let pieces =
        both.iter().filter(|direction| !direction.is_full).filter_map(|direction| direction.pieces.front());
    let next = pieces.map(|(due, _)| due.saturating_duration_since(Instant::now())).min();
    let next =
        next.map(|next| Timespec { tv_sec: next.as_secs() as i64, tv_nsec: next.subsec_nanos().into() });
    match poll(&mut events, next.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What goes from one to the other.
struct Direction {
    from: TcpStream,
    to: TcpStream,
    notes: Option<Arc<Mutex<Vec<u8>>>>,
    delay: Duration,
    /// What has come, and when it is due.
    pieces: VecDeque<(Instant, Vec<u8>)>,
    /// Whether nothing more comes.
    has_ended: bool,
    /// Whether it takes no more for now.
    is_full: bool,
}

impl Direction {
    /// Whether all has been handed on.
    fn is_over(&self) -> bool {
        self.has_ended && self.pieces.is_empty()
    }

    /// Takes what has come, and hands on what is due.
    fn pass(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let was_over = self.is_over();
        while !self.has_ended {
            match self.from.read(buffer) {
                Ok(0) => self.has_ended = true,
                Ok(size) => {
                    let piece = &buffer[..size];
                    if let Some(notes) = &self.notes {
                        notes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(piece);
                    }
                    self.pieces.push_back((Instant::now() + self.delay, piece.to_vec()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.is_full = false;
        while let Some((due, piece)) = self.pieces.front_mut()
            && *due <= Instant::now()
        {
            match self.to.write(piece) {
                Ok(written) if written == piece.len() => _ = self.pieces.pop_front(),
                Ok(written) => _ = piece.drain(..written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_full = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if self.is_over() && !was_over { self.to.shutdown(Shutdown::Write) } else { Ok(()) }
    }
}
