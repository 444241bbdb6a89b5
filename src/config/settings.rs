//! THE table of settings. The command line, the variables, the file, its JSON Schema, `--help` and
//! `docs/configuration.md` all come from it.
//!
//! To add a setting, add a row to one of `TABLES` and read it in `validate`.

use std::time::Duration;

mod general;
mod kubernetes;
mod server;
mod sharding;

pub use kubernetes::NAMESPACE;

/// One setting: a row of the table.
#[derive(Debug)]
pub struct Setting {
    /// Place in the file: keys joined by dots. `redis[]` is one section of a list, `metrics{}` one of a mapping:
    /// see [`COLLECTIONS`].
    pub path: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// Whether a section without it is a mistake.
    pub required: bool,
    /// What holds where nothing is said.
    pub default: Option<&'static str>,
    /// Flag of the command line, without the dashes; secrets have none, since every process can read it.
    pub flag: Option<&'static str>,
    /// Variable that other tools use for the same: read last.
    pub fallback: Option<&'static str>,
    /// Whether the process keeps what it was started with: a reload that changes it is refused. For globals only.
    pub restart: bool,
    /// A value to show in the docs.
    pub example: &'static str,
    /// What it does, for `--help` and the docs: one paragraph.
    pub help: &'static str,
}

/// What a row need not say.
const BLANK: Setting = Setting {
    path: "",
    kind: Kind::Text,
    required: false,
    default: None,
    flag: None,
    fallback: None,
    restart: false,
    example: "",
    help: "",
};

/// The longest that most durations may be.
const HOUR: Duration = Duration::from_secs(3600);

const fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Type and range of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A string that is never shown.
    Secret,
    /// The path of a file.
    File,
    /// True or false.
    Bool,
    /// A whole number between two bounds, both included.
    Count(i64, i64),
    /// One or several whole numbers between two bounds, both included; on the command line separated by commas.
    Counts(i64, i64),
    /// A duration between two bounds, both included: `500ms`, `5s`, `1m30s`.
    Duration(Duration, Duration),
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A string of a certain form.
    Form(&'static Form),
    /// Name of a metric that autoscalers may read.
    Metric,
    /// A list of strings; on the command line separated by commas, and the flag may be repeated.
    List,
}

/// A list of sections, or a mapping from names that the user chooses to sections: a row of [`COLLECTIONS`].
#[derive(Debug, PartialEq, Eq)]
pub struct Collection {
    /// What the paths of its settings begin with: `redis[]` for a list, `metrics{}` for a mapping.
    pub path: &'static str,
    /// What each section stands for; more of them with an s.
    pub item: &'static str,
    /// Whether there is one section where the file has none: then flags and variables speak of it.
    pub implied: bool,
    /// For a mapping, what a name in it looks like; `None` is a list.
    pub names: Option<Form>,
    /// A name to show in the docs.
    pub example: &'static str,
    /// What it is for, for the docs: one paragraph.
    pub help: &'static str,
}

/// What a text must look like.
#[derive(Debug, PartialEq, Eq)]
pub struct Form {
    /// A regular expression that reads the same in JSON Schema.
    pub pattern: &'static str,
    /// The same in words, after "expected".
    pub words: &'static str,
}

/// The rows, in the order in which they are shown.
static TABLES: &[&[Setting]] = &[general::ROWS, server::ROWS, kubernetes::ROWS, sharding::ROWS];

/// Every setting there is, in the order in which it is shown.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    TABLES.iter().copied().flatten()
}

