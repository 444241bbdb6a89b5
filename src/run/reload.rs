//! Wiring of the reload: what asks for one (SIGHUP, `POST /-/reload`, the file), and who goes over to what it brings.
//!
//! One after the other, and each whole or not at all: with a single problem everything goes on as before.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    signal::unix::Signal,
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use super::log::RunningLog;
use crate::{
    catalogue::exporter::Loads,
    collect::fleet::Fleet,
    config::{self, Config, ConfigError, Contents, Problem, Sources},
    files,
    model::{offer::Offer, time::UnixMicros},
    serve::{kubernetes::Offered, lifecycle::ReloadRequest},
};

/// Time for which a file that has changed must stay as it is: it may be being written.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// Where a configuration comes from, and what the file held when it was read last.
pub struct Origin {
    sources: Sources,
    contents: Contents,
}

impl Origin {
    /// Reads the file.
    #[must_use]
    pub fn read(sources: Sources) -> Origin {
        Origin { contents: sources.read(), sources }
    }

    /// The configuration, with the file as it was read.
    ///
    /// # Errors
    /// Every problem there is with what was written.
    pub fn load(&self) -> Result<Config, ConfigError> {
        config::load_read(&self.sources, &self.contents)
    }
}

/// Who goes over to a newer configuration.
pub(super) struct Followers {
    pub(super) log: RunningLog,
    pub(super) fleet: Fleet,
    /// `None` where the adapter is off.
    pub(super) offered: Option<watch::Sender<Arc<Offered>>>,
    /// What came of it, for /metrics.
    pub(super) loads: watch::Sender<Loads>,
}

/// Reloads whenever somebody asks for it, or the file holds something else.
pub(super) struct Reloader {
    origin: Origin,
    /// What the process was started with, as far as it stays.
    startup: config::Startup,
    /// What is in use.
    log: config::Log,
    followers: Followers,
}

impl Reloader {
    /// With this configuration in use.
    pub(super) fn new(origin: Origin, config: &Config, followers: Followers) -> Reloader {
        Reloader { origin, startup: config.startup.clone(), log: config.log, followers }
    }

    /// Until cancelled.
    pub(super) async fn run(
        mut self,
        mut hangups: Signal,
        mut requests: mpsc::Receiver<ReloadRequest>,
        cancel: CancellationToken,
    ) {
        let mut looks = tokio::time::interval(files::INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut settling = Settling::default();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = hangups.recv() => drop(self.reload("SIGHUP")),
                Some(request) = requests.recv() => {
                    let done = self.reload("POST /-/reload");
                    // Whoever does not wait for it any more need not know.
                    let _ = request.send(done.map_err(|error| error.to_string()));
                }
                _ = looks.tick() => {
                    match settling.look(&self.origin.contents, self.origin.sources.read()) {
                        Look::Same => {}
                        Look::Changing => looks.reset_after(SETTLED_AFTER),
                        Look::Settled => drop(self.reload("file")),
                    }
                }
            }
        }
    }

    fn reload(&mut self, trigger: &'static str) -> Result<(), ConfigError> {
        self.origin.contents = self.origin.sources.read();
        match self.load() {
            Ok(config) => {
                self.apply(trigger, &config);
                self.followers.loads.send_replace(succeeded());
                Ok(())
            }
            Err(error) => {
                self.followers.loads.send_modify(|loads| loads.latest_succeeded = false);
                let problems: Vec<_> = error.0.iter().map(Problem::to_string).collect();
                tracing::warn!(
                    trigger,
                    problems = problems.join("; "),
                    "configuration is of no use: the one before stays"
                );
                Err(error)
            }
        }
    }

    fn load(&self) -> Result<Config, ConfigError> {
        let config = self.origin.load()?;
        let problems = self.startup.changed_in(&config.startup);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError(problems)) }
    }

    fn apply(&mut self, trigger: &'static str, config: &Config) {
        let Followers { log, fleet, offered, .. } = &mut self.followers;
        if config.log != self.log {
            log.apply(&config.log);
            self.log = config.log;
        }
        // Before the servers: a stream that not everybody may read is never offered to all, not for a moment.
        if let Some(offered) = offered {
            let offer =
                config.kubernetes.as_ref().map_or_else(Offer::default, |kubernetes| kubernetes.offer.clone());
            offered.send_replace(Arc::new(Offered::new(offer)));
        }
        let changes = fleet.apply(config);
        let (added, changed, removed) = (changes.added, changes.changed, changes.removed);
        tracing::info!(trigger, added, changed, removed, "configuration is in use");
    }
}

/// The configuration was loaded now.
pub(super) fn succeeded() -> Loads {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let succeeded_at = UnixMicros(since.as_micros().try_into().unwrap_or(u64::MAX));
    Loads { latest_succeeded: true, succeeded_at }
}

/// What the file holds that was not there at the look before; `None` where it is what was read last.
#[derive(Default)]
struct Settling(Option<Contents>);

/// What a look at the file brings.
#[derive(Debug, PartialEq)]
enum Look {
    /// It holds what was read last.
    Same,
    /// It holds something else since this look.
    Changing,
    /// It has held something else for two looks.
    Settled,
}

impl Settling {
    fn look(&mut self, read: &Contents, now: Contents) -> Look {
        if now == *read {
            self.0 = None;
            return Look::Same;
        }
        if self.0.take().as_ref() == Some(&now) {
            return Look::Settled;
        }
        self.0 = Some(now);
        Look::Changing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_being_written_is_not_taken() {
        let holds = |text: &str| Some(Ok(text.as_bytes().to_vec()));
        let (old, mut settling) = (holds("old"), Settling::default());
        for (now, expected) in [
            (holds("old"), Look::Same),
            (holds(""), Look::Changing),
            (holds("ne"), Look::Changing),
            (Some(Err("gone".into())), Look::Changing),
            (holds("new"), Look::Changing),
            (holds("old"), Look::Same),
            (holds("new"), Look::Changing),
            (holds("new"), Look::Settled),
        ] {
            assert_eq!(settling.look(&old, now.clone()), expected, "{now:?}");
        }
        assert_eq!(settling.look(&holds("new"), holds("new")), Look::Same);
        assert_eq!(settling.look(&None, None), Look::Same, "no file is named");
    }
}
