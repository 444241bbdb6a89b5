//! The log on standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{
    Layer, Registry,
    filter::{Filtered, LevelFilter, Targets},
    layer::SubscriberExt as _,
    reload::{self, Handle},
    util::SubscriberInitExt as _,
};

use crate::config::Log;

type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// The log that runs: it can be told to go on in another way.
pub(super) struct RunningLog(Handle<Filtered<Lines, Targets, Registry>, Registry>);

impl RunningLog {
    /// Starts it.
    pub(super) fn start(log: &Log) -> RunningLog {
        let (layer, handle) = reload::Layer::new(lines(log).with_filter(filter(log)));
        tracing_subscriber::registry().with(layer).init();
        RunningLog(handle)
    }

    /// Goes on with this level and format.
    pub(super) fn apply(&self, log: &Log) {
        // It fails only where the log is gone: then there is nobody to tell.
        let _ = self.0.modify(|layer| {
            *layer.inner_mut() = lines(log);
            *layer.filter_mut() = filter(log);
        });
    }
}

/// Libraries are heard from warnings on, but for two: kube's client would report every failure, and answers in full, where
/// what comes of them is logged by `cluster`; h2 warns of what any client can do.
fn filter(log: &Log) -> Targets {
    Targets::new()
        .with_target("streamgauge", log.level)
        .with_target("kube_client", LevelFilter::OFF)
        .with_target("h2", LevelFilter::ERROR)
        .with_default(tracing::Level::WARN.min(log.level))
}

fn lines(log: &Log) -> Lines {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    if log.json {
        lines.json().flatten_event(true).boxed()
    } else {
        lines.with_ansi(io::stderr().is_terminal()).boxed()
    }
}
