//! What a PromQL expression names: a strict reader, for what is shipped. What it does not know, it refuses.

use std::ops::Range;

use streamgauge::{
    catalogue::{CATALOGUE, Kind, Metric},
    model::fault::FaultKind,
};

const FUNCTIONS: [&str; 10] = [
    "absent",
    "count_over_time",
    "end",
    "histogram_quantile",
    "increase",
    "label_values",
    "max_over_time",
    "rate",
    "time",
    "topk",
];
const AGGREGATIONS: [&str; 5] = ["count", "count_values", "max", "min", "sum"];
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const OPERATORS: [&str; 3] = ["and", "or", "unless"];

/// Labels that Prometheus gives to the series of every target.
const OF_TARGETS: [&str; 2] = ["instance", "job"];

/// What is shown beside our own, where it is there: the autoscalers, by kube-state-metrics.
const OF_KUBE_STATE_METRICS: [&str; 4] = [
    "kube_horizontalpodautoscaler_spec_max_replicas",
    "kube_horizontalpodautoscaler_spec_min_replicas",
    "kube_horizontalpodautoscaler_status_current_replicas",
    "kube_horizontalpodautoscaler_status_desired_replicas",
];

/// What an expression names.
#[derive(Debug, Default)]
pub struct Expression {
    /// Each metric with its matchers: label and value.
    pub selectors: Vec<(String, Vec<(String, String)>)>,
    /// Labels that series are grouped or matched by.
    pub grouping: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

/// The words, strings and signs of an expression. Numbers, durations and comments are left out.
fn tokens(promql: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut chars = promql.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_ascii_alphabetic() || c == '_' {
            let mut word = String::from(c);
            while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                word.push(c);
            }
            found.push(Token::Word(word));
        } else if c.is_ascii_digit() {
            while chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '.').is_some() {}
        } else if c == '#' {
            while chars.next_if(|c| *c != '\n').is_some() {}
        } else if c == '"' {
            let mut text = String::new();
            loop {
                match chars.next() {
                    Some('"') => break,
                    Some('\\') => return Err("an escape: not needed so far".into()),
                    Some(c) => text.push(c),
                    None => return Err("a string without an end".into()),
                }
            }
            found.push(Token::Text(text));
        } else if "(){}[],=!~<>+-*/:@".contains(c) {
            found.push(Token::Sign(c));
        } else if !c.is_whitespace() {
            return Err(format!("an unexpected {c:?}"));
        }
    }
    Ok(found)
}

impl Expression {
    /// Reads an expression, without Grafana's variables outside strings.
    pub fn read(promql: &str) -> Result<Expression, String> {
        let tokens = tokens(promql)?;
        let sign = |at: usize| match tokens.get(at) {
            Some(Token::Sign(sign)) => Some(*sign),
            _ => None,
        };
        let word = |at: usize| match tokens.get(at) {
            Some(Token::Word(word)) => Some(word.as_str()),
            _ => None,
        };
        let mut found = Expression::default();
        let mut at = 0;
        while at < tokens.len() {
            let Some(name) = word(at) else {
                if sign(at) == Some('{') {
                    return Err("a selector without a metric".into());
                }
                at += 1;
                continue;
            };
            at += 1;
            if OPERATORS.contains(&name) {
                continue;
            }
            if GROUPINGS.contains(&name) {
                let inside = between(&tokens, at, '(', ')')?;
                let labels = tokens[inside.clone()].iter().filter_map(|token| match token {
                    Token::Word(label) => Some(label.clone()),
                    _ => None,
                });
                found.grouping.extend(labels);
                at = inside.end + 1;
            } else if AGGREGATIONS.contains(&name) && matches!(word(at), Some("by" | "without")) {
                // Its grouping comes next.
            } else if sign(at) == Some('(') {
                if !FUNCTIONS.contains(&name) && !AGGREGATIONS.contains(&name) {
                    return Err(format!("{name} is no function that is known here"));
                }
                if name == "label_values" {
                    // Grafana's: its second argument is a label.
                    let inside = between(&tokens, at, '(', ')')?;
                    let label = word(inside.end - 1).filter(|_| sign(inside.end - 2) == Some(','));
                    found.grouping.push(label.ok_or("label_values without a label")?.to_owned());
                    let selector = &tokens[inside.start..inside.end - 2];
                    found.selectors.push(selector_of(selector)?);
                    at = inside.end + 1;
                }
            } else {
                let end = if sign(at) == Some('{') { between(&tokens, at, '{', '}')?.end + 1 } else { at };
                found.selectors.push(selector_of(&tokens[at - 1..end])?);
                at = end;
            }
        }
        if found.selectors.is_empty() { Err("it names no metric".into()) } else { Ok(found) }
    }

