//! Wiring of `streamgauge check`: all that is looked at, in the order in which it is told.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use super::RunError;
use crate::{
    collect,
    config::{Config, ConfigError},
    model::finding::{Check, Finding},
    serve::findings,
};

mod kubernetes;

/// Looks at everything, and tells it.
///
/// # Errors
/// Something fails.
pub(super) async fn check(config: Config, json: bool) -> Result<(), RunError> {
    let mut found = vec![Finding::ok(Check::Config, summary(&config))];
    let adapter = config.kubernetes.clone();
    // What is looked at once is never stale; and whoever shares the streams must be able to read them all.
    let config = Config { stale_after: Duration::MAX, sharding: None, ..config };
    let (of_redis, snapshot) = collect::check::check(config).await;
    found.extend(of_redis);
    if let Some(adapter) = adapter {
        found.extend(kubernetes::findings(&adapter, &snapshot).await);
    }
    tell(&found, json)?;
    if findings::is_ok(&found) { Ok(()) } else { Err(RunError::NotOk) }
}

/// Tells what is wrong with a configuration: there is nothing else to look at then.
///
/// # Errors
/// It cannot be written.
pub fn problems(error: &ConfigError, json: bool) -> Result<(), RunError> {
    let finding = |problem| Finding::fail(Check::Config, format!("{problem}"), "correct it, and check again");
    tell(&error.0.iter().map(finding).collect::<Vec<_>>(), json)
}

fn summary(config: &Config) -> String {
    let names: Vec<_> = config.servers.iter().map(|server| server.name.to_string()).collect();
    let adapter = if config.kubernetes.is_some() { "on" } else { "off" };
    let servers = if names.len() == 1 { "server" } else { "servers" };
    format!("{} {servers} ({}), Kubernetes adapter {adapter}", names.len(), names.join(", "))
}

fn tell(found: &[Finding], json: bool) -> Result<(), RunError> {
    let text = if json { findings::json(found).map_err(io::Error::other)? } else { findings::text(found) };
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that has seen enough, as head, is no error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
