//! The text of a family: metadata and samples, as prometheus-client writes them, whose own encoder takes several times as
//! long. A test holds the two against each other.

use crate::{
    catalogue::{
        Kind, Metric,
        exporter::Distribution,
        samples::{Labels, Sample},
    },
    serve::prometheus::Format,
};

/// Bytes that are passed on at once.
const PAGE: usize = 64 * 1024;

/// Text that is passed on page by page, so that no more of it is held than somebody wants to keep.
pub(super) struct Pages<'s> {
    format: Format,
    page: String,
    sink: &'s mut dyn FnMut(&str),
}

impl<'s> Pages<'s> {
    pub(super) fn new(format: Format, sink: &'s mut dyn FnMut(&str)) -> Pages<'s> {
        Pages { format, page: String::new(), sink }
    }

    /// A family, of which nothing is written before its first sample.
    pub(super) fn family<'p>(&'p mut self, metric: &'p Metric) -> Family<'p, 's> {
        Family { pages: self, metric, has_begun: false }
    }

    /// A line that belongs to no family.
    pub(super) fn line(&mut self, line: &str) {
        self.page.push_str(line);
        self.page.push('\n');
    }

    /// Passes on what is left.
    pub(super) fn finish(self) {
        (self.sink)(&self.page);
    }

    fn end_of_line(&mut self) {
        self.page.push('\n');
        if self.page.len() >= PAGE {
            (self.sink)(&self.page);
            self.page.clear();
        }
    }
}

/// The family of a metric that is being written.
pub(super) struct Family<'p, 's> {
    pages: &'p mut Pages<'s>,
    metric: &'p Metric,
    has_begun: bool,
}

impl Family<'_, '_> {
    /// A series with labels that are escaped already.
    pub(super) fn number(&mut self, labels: &str, value: f64) {
        self.begin();
        let page = &mut self.pages.page;
        page.push_str(self.metric.name);
        braced(page, &[labels]);
        self.value(value);
    }

    /// A series with one label more.
    pub(super) fn number_with(&mut self, labels: &str, (name, value): (&str, &str), number: f64) {
        self.begin();
        let page = &mut self.pages.page;
        page.push_str(self.metric.name);
        page.push('{');
        page.push_str(labels);
        page.push(',');
        label(page, name, value);
        page.push('}');
        self.value(number);
    }

    /// A series with labels of its own.
    pub(super) fn sample(&mut self, labels: &Labels<'_>, sample: Sample<'_>) {
        let mut escaped = String::new();
        for (name, value) in labels {
            if !escaped.is_empty() {
                escaped.push(',');
            }
            label(&mut escaped, name, value);
        }
        match sample {
            Sample::Number(value) => self.number(&escaped, value),
            Sample::Distribution(distribution) => self.distribution(&escaped, distribution),
        }
    }

    fn distribution(&mut self, labels: &str, Distribution { buckets, sum }: &Distribution) {
        self.begin();
        let count: u64 = buckets.iter().map(|(_, count)| count).sum();
        let (mut float, mut whole) = (dtoa::Buffer::new(), itoa::Buffer::new());
        self.part("_sum", &[labels], float.format(*sum));
        self.part("_count", &[labels], whole.format(count));
        let mut up_to = 0;
        for (bound, count) in buckets {
            up_to += count;
            let bound = if *bound == f64::INFINITY { "+Inf" } else { float.format(*bound) };
            self.part("_bucket", &[&format!("le=\"{bound}\""), labels], whole.format(up_to));
        }
    }

    fn part(&mut self, suffix: &str, labels: &[&str], value: &str) {
        let page = &mut self.pages.page;
        page.push_str(self.metric.name);
        page.push_str(suffix);
        braced(page, labels);
        page.push(' ');
        page.push_str(value);
        self.pages.end_of_line();
    }

    fn value(&mut self, value: f64) {
        let page = &mut self.pages.page;
        page.push(' ');
        // Counts and IDs read as such: 1732320000000, not 1.73232e12. Beyond 2^53 a float is not exact.
        let whole = value as i64;
        if whole as f64 == value && value.abs() < 9_007_199_254_740_992.0 {
            page.push_str(itoa::Buffer::new().format(whole));
        } else {
            page.push_str(dtoa::Buffer::new().format(value));
        }
        self.pages.end_of_line();
    }

    /// The metadata, once. In OpenMetrics those of a counter do not carry its `_total`; the older text has no unit.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let Metric { name, kind, unit, help, .. } = self.metric;
        let format = self.pages.format;
        let name = match format {
            Format::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
            Format::Text => name,
        };
        let mut line = |word: &str, text: &str| {
            for part in ["# ", word, " ", name, " ", text] {
                self.pages.page.push_str(part);
            }
            self.pages.end_of_line();
        };
        line("HELP", help);
        line("TYPE", Kind::label(*kind));
        if let (Some(unit), Format::OpenMetrics) = (unit, format) {
            line("UNIT", unit.label());
        }
    }
}

/// Labels that are escaped already, in braces; nothing where there are none.
fn braced(page: &mut String, labels: &[&str]) {
    let mut start = '{';
    for labels in labels.iter().filter(|labels| !labels.is_empty()) {
        page.push(start);
        page.push_str(labels);
        start = ',';
    }
    if start == ',' {
        page.push('}');
    }
}

/// A label, escaped.
pub(super) fn label(text: &mut String, name: &str, value: &str) {
    let is_special = |byte: u8| matches!(byte, b'\\' | b'"' | b'\n');
    text.push_str(name);
    text.push_str("=\"");
    let mut rest = value;
    // Nearly no name has one: that is told without a branch for each byte.
    let has_special = value.bytes().fold(false, |found, byte| found | is_special(byte));
    while has_special && let Some(place) = rest.bytes().position(is_special) {
        let (plain, special) = rest.split_at(place);
        text.push_str(plain);
        text.push_str(match special.as_bytes()[0] {
            b'\n' => "\\n",
            b'"' => "\\\"",
            _ => "\\\\",
        });
        rest = &special[1..];
    }
    text.push_str(rest);
    text.push('"');
}
