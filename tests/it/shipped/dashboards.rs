//! `dashboards/`: what Grafana needs of them, what their queries name, and where their links lead.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;

use super::{alerts::rules, list, names_after, path, promql, read, text};

/// Every dashboard, by the name of its file.
pub fn dashboards() -> BTreeMap<String, Value> {
    let files = fs::read_dir(path("dashboards")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.ends_with(".json"))
        .map(|name| (name.clone(), serde_json::from_str(&read(&format!("dashboards/{name}"))).unwrap()))
        .collect()
}

/// The panels that show something.
pub fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(dashboard, "panels").iter().filter(|panel| panel["type"] != "row")
}

/// A variable that Grafana fills with labels.
pub struct Variable<'a> {
    pub name: &'a str,
    pub query: &'a str,
    /// Whether several values, and all, can be chosen.
    multi: bool,
    /// What stands for all, if that is not the list of all values.
    all: Option<&'a str>,
}

pub fn variables(dashboard: &Value) -> Vec<Variable<'_>> {
    let variables = list(&dashboard["templating"], "list").iter();
    variables
        .filter(|variable| variable["type"] == "query")
        .map(|variable| Variable {
            name: text(variable, "name"),
            query: text(&variable["query"], "query"),
            multi: variable["multi"].as_bool().unwrap(),
            all: variable["allValue"].as_str(),
        })
        .collect()
}

/// A query as Grafana sends it, with these values chosen and otherwise all; `None` if one has to be chosen.
pub fn interpolated(dashboard: &Value, query: &str, chosen: &[(&str, &str)]) -> Option<String> {
    let mut plain = query.replace("$__rate_interval", "10s").replace("$__range", "60s");
    for variable in variables(dashboard) {
        let value = chosen.iter().find(|(name, _)| *name == variable.name).map(|(_, value)| *value);
        if let Some(value) = value.or(variable.all) {
            plain = plain.replace(&format!("\"${}\"", variable.name), &format!("\"{value}\""));
        }
    }
    (!plain.contains('$')).then_some(plain)
}

/// The same with something chosen for each variable.
fn chosen(dashboard: &Value, query: &str) -> String {
    let values: Vec<_> = variables(dashboard).iter().map(|variable| (variable.name, "x")).collect();
    interpolated(dashboard, query, &values)
        .unwrap_or_else(|| panic!("a variable that does not exist: {query}"))
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

/// The expressions of panels and annotations.
fn expressions(dashboard: &Value) -> Vec<&str> {
    all(dashboard, "expr").into_iter().map(|query| query.as_str().unwrap()).collect()
}

#[test]
fn queries_name_what_exists() {
    let names: Vec<_> = dashboards().into_keys().collect();
    assert_eq!(names, ["group.json", "overview.json", "streamgauge.json"]);
    for (name, dashboard) in dashboards() {
        let queries = expressions(&dashboard);
        assert!(queries.len() > 20, "{name}");
        for query in queries.into_iter().chain(variables(&dashboard).iter().map(|variable| variable.query)) {
            assert_eq!(promql::problems(&chosen(&dashboard, query)), [""; 0], "{name}: {query}");
        }
    }
}

/// What one value is chosen of is matched as it stands, and what several are chosen of as a regular expression, in which
/// Grafana escapes names.
#[test]
fn names_are_matched_whatever_is_in_them() {
    for (name, dashboard) in dashboards() {
        for variable in variables(&dashboard) {
            let reference = format!("\"${}\"", variable.name);
            let queries = variables(&dashboard).into_iter().map(|variable| variable.query);
            for query in expressions(&dashboard).into_iter().chain(queries) {
                assert_eq!(
                    query.matches(&format!("${}", variable.name)).count(),
                    query.matches(&reference).count()
                );
                for (before, _) in query.match_indices(&reference).map(|(at, _)| query.split_at(at)) {
                    assert_eq!(before.ends_with("=~"), variable.multi, "{name}: {query}");
                }
            }
        }
    }
}

/// What is not known is shown as nothing: never as 0, never by what was known before.
#[test]
fn nothing_stands_for_what_is_not_known() {
    for (name, dashboard) in dashboards() {
        for query in expressions(&dashboard) {
            assert!(!query.contains("vector("), "{name}: {query}");
            // The one 0 there may be: that of groups which are counted.
            let zeros = query.matches("* 0").count();
            let known = query.matches(" or count(").count() + query.matches(r#"state="idle"} * 0"#).count();
            assert_eq!(zeros, known, "{name}: {query}");
        }
        for panel in panels(&dashboard) {
            let title = text(panel, "title");
            let graph = ["timeseries", "state-timeline"].contains(&text(panel, "type"));
            let spans = all(panel, "spanNulls");
            assert_eq!(spans, if graph { vec![&Value::Bool(false)] } else { vec![] }, "{name}: {title}");
            for calcs in all(panel, "calcs") {
                let calcs = calcs.as_array().unwrap();
                assert!(
                    calcs.iter().all(|calc| calc == "last" || calc == "max"),
                    "{name}: {title}: {calcs:?}"
                );
            }
            for target in list(panel, "targets") {
                assert_eq!(
                    (&target["instant"], &target["range"]),
                    (&Value::Bool(!graph), &Value::Bool(graph))
                );
            }
        }
    }
}

/// Grafana can import them as they stand: they ask for no data source, and no identity of another Grafana is in them.
#[test]
fn they_can_be_imported_without_an_edit() {
    let mut uids = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        assert!(dashboard["id"].is_null() && dashboard.get("__inputs").is_none(), "{name}");
        assert!(
            !text(&dashboard, "title").is_empty() && uids.insert(text(&dashboard, "uid").to_owned()),
            "{name}"
        );
        let source = &list(&dashboard["templating"], "list")[0];
        assert_eq!((text(source, "name"), text(source, "type")), ("datasource", "datasource"));
        assert_eq!(text(source, "query"), "prometheus");
        let sources = all(&dashboard, "datasource");
        assert!(sources.len() > panels(&dashboard).count());
        for source in sources {
            assert_eq!((text(source, "type"), text(source, "uid")), ("prometheus", "${datasource}"));
        }
    }
    // Links of others lead there: a new one breaks them.
    assert!(uids.iter().eq(["streamgauge-group", "streamgauge-overview", "streamgauge-self"]));
}

/// The unit of what an expression gives.
fn unit_of(expr: &str, has_words: bool) -> &'static str {
    let mentions = |part: &str| expr.contains(part);
    match () {
        () if has_words || mentions("build_info") || mentions("process_cpu") => "none",
        () if mentions("histogram_quantile") => "s",
        () if mentions("rate(") || mentions("_per_second") => "cps",
        () if mentions("_bytes") => "bytes",
        () if mentions("_fds") => "percentunit",
        () if mentions("* 1000") => "dateTimeFromNow",
        () if mentions("_seconds") => "s",
        () => "locale",
    }
}