/// Every list and mapping of sections there is. None lies within another.
pub static COLLECTIONS: &[Collection] = &[
    Collection {
        path: "redis[]",
        item: "server",
        implied: true,
        names: None,
        example: "",
        help: "The Redis servers to measure.",
    },
    Collection {
        path: "kubernetes.metrics{}",
        item: "metric",
        implied: false,
        names: Some(kubernetes::METRIC_NAME),
        example: "order-backlog",
        help: "External metrics with names of your own: each is one of streamgauge's metrics over fewer series. A name that streamgauge has already cannot be taken.",
    },
    Collection {
        path: "kubernetes.objects[]",
        item: "object",
        implied: false,
        names: None,
        example: "",
        help: "Kubernetes objects that stand for series: a metric of such an object is the metric of that name over these series. Entries for the same object are taken together.",
    },
    Collection {
        path: "kubernetes.streams[]",
        item: "stream",
        implied: false,
        names: None,
        example: "",
        help: "Streams that may not be read from every namespace, but only from those that an entry for them names. Streams without an entry may be read from all.",
    },
];

impl Setting {
    /// The list or mapping of sections in which it lies; `None` is the file itself.
    #[must_use]
    pub fn collection(&self) -> Option<&'static Collection> {
        COLLECTIONS.iter().find(|collection| collection.within(self.path).is_some())
    }

    /// Its path within its section.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.collection().and_then(|collection| collection.within(self.path)).unwrap_or(self.path)
    }

    /// Name of its variable; `None` where it cannot be told which of many sections is meant.
    #[must_use]
    pub fn variable(&self) -> Option<String> {
        if self.collection().is_some_and(|collection| !collection.implied) {
            return None;
        }
        let name = self.flag.map_or_else(|| self.path.replace("[]", ""), str::to_owned);
        Some(format!("STREAMGAUGE_{}", name.replace(['.', '-'], "_").to_uppercase()))
    }

    /// The example as it is written in the file.
    #[must_use]
    pub fn written_example(&self) -> String {
        match self.kind {
            Kind::List => format!("[\"{}\"]", self.example),
            _ => self.example.to_owned(),
        }
    }
}

impl Collection {
    /// Its place in the file: keys joined by dots.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.path.trim_end_matches(['[', ']', '{', '}'])
    }

    /// The rest of a path that lies in a section of it.
    #[must_use]
    pub fn within<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(self.path)?.strip_prefix('.')
    }
}

impl Form {
    /// Whether a text has the form.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        regex::Regex::new(self.pattern).is_ok_and(|pattern| pattern.is_match(text))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_row_keeps_the_rules() {
        let mut seen = HashSet::new();
        for setting in all() {
            let path = setting.path;
            assert!(seen.insert(path.to_owned()), "{path} stands twice");
            if let Some(variable) = setting.variable() {
                assert!(seen.insert(variable), "{path} shares its variable");
            }
            assert!(setting.help.ends_with('.'), "{path}: help");
            assert_eq!(
                setting.flag.is_some(),
                setting.variable().is_some() && setting.kind != Kind::Secret,
                "{path}: flags are for all that has a variable, but for secrets"
            );
            assert!(
                setting.fallback.is_none() || setting.variable().is_some(),
                "{path}: a fallback needs a variable"
            );
            assert!(setting.kind != Kind::File || setting.example.starts_with('/'), "{path}: example");
            let in_collection = setting.collection().is_some();
            assert!(!(setting.restart && in_collection), "{path}: sections come and go with a reload");
            assert_eq!(path.contains(['[', '{']), in_collection, "{path} lies in no row of COLLECTIONS");
            if setting.required {
                assert!(in_collection && !setting.key().contains('.'), "{path}: required is for sections");
                assert!(setting.default.is_none() && !setting.example.is_empty(), "{path}: required");
            }
        }
    }

    #[test]
    fn every_collection_keeps_the_rules() {
        for collection in COLLECTIONS {
            let path = collection.path;
            let shape = if collection.names.is_some() { "{}" } else { "[]" };
            assert_eq!(format!("{}{shape}", collection.key()), path);
            assert!(!collection.key().contains(['[', '{']), "{path} lies within another");
            assert!(all().any(|setting| collection.within(setting.path).is_some()), "{path} has no settings");
            assert!(collection.help.ends_with('.'), "{path}: help");
            if let Some(names) = &collection.names {
                assert!(names.fits(collection.example), "{path}: the example is no name for it");
                assert!(!collection.implied, "{path}: which name should the implied section have?");
            }
        }
    }
}
