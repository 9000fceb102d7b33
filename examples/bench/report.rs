//! Figures of rounds, their medians, and their ratios.

use std::time::Duration;

use crate::measure::{Cost, Counted};
use crate::options::Options;

/// What one round on one server has given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    per_second: f64,
    p50_us: f64,
    p90_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
    /// Processor time of this process for each operation; includes an embedded server.
    cpu_us: f64,
    /// The same of the servers that were named.
    server_cpu_us: f64,
    /// What stayed in memory, where that is what is measured: of it all, and what was allocated.
    resident_mib: f64,
    live_mib: f64,
    /// How many bytes of the servers' memory each of what was made takes.
    server_bytes: f64,
}

/// A figure: its name in JSON, its heading, the digits behind the point, and how one gets it.
type Column = (&'static str, &'static str, usize, fn(&Figures) -> f64);

const COLUMNS: [Column; 11] = [
    ("operations_per_second", "operations/s", 0, |figures| figures.per_second),
    ("p50_us", "p50 µs", 1, |figures| figures.p50_us),
    ("p90_us", "p90 µs", 1, |figures| figures.p90_us),
    ("p99_us", "p99 µs", 1, |figures| figures.p99_us),
    ("p999_us", "p99.9 µs", 1, |figures| figures.p999_us),
    ("max_us", "max µs", 1, |figures| figures.max_us),
    ("cpu_us_per_operation", "CPU µs/op", 2, |figures| figures.cpu_us),
    ("server_cpu_us_per_operation", "server µs/op", 2, |figures| figures.server_cpu_us),
    ("resident_mib", "resident MiB", 1, |figures| figures.resident_mib),
    ("live_mib", "live MiB", 1, |figures| figures.live_mib),
    ("server_bytes_each", "server B each", 0, |figures| figures.server_bytes),
];

/// The rounds of each server.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<(String, Vec<Figures>)>,
}

impl Figures {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(crate) fn new(measured: Duration, cost: Cost, counted: &Counted) -> Self {
        let us = |nanos: u64| nanos as f64 / 1e3;
        let Counted { done, latencies } = counted;
        let operations = *done as f64;
        Self {
            per_second: operations / measured.as_secs_f64(),
            p50_us: us(latencies.value_at_quantile(0.5)),
            p90_us: us(latencies.value_at_quantile(0.9)),
            p99_us: us(latencies.value_at_quantile(0.99)),
            p999_us: us(latencies.value_at_quantile(0.999)),
            max_us: us(latencies.max()),
            cpu_us: cost.own_cpu * 1e6 / operations,
            server_cpu_us: cost.servers_cpu * 1e6 / operations,
            resident_mib: f64::NAN,
            live_mib: f64::NAN,
            server_bytes: f64::NAN,
        }
    }

    /// What stayed in memory, in MiB: of it all, and what was allocated.
    pub(crate) fn with_memory(mut self, resident: f64, live: f64) -> Self {
        (self.resident_mib, self.live_mib) = (resident, live);
        self
    }

    /// By how many MiB the servers have grown for so many things that were made.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(crate) fn with_growth(mut self, mib: f64, made: usize) -> Self {
        self.server_bytes = mib * 1024.0 * 1024.0 / made as f64;
        self
    }
}

impl Table {
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self { rows: names.into_iter().map(|name| (name, Vec::new())).collect() }
    }

    pub(crate) fn add(&mut self, row: usize, figures: Figures) {
        self.rows[row].1.push(figures);
    }

    /// Prints the median of each figure: for people with its ratio to the last server, or as JSON.
    pub(crate) fn print(&self, options: &Options) {
        if options.json {
            self.print_json();
        } else {
            println!("{}", options.describe());
            self.print_text();
        }
    }

    fn print_text(&self) {
        let told = |figure: fn(&Figures) -> f64| {
            self.rows.iter().any(|(_, rounds)| !median(rounds, figure).is_nan())
        };
        let columns: Vec<&Column> = COLUMNS.iter().filter(|(.., figure)| told(*figure)).collect();
        print!("{:<24}", "server");
        for (_, heading, ..) in &columns {
            print!(" {heading:>12}");
        }
        println!(" {:>8}", "ratio");
        let per_second = |rounds: &[Figures]| median(rounds, |figures| figures.per_second);
        for (name, rounds) in &self.rows {
            print!("{name:<24}");
            for (_, _, digits, figure) in &columns {
                print!(" {:>12.digits$}", median(rounds, *figure));
            }
            let reference = self.rows.last().map_or(f64::NAN, |(_, last)| per_second(last));
            println!(" {:>7.2}x", per_second(rounds) / reference);
        }
    }

    fn print_json(&self) {
        for (name, rounds) in &self.rows {
            let figures = COLUMNS.iter().filter_map(|(key, _, digits, figure)| {
                let value = median(rounds, *figure);
                value.is_finite().then(|| format!(",\"{key}\":{value:.digits$}"))
            });
            let figures: String = figures.collect();
            println!("{{\"server\":{name:?},\"rounds\":{}{figures}}}", rounds.len());
        }
    }
}

/// The median of a figure on its own.
fn median(rounds: &[Figures], figure: fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