    /// What is wrong with the names, by the catalogue.
    pub fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (metric, matchers) in &self.selectors {
            let Some(labels) = labels_of(metric) else {
                found.push(format!("{metric} is no metric"));
                continue;
            };
            for (label, value) in matchers {
                if labels.contains(&label.as_str()) {
                    found.extend(unknown_values(metric, label, value));
                } else {
                    found.push(format!("{metric} has no label {label}"));
                }
            }
        }
        let labels = self.labels();
        let unknown = self.grouping.iter().filter(|label| !labels.contains(&label.as_str()));
        found.extend(unknown.map(|label| format!("no metric here has a label {label}")));
        found
    }

    /// Every label that a metric of the expression has.
    pub fn labels(&self) -> Vec<&'static str> {
        self.selectors.iter().filter_map(|(metric, _)| labels_of(metric)).flatten().collect()
    }
}

/// The tokens between a sign that must stand at `at` and the first one that closes it.
fn between(tokens: &[Token], at: usize, open: char, close: char) -> Result<Range<usize>, String> {
    if tokens.get(at) != Some(&Token::Sign(open)) {
        return Err(format!("{open:?} is missing"));
    }
    let length = tokens[at..].iter().position(|token| *token == Token::Sign(close));
    Ok(at + 1..at + length.ok_or_else(|| format!("{close:?} is missing"))?)
}

/// A metric with its matchers.
fn selector_of(tokens: &[Token]) -> Result<(String, Vec<(String, String)>), String> {
    let [Token::Word(metric), rest @ ..] = tokens else {
        return Err(format!("no metric: {tokens:?}"));
    };
    let matchers = match rest {
        [] => &[][..],
        [Token::Sign('{'), matchers @ .., Token::Sign('}')] => matchers,
        other => return Err(format!("no matchers: {other:?}")),
    };
    let mut found = Vec::new();
    for matcher in matchers.split(|token| *token == Token::Sign(',')) {
        match matcher {
            [] => {}
            [Token::Word(label), Token::Sign('=' | '!'), .., Token::Text(value)] => {
                found.push((label.clone(), value.clone()));
            }
            other => return Err(format!("no matcher: {other:?}")),
        }
    }
    Ok((metric.clone(), found))
}

/// The row of the catalogue.
pub fn metric(name: &str) -> Option<&'static Metric> {
    CATALOGUE.iter().find(|metric| metric.name == name)
}

fn labels_of(name: &str) -> Option<Vec<&'static str>> {
    let bucket =
        |name: &str| metric(name.strip_suffix("_bucket")?).filter(|metric| metric.kind == Kind::Histogram);
    let own = match name {
        "up" => vec![],
        name if OF_KUBE_STATE_METRICS.contains(&name) => vec!["namespace", "horizontalpodautoscaler"],
        name => match bucket(name) {
            Some(histogram) => [histogram.read.labels(), vec!["le"]].concat(),
            None => metric(name)?.read.labels(),
        },
    };
    Some(own.into_iter().chain(OF_TARGETS).collect())
}

