//! A watcher: all that an exporter publishes, again and again while faults happen, held against the truth.
//!
//! A number is judged as of the poll that it is shown of: /metrics may show the latest one that succeeded while Redis is
//! down. Where numbers are absent, the surface must say that it does not know: `redis_up` is 0, or `redis_stream_up` is.
//!
//! The exporter may have several servers configured: each is a way to the same one.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    panic::Location,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    http::{self, Answer},
    samples::Samples,
    truth::{Ledger, Seen, Shown, Span, facts::Key, now},
    wait,
};

/// Asks an autoscaler's question, of which all groups together are the answer: `redis_stream_group_backlog`.
pub type Ask = Box<dyn Fn() -> Result<Answer, String> + Send>;

/// A watcher, in a thread of its own.
pub struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ended: AtomicBool,
    /// Rounds so far in which numbers were seen; of each surface.
    rounds: AtomicUsize,
    answers: AtomicUsize,
    /// What was wrong first.
    wrong: Mutex<Option<String>>,
    /// Locked for one round.
    looking: Mutex<()>,
}

impl Watch {
    /// Watches an exporter, and its adapter as an autoscaler asks it.
    pub fn start(exporter: SocketAddr, ledger: Arc<Ledger>, ask: Option<Ask>) -> Watch {
        let shared = Arc::<Shared>::default();
        let of_thread = shared.clone();
        let thread = thread::spawn(move || {
            while !of_thread.ended.load(Ordering::SeqCst) {
                // A test that fails in a quiet moment ends this too.
                let Ok(round) = of_thread.looking.lock() else { return };
                let began = Instant::now();
                if let Err(wrong) = of_thread.round(exporter, &ledger, ask.as_ref()) {
                    *of_thread.wrong.lock().unwrap() = Some(wrong);
                    return;
                }
                drop(round);
                // The machine is there for others too.
                thread::sleep((began.elapsed() * 2).max(Duration::from_millis(5)));
            }
        });
        Watch { shared, thread: Some(thread) }
    }

    /// Nothing wrong was seen so far.
    #[track_caller]
    pub fn is_right(&self) {
        if let Some(wrong) = &*self.shared.wrong.lock().unwrap() {
            panic!("a wrong number, seen before {}: {wrong}", Location::caller());
        }
    }

    /// Waits until it has looked at everything once more.
    #[track_caller]
    pub fn look(&self) {
        let before = self.shared.rounds.load(Ordering::SeqCst);
        wait::until_true("the watcher to look", || {
            self.is_right();
            self.shared.rounds.load(Ordering::SeqCst) > before + 1
        });
    }

    /// Looks away meanwhile.
    pub fn quiet<T>(&self, what: impl FnOnce() -> T) -> T {
        let _quiet = self.shared.looking.lock().unwrap();
        what()
    }

    /// It has seen nothing wrong, and numbers: else it proves nothing.
    #[track_caller]
    pub fn end(mut self) {
        self.stop();
        self.is_right();
        for (what, count) in [("numbers", &self.shared.rounds), ("answers", &self.shared.answers)] {
            assert!(count.load(Ordering::SeqCst) > 0, "the watcher has seen no {what}");
        }
    }