#[test]
fn panels_have_what_a_reader_needs() {
    const TYPES: [&str; 4] = ["stat", "state-timeline", "table", "timeseries"];
    for (name, dashboard) in dashboards() {
        assert!(text(&dashboard, "description").ends_with('.'), "{name}");
        for panel in panels(&dashboard) {
            let title = format!("{name}: {}", text(panel, "title"));
            assert!(text(panel, "description").ends_with('.'), "{title}");
            assert!(TYPES.contains(&text(panel, "type")), "{title}");
            let defaults = &panel["fieldConfig"]["defaults"];
            for query in list(panel, "targets") {
                // A column has a name, and settings of its own.
                let columns = &panel["transformations"][1]["options"]["renameByName"];
                let column = &columns[format!("Value #{}", text(query, "refId"))];
                if panel["type"] == "table" && column.is_null() {
                    continue;
                }
                assert!(panel["type"] == "table" || query["legendFormat"].is_string(), "{title}");
                let own = list(&panel["fieldConfig"], "overrides")
                    .iter()
                    .find(|field| field["matcher"]["options"] == *column && !column.is_null());
                let property = |id: &str| {
                    own.into_iter().flat_map(|own| list(own, "properties")).find(|p| p["id"] == id)
                };
                let unit = property("unit").map_or(&defaults["unit"], |unit| &unit["value"]);
                let has_words = property("mappings").is_some()
                    || defaults["mappings"].as_array().is_some_and(|mappings| !mappings.is_empty());
                let expr = text(query, "expr");
                assert_eq!(unit, unit_of(expr, has_words), "{title}: {expr}");
            }
        }
    }
}

#[test]
fn panels_have_places_of_their_own() {
    for (name, dashboard) in dashboards() {
        let (mut taken, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for panel in list(&dashboard, "panels") {
            let title = format!("{name}: {}", text(panel, "title"));
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
}

/// The columns of a table are those of its queries.
#[test]
fn tables_name_their_columns() {
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard).filter(|panel| panel["type"] == "table") {
            let [_, organize] = list(panel, "transformations") else { panic!("{name}: merge and organize") };
            let keys = |part: &str| organize["options"][part].as_object().unwrap().keys().cloned();
            let values = |names: &mut dyn Iterator<Item = String>| -> BTreeSet<String> {
                names.filter(|key| key.starts_with("Value #")).collect()
            };
            let queries: BTreeSet<_> = list(panel, "targets")
                .iter()
                .map(|query| format!("Value #{}", text(query, "refId")))
                .collect();
            assert_eq!(values(&mut keys("renameByName").chain(keys("excludeByName"))), queries, "{name}");
            assert_eq!(values(&mut keys("indexByName")), queries, "{name}");
        }
    }
}

/// Where a number stands for a word, the panel gives the word back, and a word cannot be forgotten.
#[test]
fn numbers_stand_for_their_words() {
    let mut seen = 0;
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for target in list(panel, "targets") {
                let expr = text(target, "expr");
                // Each word with the number that it is multiplied by.
                let terms = expr.split(" or ").flat_map(|term| {
                    let (word, rest) = [r#",state=""#, r#",source=""#]
                        .iter()
                        .find_map(|mark| term.split_once(mark)?.1.split_once("\"}"))?;
                    let factor = rest.strip_prefix(" * ");
                    let number =
                        factor.map_or("1", |rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap());
                    Some((number, word))
                });
                let coded: Vec<_> = terms.collect();
                if coded.len() < 2 {
                    continue;
                }
                seen += 1;
                let mappings = all(panel, "options").into_iter().filter(|options| options.is_object());
                for (number, word) in &coded {
                    let texts: Vec<_> =
                        mappings.clone().filter_map(|options| options[number]["text"].as_str()).collect();
                    assert_eq!(texts, [*word], "{name}: {}: {number}", text(panel, "title"));
                }
                let known = if expr.contains("_state{") {
                    words("redis_stream_group_state")
                } else {
                    words("redis_stream_group_lag_source")
                };
                let coded: BTreeSet<_> = coded.into_iter().map(|(_, word)| word.to_owned()).collect();
                assert_eq!(coded, known, "{name}: {}", text(panel, "title"));
            }
        }
    }
    assert!(seen >= 6, "only {seen} were found");
}

