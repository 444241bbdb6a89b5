//! Files whose content may change while the program runs: certificates that are renewed, mounted Secrets.
//!
//! They are read again on a timer, not watched: Kubernetes replaces a mounted Secret by swapping links, of which watches
//! see now this and now that, and network file systems tell nobody.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

/// Time between two looks.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// A file that cannot be read, or whose content is of no use.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Its content is of no use.
    #[error("{0}")]
    Content(String),
}

/// Reads files; their contents in the order of the paths.
///
/// # Errors
/// The first that cannot be read.
pub fn read(paths: &[&Path]) -> Result<Vec<Vec<u8>>, FileError> {
    let read =
        |path: &&Path| fs::read(path).map_err(|source| FileError::Read { path: path.to_path_buf(), source });
    paths.iter().map(read).collect()
}

/// Applies the contents of files whenever they are others, until cancelled. What cannot be applied leaves all as it was; it
/// is logged once, and tried again with the next change. `applied` are the contents that are in use already.
pub async fn follow(
    paths: &[&Path],
    applied: Vec<Vec<u8>>,
    cancel: CancellationToken,
    apply: impl Fn(&[Vec<u8>]) -> Result<(), FileError>,
) {
    let name = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
    // What was seen last, whether it was of use or not.
    let mut seen = Ok(applied);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let now = read(paths).map_err(|error| with_source(&error));
        if now == seen {
            continue;
        }
        match now
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|contents| apply(contents).map_err(|error| with_source(&error)))
        {
            Ok(()) => tracing::info!(file = name, "file has changed and is in use"),
            Err(error) => tracing::warn!(
                file = name,
                error,
                "file has changed and is of no use: what was read before stays"
            ),
        }
        seen = now;
    }
}

fn with_source(error: &FileError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
