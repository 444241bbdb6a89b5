//! The `streamgauge` program: parse the command line, start the threads, map errors to exit codes.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use streamgauge::{
    cli::{self, Action},
    run::{self, Origin, RunError, Threads},
};

/// Bad input: nothing was started.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let variables =
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let invocation = match cli::parse(std::env::args_os(), variables) {
        Ok(invocation) => invocation,
        Err(error) => error.exit(),
    };
    let (action, origin) = (invocation.action, Origin::read(invocation.sources));
    let config = match origin.load() {
        Ok(config) => config,
        // What is wrong with it is just what was asked for.
        Err(error) => {
            return match action {
                Action::Check { json } => match run::problems(&error, json) {
                    Ok(()) => ExitCode::FAILURE,
                    Err(error) => fail(1, &error),
                },
                _ => fail(USAGE, &error),
            };
        }
    };
    let threads = match Threads::start(config.servers.len()) {
        Ok(threads) => threads,
        Err(error) => return fail(1, &error),
    };
    let ended = match threads.block_on(async |measuring| run::run(action, config, origin, measuring).await) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ (RunError::Bind { .. } | RunError::File(_) | RunError::Cluster(_))) => {
            fail(USAGE, &error)
        }
        // What cannot be read stands in the output already.
        Err(RunError::Unreadable | RunError::NotOk) => ExitCode::FAILURE,
        Err(error) => fail(1, &error),
    };
    threads.stop();
    ended
}

/// Each line of the message gets the program's name, once its sources are appended.
fn fail(code: u8, error: &dyn std::error::Error) -> ExitCode {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        message = format!("{message}: {error}");
        source = error.source();
    }
    for line in message.lines() {
        eprintln!("streamgauge: {line}");
    }
    ExitCode::from(code)
}