/// The words that the help of a metric lists: those after its colon, without what stands in parentheses.
fn words(metric: &str) -> BTreeSet<String> {
    let (_, listed) = promql::metric(metric).unwrap().help.split_once(": ").unwrap();
    let outside = listed.split('(').map(|part| part.split_once(')').map_or(part, |(_, rest)| rest));
    let sentence = outside.collect::<Vec<_>>().concat();
    let words = sentence.split('.').next().unwrap().split([',', ' ']).map(str::to_owned);
    words.filter(|word| !["", "or"].contains(&word.as_str())).collect()
}

/// Every link leads somewhere: to a dashboard that is here, with variables that it has, and to an alert's runbook.
#[test]
fn links_lead_somewhere() {
    const RUNBOOKS: &str = "https://github.com/streamgauge/streamgauge/blob/main/docs/runbooks/";
    const DOCUMENT: &str = "https://github.com/streamgauge/streamgauge/blob/main/docs/dashboards.md";
    let dashboards = dashboards();
    let rules = rules();
    let alerts: BTreeSet<_> = rules.iter().map(|rule| text(rule, "alert")).collect();
    let (mut linked, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    for (name, dashboard) in &dashboards {
        for url in all(dashboard, "url").into_iter().map(|url| url.as_str().unwrap()) {
            if let Some(alert) = url.strip_prefix(RUNBOOKS).and_then(|page| page.strip_suffix(".md")) {
                linked.insert(alert);
                unknown.extend((!alerts.contains(alert)).then_some(alert));
            } else if let Some((uid, query)) = url.strip_prefix("/d/").and_then(|url| url.split_once('?')) {
                let target = dashboards.values().find(|dashboard| dashboard["uid"] == uid);
                let target = target.unwrap_or_else(|| panic!("{name}: {url}"));
                let names: Vec<_> = variables(target).iter().map(|variable| variable.name).collect();
                for part in query.split('&') {
                    let known = ["${datasource:queryparam}", "${__url_time_range}"].contains(&part);
                    let variable = part.strip_prefix("var-").and_then(|part| part.split_once('='));
                    let set = variable.is_some_and(|(name, value)| {
                        let from = ["labels", "fields"].map(|from| format!("{from}.{name}:percentencode}}"));
                        names.contains(&name) && from.iter().any(|from| value.ends_with(from))
                    });
                    assert!(known || set, "{name}: {url}");
                }
            } else {
                assert_eq!(url, DOCUMENT, "{name}");
                assert!(path("docs/dashboards.md").exists());
            }
        }
        let links = list(dashboard, "links").iter().filter(|link| text(link, "url").starts_with("/d/"));
        let others = dashboards.len() - 1;
        assert_eq!(
            links.filter(|link| link["keepTime"] == true).count(),
            others,
            "{name}: links to the others"
        );
    }
    assert_eq!(unknown, BTreeSet::new(), "runbooks of alerts that do not exist");
    assert_eq!(linked, alerts, "every alert has a panel that shows what it is about");
}

#[test]
fn variables_are_read() {
    assert_eq!(names_after("{{redis}} {{db}} {{stream}} / x", "{{"), ["redis", "db", "stream"]);
    let overview = &dashboards()["overview.json"];
    let query = r#"rate(a{redis=~"$redis",group=~"$group"}[$__rate_interval])"#;
    let plain = interpolated(overview, query, &[("group", "b")]);
    assert_eq!(plain.unwrap(), r#"rate(a{redis=~".+",group=~"b"}[10s])"#);
    assert_eq!(interpolated(&dashboards()["group.json"], query, &[("group", "b")]), None);
    assert!(words("redis_stream_group_state").contains("no_consumers"));
}
