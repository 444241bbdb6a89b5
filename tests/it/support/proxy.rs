//! A TCP proxy in front of a server, which breaks conversations as a test says. It counts the bytes of replies: a cut
//! comes before the byte that the test names.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    runtime::Runtime,
    sync::watch,
    task::JoinHandle,
};

use super::{redis::free_port, wait};

/// A proxy on a port of its own; ended on drop, with all its connections.
pub struct Proxy {
    address: SocketAddr,
    server: SocketAddr,
    shared: Arc<Shared>,
    accepting: Mutex<Option<JoinHandle<()>>>,
    runtime: Option<Runtime>,
}

/// How a connection ends, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With RST: what is on the way may be lost.
    Reset,
    /// With FIN, after all bytes before.
    Close,
    /// Not at all: no byte of any connection's replies passes until [`Proxy::release`].
    Hold,
}

struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    /// What comes next, each after so many more bytes of replies.
    cuts: VecDeque<(usize, End)>,
    /// Cuts that have come.
    done: usize,
    held: bool,
    /// Whether a reply waits for the release.
    waiting: bool,
    /// Most bytes of replies at once, with a pause after them.
    piece: Option<usize>,
    /// Connections before this one are ended in this way.
    ended: (usize, Option<End>),
    accepted: usize,
    open: usize,
    most_open: usize,
    /// Parts of requests so far.
    requests: usize,
    /// Bytes of replies so far.
    passed: usize,
}

/// What becomes of the next bytes of a reply.
enum Next {
    Pass(usize),
    Wait,
    End(End),
}

