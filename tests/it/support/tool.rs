//! Programs that the tests need besides the one they test.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

/// Ends the test where one of these programs is missing: see [`require`].
macro_rules! needs {
    ($($program:literal),+) => {
        if ![$($program),+].into_iter().all($crate::support::tool::require) {
            return;
        }
    };
}
pub(crate) use needs;

/// Whether a program is there. Where it is not, the test must return: skipped for all to see, or failed where
/// `STREAMGAUGE_TEST_REQUIRE_ALL` demands everything.
#[must_use]
pub fn require(program: &str) -> bool {
    let found = is_installed(program);
    if !found {
        lacks(&format!("`{program}` is not installed"));
    }
    found
}

/// The folder that a script has made ready and that this variable names. Where it names none, the test must return, as with
/// [`require`].
#[must_use]
pub fn require_folder(variable: &str, script: &str) -> Option<PathBuf> {
    let folder = env::var_os(variable).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    if folder.is_none() {
        lacks(&format!("{variable} is not set: `export \"$({script})\"` sets it"));
    }
    folder
}

/// Fails where everything is demanded; else says that a test is skipped.
pub fn lacks(what: &str) {
    assert!(
        env::var_os("STREAMGAUGE_TEST_REQUIRE_ALL").is_none_or(|value| value != "1"),
        "{what}, and STREAMGAUGE_TEST_REQUIRE_ALL=1"
    );
    // Straight to the process's standard error: eprintln! of a test that passes is not shown.
    let note = format!("SKIPPED: {what}: a test that needs it proves nothing here");
    let _ = Command::new("sh").args(["-c", "echo \"$0\" >&2", &note]).stdin(Stdio::null()).status();
}

/// What `promtool check metrics` says of an exposition: nothing, where it is in order.
pub fn promtool_check(exposition: &str) -> Result<(), String> {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]);
    let output = super::process::run(command, exposition.as_bytes());
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    match (output.status.success(), said.is_empty()) {
        (true, true) => Ok(()),
        _ => Err(format!("{}: {said}", output.status)),
    }
}

/// Whether a program is on the path.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .map(|directory| directory.join(program))
        .any(|path: PathBuf| path.is_file())
}
