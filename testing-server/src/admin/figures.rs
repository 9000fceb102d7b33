//! Figures, and the three ways to tell them: four-letter words, JSON, and Prometheus' text.

use std::fmt::{Display, Write as _};

use super::json::{Json, Map};
use super::stats::Latency;
use super::text::mean;

/// Every figure, in the order in which they are told.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Figure>);

#[derive(Debug)]
struct Figure {
    name: String,
    value: Value,
}

#[derive(Debug)]
enum Value {
    /// What is no number.
    Text(String),
    /// What goes up and down.
    Gauge(String),
    /// What only goes up.
    Counter(String),
    /// How long many things took.
    Summary(Summary, Latency),
}

/// How much is told of many measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Summary {
    /// Mean, limits, count and sum.
    Plain,
    /// Quantiles as well. They are not counted, for they would cost every request something; the
    /// mean stands in for those below it, the maximum for those above.
    Distribution,
}

impl Figures {
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.put(name, Value::Text(value.to_owned()));
    }

    pub(crate) fn gauge(&mut self, name: &str, value: impl Display) {
        self.put(name, Value::Gauge(value.to_string()));
    }

    pub(super) fn counter(&mut self, name: &str, value: impl Display) {
        self.put(name, Value::Counter(value.to_string()));
    }

    pub(super) fn summary(&mut self, name: &str, summary: Summary, latency: &Latency) {
        self.put(name, Value::Summary(summary, *latency));
    }

    fn put(&mut self, name: &str, value: Value) {
        self.0.push(Figure { name: name.to_owned(), value });
    }

    /// As `mntr` tells them, one number a line.
    pub(super) fn words(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.entries() {
            let value = match value {
                Json::Number(value) | Json::Text(value) => value,
                other => other.print(),
            };
            _ = writeln!(text, "zk_{name}\t{value}");
        }
        text
    }

    /// As the admin server's `monitor` tells them.
    pub(super) fn entries(&self) -> Map {
        let mut entries = Map::new();
        for Figure { name, value } in &self.0 {
            match value {
                Value::Text(text) => entries.push((name.clone(), Json::text(text))),
                Value::Gauge(number) | Value::Counter(number) => {
                    entries.push((name.clone(), Json::Number(number.clone())));
                }
                Value::Summary(summary, latency) => {
                    put_parts(name, *summary, latency, &mut entries);
                }
            }
        }
        entries
    }

    /// As Prometheus reads them. Quantiles of nothing are no number.
    pub(crate) fn prometheus(&self) -> String {
        let mut text = String::new();
        for Figure { name, value } in &self.0 {
            let kind = match value {
                Value::Text(_) => continue,
                Value::Gauge(_) => "gauge",
                Value::Counter(_) => "counter",
                Value::Summary(..) => "summary",
            };
            _ = writeln!(text, "# HELP {name} {name}\n# TYPE {name} {kind}");
            match value {
                Value::Summary(summary, latency) => put_samples(name, *summary, latency, &mut text),
                Value::Text(number) | Value::Gauge(number) | Value::Counter(number) => {
                    _ = writeln!(text, "{name} {}", double(number));
                }
            }
        }
        text
    }
}

fn put_parts(name: &str, summary: Summary, latency: &Latency, entries: &mut Map) {
    let mut put = |part: &str, value: String| {
        entries.push((format!("{part}_{name}"), Json::Number(value)));
    };
    put("avg", mean(latency.mean_ms()));
    put("min", latency.min_ms().to_string());
    put("max", latency.max_ms.to_string());
    put("cnt", latency.count().to_string());
    put("sum", latency.total_ms().to_string());
    if summary == Summary::Distribution {
        put("p50", latency.whole_mean_ms().to_string());
        for quantile in ["p95", "p99", "p999"] {
            put(quantile, latency.max_ms.to_string());
        }
    }
}

fn put_samples(name: &str, summary: Summary, latency: &Latency, text: &mut String) {
    let quantiles: &[&str] = match summary {
        Summary::Plain => &["0.5"],
        Summary::Distribution => &["0.5", "0.9", "0.99"],
    };
    for quantile in quantiles {
        let value = match *quantile {
            _ if latency.count() == 0 => "NaN".to_owned(),
            "0.5" => double(&latency.whole_mean_ms().to_string()),
            _ => double(&latency.max_ms.to_string()),
        };
        _ = writeln!(text, "{name}{{quantile=\"{quantile}\",}} {value}");
    }
    _ = writeln!(text, "{name}_count {}", double(&latency.count().to_string()));
    _ = writeln!(text, "{name}_sum {}", double(&latency.total_ms().to_string()));
}

/// A number in the form of a Java double.
fn double(number: &str) -> String {
    if number.contains('.') { number.to_owned() } else { format!("{number}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_in_three_ways() {
        let mut latency = Latency::NONE;
        latency.note(1);
        latency.note(4);
        let mut figures = Figures::default();
        figures.text("version", "3.9");
        figures.gauge("avg", "0.5");
        figures.counter("seen", 7);
        figures.summary("fast", Summary::Plain, &Latency::NONE);
        figures.summary("slow", Summary::Distribution, &latency);
        let words = figures.words();
        for line in ["zk_version\t3.9", "zk_avg\t0.5", "zk_seen\t7", "zk_avg_slow\t2.5"] {
            assert!(words.lines().any(|told| told == line), "{line}: {words}");
        }
        assert_eq!(words.lines().count(), 3 + 5 + 9);
        assert_eq!(figures.entries().len(), 3 + 5 + 9);
        let text = figures.prometheus();
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "avg 0.5",
            "seen 7.0",
            "fast{quantile=\"0.5\",} NaN",
            "fast_count 0.0",
            "fast_sum 0.0",
            "slow{quantile=\"0.5\",} 2.0",
            "slow{quantile=\"0.9\",} 4.0",
            "slow{quantile=\"0.99\",} 4.0",
            "slow_count 2.0",
            "slow_sum 5.0",
        ];
        assert_eq!(samples, expected);
    }
}
