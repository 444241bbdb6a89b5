//! A way to Redis that takes time, as another machine is away: each piece is handed on half a round trip after it came,
//! in either direction, and holds nothing back that comes after it. It also notes what is sent.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use crate::{Result, series::Series};

/// The proxy. Its threads end with the connections, and the one that accepts them with the bench.
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
                let _ = client.map(|client| carry(client, server, round_trip / 2, &notes));
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

fn carry(client: TcpStream, server: u16, delay: Duration, sent: &Arc<Mutex<Vec<u8>>>) -> Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server))?;
    for socket in [&client, &server] {
        socket.set_nodelay(true)?;
    }
    pass(client.try_clone()?, server.try_clone()?, delay, Some(Arc::clone(sent)));
    pass(server, client, delay, None);
    Ok(())
}

/// One direction, by two threads: one notes when a piece came, the other waits until it is due.
fn pass(mut from: TcpStream, mut to: TcpStream, delay: Duration, notes: Option<Arc<Mutex<Vec<u8>>>>) {
    let (hand, pieces) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(size @ 1..) = from.read(&mut buffer) {
            let piece = buffer[..size].to_vec();
            if let Some(notes) = &notes {
                notes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece);
            }
            if hand.send((Instant::now() + delay, piece)).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        // Of the 50 µs by which the system lets a sleeper sleep longer, next to nothing is left.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1000));
        for (due, piece) in pieces {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