/// Of the labels whose values we choose, those values that do not exist.
fn unknown_values(metric_name: &str, label: &str, value: &str) -> Vec<String> {
    let known: Vec<&str> = match label {
        "kind" => FaultKind::ALL.iter().map(|kind| kind.label()).collect(),
        // The help of the metric lists them.
        "source" | "state" | "activity" => {
            let help = metric(metric_name).map_or("", |metric| metric.help);
            help.split(|c: char| !c.is_ascii_alphabetic() && c != '_').collect()
        }
        _ => return vec![],
    };
    let unknown = value.split('|').filter(|value| !known.contains(value));
    unknown.map(|value| format!("{metric_name} has no {label} {value:?}")).collect()
}

/// What is wrong with an expression.
pub fn problems(promql: &str) -> Vec<String> {
    Expression::read(promql).map_or_else(|error| vec![error], |expression| expression.problems())
}

#[test]
fn names_are_found() {
    let expression = Expression::read(
        r#"max by (redis, db) (rate(redis_stream_entries_added_total{stream=~"a|b"}[5m]) > 1.5e3)
           unless ignoring (kind) up{job!="x",instance="y"} # redis_nothing"#,
    )
    .unwrap();
    let pair = |label: &str, value: &str| (label.to_owned(), value.to_owned());
    assert_eq!(
        expression.selectors,
        [
            ("redis_stream_entries_added_total".to_owned(), vec![pair("stream", "a|b")]),
            ("up".to_owned(), vec![pair("job", "x"), pair("instance", "y")]),
        ]
    );
    assert_eq!(expression.grouping, ["redis", "db", "kind"]);
}

#[test]
fn what_exists_has_no_problem() {
    for promql in [
        "redis_up == 0",
        r#"absent(up{job="streamgauge"})"#,
        r#"redis_stream_group_lag_source{source=~"bounded|counted"}"#,
        r#"sum by (redis, kind) (increase(streamgauge_poll_errors_total{kind!="vanished"}[5m])) > 0"#,
        r#"label_values(redis_stream_up{redis=~"$redis"}, stream)"#,
        "process_open_fds / process_max_fds",
        "redis_up and topk(3, max_over_time(redis_up[5m] @ end()))",
        "sum by (api, le) (rate(streamgauge_adapter_metric_freshness_seconds_bucket[5m]))",
        r#"kube_horizontalpodautoscaler_spec_max_replicas{namespace="a",horizontalpodautoscaler="b"}"#,
    ] {
        assert_eq!(problems(promql), [""; 0], "{promql}");
    }
}

#[test]
fn what_does_not_exist_is_a_problem() {
    for (promql, problem) in [
        ("redis_stream_group_lags > 1", "redis_stream_group_lags is no metric"),
        ("redis_consumer_group_pending > 500", "redis_consumer_group_pending is no metric"),
        ("sum(redis_up) + streamgauge_pol_errors_total", "streamgauge_pol_errors_total is no metric"),
        (r#"redis_stream_length{group="a"}"#, "redis_stream_length has no label group"),
        (r#"redis_up{server="a"}"#, "redis_up has no label server"),
        ("sum by (consumer) (redis_stream_length)", "no metric here has a label consumer"),
        ("redis_up unless on (srteam) redis_stream_up", "no metric here has a label srteam"),
        ("label_values(redis_up, stream)", "no metric here has a label stream"),
        (
            r#"redis_stream_group_lag_source{source=~"bounded|unknwon"}"#,
            "redis_stream_group_lag_source has no source \"unknwon\"",
        ),
        (
            r#"streamgauge_poll_errors_total{kind!="gone"}"#,
            "streamgauge_poll_errors_total has no kind \"gone\"",
        ),
        ("redis_up_bucket", "redis_up_bucket is no metric"),
        ("kube_pod_info", "kube_pod_info is no metric"),
        ("irate(redis_up[1m])", "irate is no function that is known here"),
        ("{redis=\"a\"}", "a selector without a metric"),
        ("1 > 0", "it names no metric"),
        ("redis_up{redis=\"a}", "a string without an end"),
        ("redis_up{redis=\"a\"", "'}' is missing"),
        ("redis_up; up", "an unexpected ';'"),
    ] {
        assert_eq!(problems(promql), [problem], "{promql}");
    }
}
