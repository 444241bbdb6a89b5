//! The Helm chart: whatever its values are, what it renders is sound, or it is refused with a reason.

use std::fs;

use serde_json::Value;

use crate::{objects::parse, tools};

mod certificate;
mod install;
mod matrix;
mod refused;
mod toggles;
mod values;

/// The chart's folder.
pub const CHART: &str = "deploy/helm/streamgauge";

/// What Helm renders with these values, for a release and namespace `streamgauge`.
pub fn try_render(values: &str) -> Result<Vec<Value>, String> {
    Ok(parse(&template("streamgauge", values)?))
}

#[track_caller]
pub fn render(values: &str) -> Vec<Value> {
    try_render(values).unwrap_or_else(|error| panic!("{error}\n{values}"))
}

/// The same as text, for a release of any name in the namespace `streamgauge`.
pub fn template(release: &str, values: &str) -> Result<String, String> {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("values.yaml");
    fs::write(&file, values).unwrap();
    let mut helm = tools::helm(home.path());
    helm.args(["template", release, CHART, "--namespace=streamgauge", "--values"]).arg(file);
    tools::output(helm)
}

#[test]
fn it_passes_helm_lint() {
    let home = tempfile::tempdir().unwrap();
    let mut helm = tools::helm(home.path());
    helm.args(["lint", "--strict", CHART]);
    let said = tools::output(helm).unwrap();
    assert!(said.contains("1 chart(s) linted, 0 chart(s) failed"), "{said}");
}