    fn stop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn round(&self, exporter: SocketAddr, ledger: &Ledger, ask: Option<&Ask>) -> Result<(), String> {
        let body = body(http::get(exporter, "/metrics", &[]))?;
        let metrics = Samples::parse(&body);
        let polls = metrics_are_true(ledger, &metrics).map_err(|wrong| format!("/metrics: {wrong}"))?;
        let report = self::body(http::get(exporter, "/api/v1/groups", &[]))?;
        let report = serde_json::from_str(&report).map_err(|error| error.to_string())?;
        report_is_true(ledger, &report).map_err(|wrong| format!("/api/v1/groups: {wrong}"))?;
        if let Some(ask) = ask {
            // The answer is of the polls that /metrics showed, or of later ones.
            let answer = ask()?;
            let spans: Vec<_> = polls
                .iter()
                .map(|(server, span)| {
                    let from = span.map_or(0.0, |span| span.from);
                    (server.clone(), Span { from, until: now() })
                })
                .collect();
            let is_answer = answer_is_true(ledger, &answer, &spans)
                .map_err(|wrong| format!("the adapter: {wrong}\n{}", answer.text()))?;
            self.answers.fetch_add(usize::from(is_answer), Ordering::SeqCst);
        } else {
            self.answers.fetch_add(1, Ordering::SeqCst);
        }
        self.rounds.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

fn body(answer: Result<Answer, String>) -> Result<String, String> {
    let answer = answer?;
    if answer.status == 200 { Ok(answer.text().to_owned()) } else { Err(answer.text().to_owned()) }
}

/// The span of the poll that is shown; a little wider, for its two clocks are read one after the other.
fn span(ended: f64, took: f64) -> Span {
    Span { from: ended - took - 0.05, until: ended }
}

/// The servers, each with the poll that is shown of it.
type Polls = Vec<(String, Option<Span>)>;

/// Whether a metric is a fact of one moment. The others follow from several polls, or from how long consumers are silent:
/// `tests/it/health` holds them against the truth.
pub fn is_of_a_moment(name: &str) -> bool {
    const OTHERS: [&str; 5] =
        ["state", "drain_seconds", "entries_lost_total", "messages_claimable", "consumers_by_activity"];
    let of_group = name.strip_prefix("redis_stream_group_").unwrap_or_default();
    !OTHERS.contains(&of_group) && !of_group.ends_with("_per_second")
}

/// Whether all is true that /metrics shows.
pub fn metrics_are_true(ledger: &Ledger, metrics: &Samples) -> Result<Polls, String> {
    let servers = metrics.all("redis_up").into_iter().map(|sample| sample.labels["redis"].clone());
    servers.map(|server| Ok((server.clone(), server_is_true(ledger, metrics, &server)?))).collect()
}

fn server_is_true(ledger: &Ledger, metrics: &Samples, server: &str) -> Result<Option<Span>, String> {
    let of_server = |name: &str| metrics.value(&format!("{name}{{redis=\"{server}\"}}"));
    let is_up = of_server("redis_up") == Some(1.0);
    let poll = of_server("streamgauge_poll_last_success_timestamp_seconds")
        .zip(of_server("streamgauge_poll_duration_seconds"))
        .map(|(ended, took)| span(ended, took));
    let mut shown = BTreeMap::<_, Seen>::new();
    for sample in metrics
        .0
        .iter()
        .filter(|sample| sample.name.starts_with("redis_stream_") && is_of_a_moment(&sample.name))
    {
        let label = |label: &str| sample.labels.get(label).cloned().unwrap_or_default();
        if label("redis") != server {
            continue;
        }
        let seen = shown.entry(label("stream")).or_default();
        match (&*sample.name, sample.value) {
            ("redis_stream_up", value) => seen.is_failing = value == 0.0,
            ("redis_stream_exists", 1.0) => {}
            ("redis_stream_group_lag_source", _) if label("source") != "bounded" => {}
            ("redis_stream_group_lag_source", _) => seen.bounded.push(label("group")),
            (name, value) => seen.values.push((Key::new(name, &label("group"), &label("consumer")), value)),
        }
    }
    // Nothing is known, and redis_up says so.
    if shown.is_empty() && !is_up {
        return Ok(poll);
    }
    let span = poll.ok_or("there are numbers, and no poll")?;
    let judged = ledger.judge(Shown { poll: span, streams: shown, complete: |_| true });
    judged.map_err(|wrong| format!("redis {server:?} (up: {is_up}): {wrong}"))?;
    Ok(poll)
}

/// What /api/v1/groups says of a group, and the metric of it.
const FIELDS: [(&str, &str); 7] = [
    ("lag", "redis_stream_group_lag"),
    ("lag_lower_bound", "redis_stream_group_lag_lower_bound"),
    ("lag_upper_bound", "redis_stream_group_lag_upper_bound"),
    ("pending", "redis_stream_group_messages_pending"),
    ("backlog", "redis_stream_group_backlog"),
    ("consumers", "redis_stream_group_consumers"),
    ("oldest_undelivered_age_seconds", "redis_stream_group_oldest_undelivered_age_seconds"),
];

const LENGTH: &str = "redis_stream_length";

/// Whether all is true that /api/v1/groups shows.
pub fn report_is_true(ledger: &Ledger, report: &Value) -> Result<(), String> {
    for server in report["servers"].as_array().unwrap() {
        of_server_is_true(ledger, server)?;
    }
    Ok(())
}

fn of_server_is_true(ledger: &Ledger, server: &Value) -> Result<(), String> {
    let (Some(ended), Some(took)) = (server["polled_at"].as_f64(), server["poll_duration_seconds"].as_f64())
    else {
        return Ok(());
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut shown = BTreeMap::new();
    for stream in list(&server["streams"]) {
        let mut seen = Seen { is_failing: !stream["error"].is_null(), ..Seen::default() };
        let length = stream["length"].as_f64().map(|length| (Key::new(LENGTH, "", ""), length));
        seen.values.extend(length);
        for group in list(&stream["groups"]) {
            let name = text(&group["group"]);
            let value =
                |(field, metric): (&str, &str)| Some((Key::new(metric, &name, ""), group[field].as_f64()?));
            seen.values.extend(FIELDS.into_iter().filter_map(value));
            if group["lag_source"] == "bounded" {
                seen.bounded.push(name);
            }
        }
        shown.insert(text(&stream["stream"]), seen);
    }
    let complete = |key: &Key| key.name == LENGTH || FIELDS.iter().any(|(_, metric)| key.name == *metric);
    ledger.judge(Shown { poll: span(ended, took), streams: shown, complete })
}

/// Whether an answer to an autoscaler is true: all groups, or a refusal. That there are none must be as true.
fn answer_is_true(ledger: &Ledger, answer: &Answer, spans: &[(String, Span)]) -> Result<bool, String> {
    let items = match answer.status {
        503 => return Ok(false),
        404 => Vec::new(),
        200 => answer.json()["items"].as_array().unwrap().clone(),
        other => return Err(format!("status {other}")),
    };
    items_are_true(ledger, &items, spans)?;
    Ok(true)
}

/// Whether these are the numbers of all groups.
pub fn items_are_true(ledger: &Ledger, items: &[Value], spans: &[(String, Span)]) -> Result<(), String> {
    const BACKLOG: &str = "redis_stream_group_backlog";
    let mut shown = BTreeMap::<_, BTreeMap<_, Seen>>::new();
    for item in items {
        let label = |label: &str| item["metricLabels"][label].as_str().unwrap();
        let value = item["value"].as_str().and_then(|value| value.parse().ok());
        let value = value.ok_or_else(|| format!("no count: {item}"))?;
        let of_server = shown.entry(label("redis").to_owned()).or_default();
        let seen = of_server.entry(label("stream").to_owned()).or_default();
        seen.values.push((Key::new(BACKLOG, label("group"), ""), value));
    }
    for (server, span) in spans {
        let shown = shown.remove(server).unwrap_or_default();
        let shown = Shown { poll: *span, streams: shown, complete: |key| key.name == BACKLOG };
        let judged = ledger.judge(shown);
        judged.map_err(|wrong| format!("redis {server:?}: {wrong}"))?;
    }
    Ok(())
}
