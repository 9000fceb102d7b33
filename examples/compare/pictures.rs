//! Which pictures there are, and what of the samples they show.

use std::fs;
use std::path::Path;

use znode_examples::Error;

use crate::plan::{Figure, Section};
use crate::plot::{Curve, Plot};
use crate::samples::Samples;

/// Where they lie, beside the file that shows them.
const FOLDER: &str = "benchmarks";

/// How much of what was timed took no longer, and where that stands on an axis.
const QUANTILES: [(Figure, f64, &str); 4] = [
    (Figure::Median, 2.0, "50 %"),
    (Figure::Percentile90, 10.0, "90 %"),
    (Figure::Percentile99, 100.0, "99 %"),
    (Figure::Percentile999, 1000.0, "99.9 %"),
];

/// A picture of a section: under which name, and how it is made.
type Picture = (&'static str, fn(&Section, &[Samples]) -> Plot);

/// The pictures of a section, by its name on the command line.
fn pictures(key: &str) -> &'static [Picture] {
    match key {
        "servers" => &[("latency-get", latency_of_gets), ("latency-set", latency_of_sets)],
        "growth" => &[("memory", memory)],
        "test-servers" => &[("failover", failover)],
        "clients" => &[("throughput", throughput)],
        _ => &[],
    }
}

/// Draws what a section has to show; says in Markdown where it is.
pub(crate) fn draw(file: &str, section: &Section, rows: &[Samples]) -> Result<String, Error> {
    let folder = Path::new(file).parent().unwrap_or(Path::new("")).join(FOLDER);
    fs::create_dir_all(&folder)?;
    let mut shown = String::new();
    for (name, plot) in pictures(section.key) {
        let plot = plot(section, rows);
        if plot.write(&folder.join(format!("{name}.svg")))? {
            shown += &format!("![{}]({FOLDER}/{name}.svg)\n", plot.title);
        }
    }
    Ok(shown)
}

/// One line for each column, through the workloads that have a place on the axis.
fn by_workload(
    section: &Section,
    rows: &[Samples],
    figure: Figure,
    place: impl Fn(&str) -> Option<f64>,
) -> Vec<Curve> {
    let line = |name: &'static str| {
        let points =
            section.rows.iter().zip(rows).filter_map(|(row, samples)| {
                Some((place(row.name)?, samples.median(name, figure)?))
            });
        Curve { name: name.into(), points: points.collect() }
    };
    section.columns.iter().map(|column| line(column.name)).collect()
}

/// One line for each column that has to do with a workload, through what shares of it took.
fn quantiles(section: &Section, rows: &[Samples], workload: &str, title: &'static str) -> Plot {
    let row = section.rows.iter().zip(rows).find(|(row, _)| row.name == workload);
    let line = |name: &'static str| {
        let points = QUANTILES
            .iter()
            .filter_map(|(figure, place, _)| Some((*place, row?.1.median(name, *figure)?)));
        Curve { name: name.into(), points: points.collect() }
    };
    Plot {
        title,
        across: "share that took no longer",
        up: "µs",
        marks: QUANTILES.map(|(_, place, mark)| (place, mark.to_owned())).into(),
        lines: section.columns.iter().map(|column| line(column.name)).collect(),
    }
}

fn latency_of_gets(section: &Section, rows: &[Samples]) -> Plot {
    quantiles(section, rows, "get, 100 sessions, depth 1", "get, 100 sessions, depth 1")
}

fn latency_of_sets(section: &Section, rows: &[Samples]) -> Plot {
    quantiles(section, rows, "set, 8 sessions, depth 64", "set, 8 sessions, depth 64")
}

fn failover(section: &Section, rows: &[Samples]) -> Plot {
    let title = "From the death of a leader to the next write, three servers";
    quantiles(section, rows, "failover of three", title)
}

fn memory(section: &Section, rows: &[Samples]) -> Plot {
    let nodes = |name: &str| {
        let (count, _) = name.split_once(" nodes")?;
        count.replace(',', "").parse().ok()
    };
    Plot {
        title: "Memory of the server that holds so many nodes of 100 bytes",
        across: "nodes",
        up: "MiB",
        marks: Vec::new(),
        lines: by_workload(section, rows, Figure::ServerMemory, nodes),
    }
}

fn throughput(section: &Section, rows: &[Samples]) -> Plot {
    let depth = |name: &str| name.strip_prefix("get, depth ")?.parse().ok();
    Plot {
        title: "get by one session, on a server of constant answers",
        across: "requests under way",
        up: "gets a second",
        marks: [1, 8, 64, 1000].map(|depth| (f64::from(depth), depth.to_string())).into(),
        lines: by_workload(section, rows, Figure::PerSecond, depth),
    }
}
