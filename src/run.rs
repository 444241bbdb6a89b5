//! Wiring only: bind, spawn, wait for a signal, and end in order.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal, Write as _},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    net::TcpListener,
    runtime::Handle,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    cli::Action,
    cluster::ClusterError,
    collect::{
        fleet::{Fleet, Sharing},
        poller::Poller,
    },
    config::{Address, Config, HostPort, ListenAddress, Topology},
    demo::{Demo, DemoError},
    files::FileError,
    model::{guests::Wishes, pattern::Pattern},
    serve::{
        App,
        asking::Asking,
        http,
        kubernetes::Offered,
        listener,
        prometheus::{self, Expositions},
        report, table,
    },
};

mod check;
mod kubernetes;
mod log;
mod reload;
mod sharding;
mod threads;

pub use reload::Origin;
pub use threads::Threads;

use log::RunningLog;
use reload::{Followers, Reloader};

pub use check::problems;

/// Longest time to answer what is under way once the end was asked for.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// Most polls for a single look: as long as lags are bounded, each goes on with the count.
const MOST_ROUNDS: usize = 50;

/// Why the program ends before it is asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An address that cannot be served on.
    #[error("cannot listen on {address} ({flag})")]
    Bind {
        /// The flag that it belongs to.
        flag: &'static str,
        /// The address as configured.
        address: ListenAddress,
        /// The system's reason.
        source: io::Error,
    },
    /// `groups` could not read a server or a stream; the output says which and why.
    #[error("not everything could be read")]
    Unreadable,
    /// `check` found something that fails; the output says what.
    #[error("something fails")]
    NotOk,
    /// A file that was named cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The Kubernetes API server is needed, and there is no way to it.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The demo could not start.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The system refused something else.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Does what the command line asks for; what measures while it serves, on threads of its own.
///
/// # Errors
/// See [`RunError`].
pub async fn run(action: Action, config: Config, origin: Origin, measuring: Handle) -> Result<(), RunError> {
    match action {
        Action::Groups { json, watch } => groups(config, json, watch).await,
        Action::Check { json } => check::check(config, json).await,
        Action::Serve => {
            let log = RunningLog::start(&config.log);
            let hangups = signal(SignalKind::hangup())?;
            let ends = Ends { hangup: None, ..Ends::listen()? };
            serve(config, ends, Some(Reloading { origin, log, hangups }), None, measuring).await
        }
        Action::Demo => {
            RunningLog::start(&config.log);
            demo(config, measuring).await
        }
    }
}

/// What it takes to go over to a newer configuration.
struct Reloading {
    origin: Origin,
    log: RunningLog,
    hangups: Signal,
}

/// What to tell the user once the given URLs are served.
type Greeting = dyn Fn(&[String]);

async fn serve(
    config: Config,
    mut ends: Ends,
    reloading: Option<Reloading>,
    greeting: Option<&Greeting>,
    measuring: Handle,
) -> Result<(), RunError> {
    let listeners = bind("--web.listen-address", &config.listen).await?;
    let kubernetes = match config.kubernetes.clone() {
        Some(kubernetes) => {
            Some((bind("--kubernetes.listen-address", &kubernetes.listen).await?, kubernetes))
        }
        None => None,
    };
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
    let stop_serving = CancellationToken::new();
    let stop_polling = CancellationToken::new();

    let (servers, background) = (TaskTracker::new(), TaskTracker::new());
    let part = sharding::part(config.sharding.clone(), &background, &stop_polling).await?;
    let (wishes, wished) = watch::channel(Wishes::new(config.guest_streams));
    let sharing = Sharing { part, wishes: wished };
    let (fleet, snapshot) = {
        let _on_these_threads = measuring.enter();
        Fleet::start(&config, sharing, background.clone(), stop_polling.clone())
    };
    let expositions = Arc::new(Expositions::new(measuring.clone()));
    background.spawn(prometheus::follow(expositions.clone(), snapshot.clone(), stop_polling.clone()));
    let (loads, loaded) = watch::channel(reload::succeeded());
    let (ask, requests) = mpsc::channel(1);
    let app = App {
        snapshot,
        asking: Arc::new(Asking::new(wishes)),
        draining: stop_serving.clone(),
        telemetry_path: config.telemetry_path.clone().into(),
        aside: measuring.clone(),
        expositions,
        requests: Arc::default(),
        loads: loaded,
        reload: Some(ask).filter(|_| config.enable_lifecycle && reloading.is_some()),
    };
    let router = http::router(app.clone());
    let mut offered = None;
    if let Some((listeners, kubernetes)) = kubernetes {
        let (offer, followed) = watch::channel(Arc::new(Offered::new(kubernetes.offer.clone())));
        offered = Some(offer);
        kubernetes::start(kubernetes, listeners, app, followed, &servers, &background, &stop_polling).await?;
    }
    // The pollers end with whoever gives them their orders.
    let mut unchanging = None;
    match reloading {
        Some(Reloading { origin, log, hangups }) => {
            let reloader = Reloader::new(origin, &config, Followers { log, fleet, offered, loads });
            // It starts pollers, which stay on the threads of whoever starts them.
            background.spawn_on(reloader.run(hangups, requests, stop_polling.clone()), &measuring);
        }
        None => unchanging = Some(fleet),
    }
    for listener in listeners {
        let router = router.clone();
        servers.spawn(listener::serve(listener, router, None, stop_serving.clone(), DRAIN_DEADLINE));
    }
    servers.close();
    background.close();
    for address in &addresses {
        tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "serving");
    }
    if let Some(greet) = greeting {
        greet(&addresses.iter().map(|address| format!("http://{}", reachable(*address))).collect::<Vec<_>>());
    }

    let signal = ends.next().await;
    tracing::info!(signal, "ending: not ready from now on, answering what is under way");
    stop_serving.cancel();
    tokio::select! {
        () = servers.wait() => {}
        // Whoever asks twice wants it now.
        signal = ends.next() => tracing::warn!(signal, "ending at once"),
    }
    stop_polling.cancel();
    background.wait().await;
    drop(unchanging);
    tracing::info!("ended");
    Ok(())
}

