//! The checked settings of one place in the file, and how `validate` reads them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Problem,
    settings::{self, Collection, Setting},
    tree::Place,
    typed::{Checked, Typed},
};

/// The settings of one place in the file: the globals, or one section of a list or mapping.
#[derive(Debug, Default)]
pub struct Section {
    /// The list or mapping; `None` for the globals.
    pub collection: Option<&'static Collection>,
    /// In a mapping, the name that the user gave it.
    pub name: String,
    /// What comes before the keys in messages, as `redis[0].`.
    pub prefix: String,
    /// Where the section stands; `None` for the globals, and for a section that is implied.
    pub place: Option<Place>,
    values: BTreeMap<&'static str, Checked>,
    /// Settings that were given and have a problem: they are not missing.
    wrong: BTreeSet<&'static str>,
}

/// All sections of a configuration.
#[derive(Debug, Default)]
pub struct Sections {
    /// The settings that lie in no list or mapping.
    pub globals: Section,
    /// All others, as they stand in the file.
    pub listed: Vec<Section>,
}

impl Sections {
    /// The sections of a list or mapping: a path of [`settings::COLLECTIONS`].
    #[must_use]
    pub fn of(&self, collection: &str) -> Vec<&Section> {
        debug_assert!(
            settings::COLLECTIONS.iter().any(|row| row.path == collection),
            "{collection} is no collection"
        );
        self.listed.iter().filter(|section| section.is_of(collection)).collect()
    }
}

impl Section {
    /// An empty section; `path` is what stands for it in messages, as `redis[0]`.
    #[must_use]
    pub fn new(collection: &'static Collection, path: String, place: Option<Place>) -> Self {
        Section { collection: Some(collection), prefix: path + ".", place, ..Section::default() }
    }

    /// What stands for the section itself in messages.
    #[must_use]
    pub fn path(&self) -> &str {
        self.prefix.strip_suffix('.').unwrap_or(&self.prefix)
    }

    /// Whether it belongs to a list or mapping.
    #[must_use]
    pub fn is_of(&self, collection: &str) -> bool {
        self.collection.is_some_and(|own| own.path == collection)
    }

    /// The value of a setting, where one was given or is the default.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Checked> {
        debug_assert!(
            settings::all().any(|setting| setting.path == path && setting.collection() == self.collection),
            "{path} is no setting of this section"
        );
        self.values.get(path)
    }

    /// Keeps the value of a setting.
    pub fn insert(&mut self, setting: &'static Setting, checked: Checked) {
        self.values.insert(setting.path, checked);
    }

    /// Keeps in mind that a problem with these settings of the section was told.
    pub fn mark_wrong(&mut self, which: impl Fn(&Setting) -> bool) {
        let own = settings::all().filter(|setting| setting.collection() == self.collection);
        self.wrong.extend(own.filter(|setting| which(setting)).map(|setting| setting.path));
    }

    /// Whether nothing at all is said about a setting.
    #[must_use]
    pub fn lacks(&self, path: &str) -> bool {
        self.get(path).is_none() && !self.wrong.contains(path)
    }

    /// A problem with the value of a setting.
    #[must_use]
    pub fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        let place = self.get(path).map_or(Place::Default, |checked| checked.place.clone());
        self.problem_at(place, path, message)
    }

    /// A problem with the section itself, at its place.
    #[must_use]
    pub fn problem_itself(&self, message: String) -> Problem {
        let place = self.place.clone().unwrap_or(Place::Default);
        Problem { place, path: self.path().to_owned(), message }
    }

    /// A problem with a part of the value of a setting.
    #[must_use]
    pub fn problem_at(&self, place: Place, path: &str, message: impl Into<String>) -> Problem {
        Problem { place, path: self.shown(path), message: message.into() }
    }

    /// A path as messages show it: with the place in the list, or the name, that is meant.
    #[must_use]
    pub fn shown(&self, path: &str) -> String {
        format!("{}{}", self.prefix, self.key(path))
    }

    /// A path as it is written within the section.
    #[must_use]
    pub fn key<'a>(&self, path: &'a str) -> &'a str {
        self.collection.and_then(|collection| collection.within(path)).unwrap_or(path)
    }
}

/// How `validate` reads it.
impl Section {
    /// A text, secret, file or choice.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        match &self.get(path)?.value {
            Typed::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// A count; 0 only where a problem with the value was found already.
    #[must_use]
    pub fn count(&self, path: &str) -> i64 {
        match self.get(path).map(|checked| &checked.value) {
            Some(Typed::Count(count)) => *count,
            _ => 0,
        }
    }

    /// A count that cannot be negative.
    #[must_use]
    pub fn size(&self, path: &str) -> u64 {
        u64::try_from(self.count(path)).unwrap_or(0)
    }

    /// One or several counts, each once and in order; `None` where nothing is said.
    #[must_use]
    pub fn counts(&self, path: &str) -> Option<BTreeSet<u32>> {
        match &self.get(path)?.value {
            Typed::Counts(counts) => {
                Some(counts.iter().filter_map(|count| u32::try_from(*count).ok()).collect())
            }
            _ => None,
        }
    }

    /// A duration; 0 only where a problem with the value was found already.
    #[must_use]
    pub fn duration(&self, path: &str) -> Duration {
        self.given_duration(path).unwrap_or_default()
    }

    /// A duration; `None` where nothing is said.
    #[must_use]
    pub fn given_duration(&self, path: &str) -> Option<Duration> {
        match &self.get(path)?.value {
            Typed::Duration(duration) => Some(*duration),
            _ => None,
        }
    }

    /// The items of a list that can be read; each of the others is a problem.
    pub fn list<T>(
        &self,
        path: &str,
        problems: &mut Vec<Problem>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let Some(Typed::List(items)) = self.get(path).map(|checked| &checked.value) else {
            return Vec::new();
        };
        let mut list = Vec::new();
        for (place, item) in items {
            match read(item) {
                Ok(item) => list.push(item),
                Err(message) => problems.push(self.problem_at(place.clone(), path, message)),
            }
        }
        list
    }
}
