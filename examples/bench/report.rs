//! Figures of rounds, their medians, and their ratios.

use std::time::Duration;

use hdrhistogram::Histogram;

/// What one round on one server has given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    /// Processor time of this process for each request; includes an embedded server.
    cpu_us: f64,
}

/// The rounds of each server.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<(String, Vec<Figures>)>,
}

impl Figures {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(crate) fn new(measured: Duration, cpu_seconds: f64, latencies: &Histogram<u64>) -> Self {
        let us = |nanos: u64| nanos as f64 / 1e3;
        let requests = latencies.len() as f64;
        Self {
            per_second: requests / measured.as_secs_f64(),
            p50_us: us(latencies.value_at_quantile(0.5)),
            p99_us: us(latencies.value_at_quantile(0.99)),
            max_us: us(latencies.max()),
            cpu_us: cpu_seconds * 1e6 / requests,
        }
    }
}

impl Table {
    pub(crate) fn new(names: impl Iterator<Item = String>) -> Self {
        Self { rows: names.map(|name| (name, Vec::new())).collect() }
    }

    pub(crate) fn add(&mut self, row: usize, figures: Figures) {
        self.rows[row].1.push(figures);
    }

    pub(crate) fn print_text(&self, what: &str) {
        println!("{what}");
        println!(
            "{:<24} {:>12} {:>10} {:>10} {:>10} {:>12} {:>8}",
            "server", "requests/s", "p50 µs", "p99 µs", "max µs", "CPU µs/req", "ratio"
        );
        let reference = self.rows.last().map(|(_, rounds)| median(rounds).per_second);
        for (name, rounds) in &self.rows {
            let Figures { per_second, p50_us, p99_us, max_us, cpu_us } = median(rounds);
            let ratio = per_second / reference.unwrap_or(per_second);
            println!(
                "{name:<24} {per_second:>12.0} {p50_us:>10.1} {p99_us:>10.1} {max_us:>10.1} \
                 {cpu_us:>12.2} {ratio:>7.2}x"
            );
        }
    }

    pub(crate) fn print_json(&self) {
        for (name, rounds) in &self.rows {
            let Figures { per_second, p50_us, p99_us, max_us, cpu_us } = median(rounds);
            println!(
                "{{\"server\":{name:?},\"rounds\":{},\"requests_per_second\":{per_second:.0},\
                 \"p50_us\":{p50_us:.1},\"p99_us\":{p99_us:.1},\"max_us\":{max_us:.1},\
                 \"cpu_us_per_request\":{cpu_us:.2}}}",
                rounds.len()
            );
        }
    }
}

/// The median of each figure on its own.
fn median(rounds: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Figures {
        per_second: of(|figures| figures.per_second),
        p50_us: of(|figures| figures.p50_us),
        p99_us: of(|figures| figures.p99_us),
        max_us: of(|figures| figures.max_us),
        cpu_us: of(|figures| figures.cpu_us),
    }
}

/// Processor time that this process has used, user and system, where Linux tells.
pub(crate) fn cpu_seconds() -> f64 {
    // Fields 14 and 15, in ticks of a hundredth of a second; the name before them may hold
    // anything but ends at the last parenthesis.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| {
        after_name.split_whitespace().nth(field).and_then(|ticks| ticks.parse::<f64>().ok())
    };
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => (user + system) / 100.0,
        _ => f64::NAN,
    }
}
