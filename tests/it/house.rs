//! The order of the house: who may import whom, as the table in `src/lib.rs` says, and how long a file may be.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

mod cases;
mod imports;

use imports::{Import, imports};

/// Longest a source file may be, in lines: one that grows past it has a second subject.
const LONGEST: usize = 400;

/// Crates that only some modules may use. Of those with redis one reads, and the other fills the demo.
const WALLED: [(&str, &[&str]); 3] =
    [("redis", &["collect", "demo"]), ("kube", &["cluster"]), ("k8s_openapi", &["cluster"])];

/// What each module of the crate may import, by the table in `src/lib.rs`.
type Order = BTreeMap<String, Allowed>;

#[derive(Debug, PartialEq)]
enum Allowed {
    All,
    Only(Vec<String>),
}

/// Reads the table: rows of `| modules | what for | may import |`.
fn order(lib: &str) -> Order {
    let mut order = Order::new();
    for row in lib.lines().filter_map(|line| line.strip_prefix("//! | [")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [modules, _, allowed, ..] = &cells[..] else { panic!("not a row of the table: {row}") };
        for module in quoted(modules) {
            let allowed = match *allowed {
                "all" => Allowed::All,
                "nothing" => Allowed::Only(vec![]),
                names => Allowed::Only(quoted(names)),
            };
            order.insert(module, allowed);
        }
    }
    order
}

/// The words between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The module that a file below `src` belongs to; none for the two roots.
fn module_of(file: &Path) -> Option<String> {
    let first = file.iter().next()?.to_str()?;
    let module = first.strip_suffix(".rs").unwrap_or(first);
    (!["lib", "main"].contains(&module)).then(|| module.to_owned())
}

/// What is wrong with one file: a line for each forbidden import.
fn violations(order: &Order, file: &str, source: &str) -> Vec<String> {
    let path = Path::new(file);
    let Some(module) = module_of(path) else {
        return vec![];
    };
    let mut found = Vec::new();
    for (line, import) in imports(path, source) {
        let problem = match (&import, &order[&module]) {
            (Import::Walled(name), _) if users(name).contains(&&*module) => None,
            (Import::Walled(name), _) => Some(format!("the {name} crate")),
            (Import::Root(_), Allowed::All) => None,
            (Import::Root(other), _) if *other == module => None,
            (Import::Root(other), Allowed::Only(allowed)) if allowed.contains(other) => None,
            (Import::Root(other), _) => Some(format!("crate::{other}")),
        };
        found.extend(problem.map(|what| format!("src/{file}:{line}: {module} may not import {what}")));
    }
    found
}

/// The modules that may use a walled crate.
fn users(name: &str) -> &'static [&'static str] {
    WALLED.iter().find(|(walled, _)| *walled == name).map_or(&[], |(_, users)| users)
}

fn sources() -> Vec<(String, String)> {
    fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    files.into_iter().map(read).collect()
}

fn lib() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap()
}

#[test]
fn imports_point_one_way() {
    let order = order(&lib());
    let (mut found, mut seen) = (Vec::new(), 0);
    for (file, source) in sources() {
        found.extend(violations(&order, &file, &source));
        seen += imports(Path::new(&file), &source).len();
    }
    assert!(found.is_empty(), "against the table in src/lib.rs:\n{}", found.join("\n"));
    assert!(seen > 50, "only {seen} imports were found: the checker is blind");
}

#[test]
fn every_module_has_a_row_in_the_table() {
    let order = order(&lib());
    for (file, _) in sources() {
        if let Some(module) = module_of(Path::new(&file)) {
            assert!(order.contains_key(&module), "src/{file}: {module} is not in the table of src/lib.rs");
        }
    }
}

/// The table may grow; these walls of it stand.
#[test]
fn the_table_keeps_its_walls() {
    let order = order(&lib());
    assert_eq!(order["model"], Allowed::Only(vec![]));
    assert_eq!(order["catalogue"], Allowed::Only(vec!["model".into()]));
    for (module, others) in [
        ("serve", ["collect", "config"]),
        ("collect", ["serve", "catalogue"]),
        ("cluster", ["serve", "collect"]),
    ] {
        let Allowed::Only(allowed) = &order[module] else { panic!("{module} may import all") };
        assert!(
            others.iter().all(|other| !allowed.iter().any(|name| name == other)),
            "{module}: {allowed:?}"
        );
    }
}

#[test]
fn no_file_is_too_long() {
    let too_long: Vec<_> = sources()
        .into_iter()
        .map(|(file, source)| (source.lines().count(), file))
        .filter(|(lines, _)| *lines > LONGEST)
        .collect();
    assert!(too_long.is_empty(), "split these: their subjects are two: {too_long:?}");
}