impl Proxy {
    pub fn of(server: SocketAddr) -> Proxy {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let shared = Arc::new(Shared { state: Mutex::default(), changed: watch::channel(()).0 });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let accepting = Mutex::default();
        let mut proxy = Proxy { address, server, shared, accepting, runtime: Some(runtime) };
        // Not one that the system gives to others while this one refuses. Other runs of the tests may take it.
        wait::until("a port of its own", || {
            proxy.address.set_port(free_port());
            proxy.listen().map_err(|error| error.to_string())
        });
        proxy
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Further cuts, one after the other: each so many bytes of replies after the one before, or from now.
    pub fn cut(&self, cuts: &[(usize, End)]) {
        self.change(|state| state.cuts.extend(cuts));
    }

    /// Waits until all cuts have come.
    #[track_caller]
    pub fn wait_cut(&self) {
        wait::until("the cuts to come", || match self.lock().cuts.len() {
            0 => Ok(()),
            left => Err(format!("{left} to come")),
        });
    }

    /// Cuts that have come.
    pub fn cuts_done(&self) -> usize {
        self.lock().done
    }

    /// From now on no byte of replies passes.
    pub fn hold(&self) {
        self.change(|state| state.held = true);
    }

    /// Waits until a reply is held, and so its poll is under way.
    #[track_caller]
    pub fn wait_held(&self) {
        wait::until_true("a reply to be held", || self.lock().waiting);
    }

    /// What was held passes, and what follows.
    pub fn release(&self) {
        self.change(|state| (state.held, state.waiting) = (false, false));
    }

    /// Parts of requests so far: at least one for each pipeline.
    pub fn requests(&self) -> usize {
        self.lock().requests
    }

    /// From now on replies come in pieces of so many bytes, at least a millisecond apart.
    pub fn dribble(&self, piece: Option<usize>) {
        self.change(|state| state.piece = piece);
    }

    /// Ends all connections that are open, with whatever is held.
    pub fn end_all(&self, how: End) {
        self.change(|state| state.ended = (state.accepted, Some(how)));
    }

    /// From now on there is nobody on the port. Connections that are open stay so.
    pub fn refuse(&self) {
        if let Some(accepting) = self.accepting.lock().unwrap().take() {
            accepting.abort();
            // Aborted is not yet gone, and the port with it.
            let _ = self.runtime().block_on(accepting);
        }
    }

    /// There is somebody again, if there was nobody.
    pub fn admit(&self) {
        self.listen().unwrap();
    }

    fn listen(&self) -> io::Result<()> {
        let mut place = self.accepting.lock().unwrap();
        if place.is_some() {
            return Ok(());
        }
        let listener = self.runtime().block_on(TcpListener::bind(self.address))?;
        let (shared, server) = (self.shared.clone(), self.server);
        *place = Some(self.runtime().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(shared.clone(), client, server));
            }
        }));
        Ok(())
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.lock().open
    }

    /// Most connections that were open at once.
    pub fn most_open(&self) -> usize {
        self.lock().most_open
    }

    /// Bytes of replies so far.
    pub fn passed(&self) -> usize {
        self.lock().passed
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().unwrap()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.shared.changed.send_replace(());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A connection, counted as long as it lives.
struct Open {
    shared: Arc<Shared>,
    number: usize,
}

impl Open {
    fn new(shared: Arc<Shared>) -> Open {
        let mut state = shared.state.lock().unwrap();
        state.open += 1;
        state.most_open = state.most_open.max(state.open);
        state.accepted += 1;
        let number = state.accepted;
        drop(state);
        Open { shared, number }
    }

    /// What becomes of the next bytes, so many of them.
    fn next(&self, count: usize) -> Next {
        let mut state = self.shared.state.lock().unwrap();
        if let Some(how) = self.is_ended(&state) {
            return Next::End(how);
        }
        if let Some((0, how)) = state.cuts.front().copied() {
            state.cuts.pop_front();
            state.done += 1;
            match how {
                End::Hold => state.held = true,
                how => return Next::End(how),
            }
        }
        if state.held {
            state.waiting = true;
            return Next::Wait;
        }
        let mut count = count.min(state.piece.unwrap_or(usize::MAX));
        if let Some((left, _)) = state.cuts.front_mut() {
            count = count.min(*left);
            *left -= count;
        }
        state.passed += count;
        Next::Pass(count)
    }

    fn is_ended(&self, state: &State) -> Option<End> {
        state.ended.1.filter(|_| self.number <= state.ended.0)
    }

    /// Waits until it is ended from outside.
    async fn ended(&self, changed: &mut watch::Receiver<()>) -> End {
        loop {
            if let Some(how) = self.is_ended(&self.shared.state.lock().unwrap()) {
                return how;
            }
            let _ = changed.changed().await;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().open -= 1;
    }
}

async fn carry(shared: Arc<Shared>, mut client: TcpStream, server: SocketAddr) {
    let open = Open::new(shared);
    let mut how = End::Reset;
    if let Ok(mut server) = TcpStream::connect(server).await {
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let ((requests, client), (replies, server)) = (client.split(), server.split());
        how = tokio::select! {
            how = ask(&open, requests, server) => how,
            how = pass(&open, replies, client) => how,
        };
    }
    if how == End::Reset {
        let _ = client.set_zero_linger();
    }
}

/// Passes requests on until one side ends it.
async fn ask(open: &Open, mut requests: ReadHalf<'_>, mut server: WriteHalf<'_>) -> End {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(size @ 1..) = requests.read(&mut buffer).await {
        open.shared.state.lock().unwrap().requests += 1;
        if server.write_all(&buffer[..size]).await.is_err() {
            break;
        }
    }
    End::Close
}

/// Passes replies on until one side or the test ends it.
async fn pass(open: &Open, mut replies: ReadHalf<'_>, mut client: WriteHalf<'_>) -> End {
    let (mut changed, mut buffer) = (open.shared.changed.subscribe(), vec![0; 1 << 16]);
    loop {
        let size = tokio::select! {
            how = open.ended(&mut changed) => return how,
            read = replies.read(&mut buffer) => match read {
                Ok(0) => return End::Close,
                Ok(size) => size,
                Err(_) => return End::Reset,
            },
        };
        let mut rest = &buffer[..size];
        while !rest.is_empty() {
            match open.next(rest.len()) {
                Next::End(how) => return how,
                Next::Wait => _ = changed.changed().await,
                Next::Pass(count) => {
                    let (now, later) = rest.split_at(count);
                    if client.write_all(now).await.is_err() {
                        return End::Close;
                    }
                    rest = later;
                    if open.shared.state.lock().unwrap().piece.is_some() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            }
        }
    }
}