async fn bind(flag: &'static str, addresses: &[ListenAddress]) -> Result<Vec<TcpListener>, RunError> {
    let mut listeners = Vec::new();
    for address in addresses {
        let bound = match &address.host {
            Some(host) => TcpListener::bind((host.as_str(), address.port)).await,
            // All addresses: IPv6 with IPv4 in it, or IPv4 alone where the machine has no IPv6.
            None => match TcpListener::bind(("::", address.port)).await {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    TcpListener::bind(("0.0.0.0", address.port)).await
                }
                bound => bound,
            },
        };
        listeners.push(bound.map_err(|source| RunError::Bind { flag, address: address.clone(), source })?);
    }
    Ok(listeners)
}

/// An address that a browser on this machine can open.
fn reachable(mut address: std::net::SocketAddr) -> std::net::SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

async fn groups(config: Config, json: bool, watch: Option<Duration>) -> Result<(), RunError> {
    let mut ends = Ends::listen()?;
    // What is looked at once is never stale.
    let config = Config { stale_after: Duration::MAX, ..config };
    let (mut pollers, snapshot) = Poller::for_all(&config);
    loop {
        let rounds = if watch.is_some() { 1 } else { MOST_ROUNDS };
        let all = futures_util::future::join_all(pollers.iter_mut().map(|poller| poller.rounds(rounds)));
        tokio::select! {
            _ = ends.next() => return Ok(()),
            _ = all => {}
        }
        let (now, current) = (Instant::now(), snapshot.borrow().clone());
        let report = report::report(&current, now);
        let text = if json {
            serde_json::to_string_pretty(&report).map_err(io::Error::other)? + "\n"
        } else {
            table::render(&report)
        };
        let mut out = io::stdout().lock();
        // Clear the screen and go to its corner, where it is one.
        let clear = if watch.is_some() && out.is_terminal() { "\x1b[2J\x1b[H" } else { "" };
        match write!(out, "{clear}{text}").and_then(|()| out.flush()) {
            // A reader that has seen enough, as head, is no error.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
        drop(out);
        let errors: Vec<_> = report.errors().collect();
        errors.iter().for_each(|error| eprintln!("streamgauge: {error}"));
        match watch {
            None if errors.is_empty() => return Ok(()),
            None => return Err(RunError::Unreadable),
            Some(interval) => tokio::select! {
                _ = ends.next() => return Ok(()),
                () = tokio::time::sleep(interval) => {}
            },
        }
    }
}

async fn demo(mut config: Config, measuring: Handle) -> Result<(), RunError> {
    let mut ends = Ends::listen()?;
    let demo = tokio::select! {
        // A start that is dropped half way leaves nothing behind either.
        _ = ends.next() => return Ok(()),
        demo = Demo::start() => demo?,
    };
    for server in &mut config.servers {
        server.name = "demo".into();
        let place = HostPort { host: "127.0.0.1".into(), port: demo.port() };
        server.topology = Topology::Single(Address::Tcp(place));
        (server.username, server.password, server.tls) = (None, None, None);
        server.databases = BTreeSet::from([0]);
        server.streams = Pattern::parse("*").into_iter().collect();
    }
    (config.kubernetes, config.sharding) = (None, None);
    let (port, path) = (demo.port(), config.telemetry_path.clone());
    let greet = move |urls: &[String]| {
        for url in urls {
            println!("page      {url}/");
            println!("metrics   {url}{path}");
            println!("json      {url}/api/v1/groups");
        }
        println!("redis     redis-cli -p {port}");
        println!("terminal  streamgauge groups --watch --redis.url redis://127.0.0.1:{port}");
        println!("Ctrl-C ends it and leaves nothing behind.");
    };
    let ended = serve(config, ends, None, Some(&greet), measuring).await;
    demo.stop().await;
    ended
}

/// The signals that ask for the end.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
    /// The terminal was closed; `None` where that stands for something else.
    hangup: Option<Signal>,
}

impl Ends {
    fn listen() -> io::Result<Ends> {
        Ok(Ends {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: Some(signal(SignalKind::hangup())?),
        })
    }

    async fn next(&mut self) -> &'static str {
        let hung_up = async {
            match &mut self.hangup {
                Some(hangup) => _ = hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            () = hung_up => "SIGHUP",
        }
    }
}
