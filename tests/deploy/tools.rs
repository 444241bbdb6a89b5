//! The programs and schemas that `scripts/test-deploy` provides.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::process;

fn folder(variable: &str) -> PathBuf {
    let folder = env::var_os(variable).map(PathBuf::from);
    folder
        .unwrap_or_else(|| panic!("{variable} is not set: make test-deploy and make test-kubernetes set it"))
}

/// helm, with nothing of this machine's settings, and without a cluster.
pub fn helm(home: &Path) -> Command {
    let mut command = Command::new(folder("STREAMGAUGE_TEST_DEPLOY").join("helm"));
    isolate(&mut command, home);
    command
}

/// kubectl, the same.
pub fn kubectl(home: &Path) -> Command {
    let mut command = Command::new(folder("STREAMGAUGE_TEST_KUBERNETES").join("kubectl"));
    isolate(&mut command, home);
    command
}

/// The reader of Docker Compose's files.
pub fn compose(home: &Path) -> Command {
    let mut command = Command::new(folder("STREAMGAUGE_TEST_DEPLOY").join("compose-spec"));
    isolate(&mut command, home);
    command
}

fn isolate(command: &mut Command, home: &Path) {
    for (variable, _) in env::vars_os() {
        let name = variable.to_string_lossy();
        if ["COMPOSE_", "HELM_", "KUBE", "XDG_"].iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&variable);
        }
    }
    command.env("HOME", home).env("KUBECONFIG", "/dev/null").current_dir(env!("CARGO_MANIFEST_DIR"));
}

/// The file with the definition of a custom resource, by its plural and group.
pub fn definition(name: &str) -> PathBuf {
    folder("STREAMGAUGE_TEST_DEPLOY").join("crds").join(format!("{name}.yaml"))
}

/// The binary of the image, which `scripts/static-binary` builds.
pub fn image_binary() -> PathBuf {
    folder("STREAMGAUGE_TEST_IMAGE_BINARY")
}

/// Runs one to its end: what it wrote, or what it said of why it could not.
pub fn output(command: Command) -> Result<String, String> {
    let output = process::run(command, b"");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
