//! `dashboards/`: what Grafana needs of them, and what their queries name.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{list, names_after, promql, read, text};

/// The dashboard.
pub fn dashboard() -> Value {
    serde_json::from_str(&read("dashboards/streams.json")).unwrap()
}

/// The panels that show something.
pub fn panels(dashboard: &Value) -> Vec<&Value> {
    list(dashboard, "panels").iter().filter(|panel| panel["type"] != "row").collect()
}

/// The variables that Grafana fills with labels: name, query, and the value that stands for all.
pub fn variables(dashboard: &Value) -> Vec<(&str, &str, &str)> {
    let variables = list(&dashboard["templating"], "list").iter();
    variables
        .filter(|variable| variable["type"] == "query")
        .map(|variable| {
            (text(variable, "name"), text(&variable["query"], "query"), text(variable, "allValue"))
        })
        .collect()
}

/// A query as Grafana sends it, with everything selected.
pub fn interpolated(dashboard: &Value, query: &str) -> String {
    let query = query.replace("$__rate_interval", "10s");
    variables(dashboard)
        .iter()
        .fold(query, |query, (name, _, all)| query.replace(&format!("\"${name}\""), &format!("\"{all}\"")))
}

/// Every value of this key, wherever it stands.
fn all<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| if name == key { vec![value] } else { all(value, key) })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| all(item, key)).collect(),
        _ => vec![],
    }
}

#[test]
fn queries_name_what_exists() {
    let dashboard = dashboard();
    let queries = all(&dashboard, "expr");
    assert!(queries.len() > 10);
    let variables = variables(&dashboard);
    assert_eq!(variables.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), ["redis", "stream", "group"]);
    let queries = queries.into_iter().map(|query| query.as_str().unwrap());
    for query in queries.chain(variables.iter().map(|(_, query, _)| *query)) {
        let plain = interpolated(&dashboard, query);
        assert!(!plain.contains('$'), "a variable that does not exist: {plain}");
        assert_eq!(promql::problems(&plain), [""; 0], "{query}");
    }
}

/// Grafana can import it as it stands: it asks for no data source, and no identity of another Grafana is in it.
#[test]
fn it_can_be_imported_without_an_edit() {
    let dashboard = dashboard();
    assert!(dashboard["id"].is_null() && dashboard.get("__inputs").is_none());
    assert!(!text(&dashboard, "uid").is_empty() && !text(&dashboard, "title").is_empty());
    let source = &list(&dashboard["templating"], "list")[0];
    assert_eq!((text(source, "name"), text(source, "type")), ("datasource", "datasource"));
    assert_eq!(text(source, "query"), "prometheus");
    let sources = all(&dashboard, "datasource");
    assert!(sources.len() > panels(&dashboard).len());
    for source in sources {
        assert_eq!((text(source, "type"), text(source, "uid")), ("prometheus", "${datasource}"));
    }
}

#[test]
fn panels_have_what_a_reader_needs() {
    let dashboard = dashboard();
    for panel in panels(&dashboard) {
        let title = text(panel, "title");
        assert!(text(panel, "description").ends_with('.'), "{title}");
        let unit = text(&panel["fieldConfig"]["defaults"], "unit");
        for query in list(panel, "targets") {
            let expr = text(query, "expr");
            let expected = match () {
                () if expr.contains("rate(") => &["cps"][..],
                () if expr.contains("_seconds") => &["s"],
                () => &["short", "none", "locale"],
            };
            assert!(expected.contains(&unit), "{title}: the unit is {unit}");
            assert!(panel["type"] == "table" || query["legendFormat"].is_string(), "{title}");
        }
    }
}

#[test]
fn panels_have_places_of_their_own() {
    let dashboard = dashboard();
    let (mut taken, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for panel in list(&dashboard, "panels") {
        let title = text(panel, "title");
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: the ID stands twice");
        let number = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(number("x") + number("w") <= 24, "{title} is too wide");
        for x in number("x")..number("x") + number("w") {
            for y in number("y")..number("y") + number("h") {
                assert!(taken.insert((x, y)), "{title} lies on another panel");
            }
        }
        let queries = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
        let references: BTreeSet<_> = queries.iter().map(|query| text(query, "refId")).collect();
        assert_eq!(references.len(), queries.len(), "{title}: a refId stands twice");
    }
}

/// The columns of the table are those of its queries.
#[test]
fn the_table_names_its_columns() {
    let dashboard = dashboard();
    for panel in panels(&dashboard).into_iter().filter(|panel| panel["type"] == "table") {
        let organize =
            list(panel, "transformations").iter().find(|change| change["id"] == "organize").unwrap();
        let options = &organize["options"];
        let named: BTreeSet<_> = ["renameByName", "excludeByName"]
            .iter()
            .flat_map(|part| options[part].as_object().unwrap().keys())
            .filter(|key| key.starts_with("Value #"))
            .cloned()
            .collect();
        let queries: BTreeSet<_> =
            list(panel, "targets").iter().map(|query| format!("Value #{}", text(query, "refId"))).collect();
        assert_eq!(named, queries);
    }
}

#[test]
fn legends_are_read() {
    assert_eq!(names_after("{{redis}} {{db}} {{stream}} / x", "{{"), ["redis", "db", "stream"]);
    assert_eq!(
        interpolated(&dashboard(), r#"rate(a{redis=~"$redis",group=~"$group"}[$__rate_interval])"#),
        r#"rate(a{redis=~".+",group=~".*"}[10s])"#
    );
}
