//! The settings that the process keeps from its start to its end: a reload that changes one is refused as a whole.
//!
//! Which these are, the table of settings says.

use std::collections::BTreeMap;

use super::{
    Problem,
    section::Section,
    settings::{self, Setting},
    tree::Place,
    typed::Checked,
};

/// Their values, each with its place.
#[derive(Clone, Debug, Default)]
pub struct Startup(BTreeMap<&'static str, Checked>);

impl Startup {
    /// Those of a configuration. The table has them among the globals only.
    pub(super) fn of(globals: &Section) -> Startup {
        let kept = settings::all().filter(|setting| setting.restart);
        let value = |setting: &Setting| Some((setting.path, globals.get(setting.path)?.clone()));
        Startup(kept.filter_map(value).collect())
    }

    /// A problem for each of them that a newer configuration wants otherwise.
    #[must_use]
    pub fn changed_in(&self, newer: &Startup) -> Vec<Problem> {
        let kept = settings::all().filter(|setting| setting.restart).map(|setting| setting.path);
        let changed = kept.filter(|path| {
            let [before, after] = [self, newer].map(|startup| startup.0.get(path));
            before.map(|checked| &checked.value) != after.map(|checked| &checked.value)
        });
        let problem = |path: &'static str| Problem {
            place: newer.0.get(path).map_or(Place::Default, |checked| checked.place.clone()),
            path: path.to_owned(),
            message: "needs a restart to change: restart streamgauge, or put back what it was started with"
                .into(),
        };
        changed.map(problem).collect()
    }
}
