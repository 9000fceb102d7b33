//! What a comparison is made of: sections, columns, rows, figures and goals.

use crate::run::Program;
use crate::servers::Kind;

/// Workloads that the same columns are compared by.
pub(crate) struct Section {
    /// How it is called on the command line.
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    /// Whether every workload has servers of its own, and one round: what has grown stays so.
    pub(crate) fresh: bool,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

/// A program, on a server if it needs one.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    pub(crate) server: Option<Kind>,
}

impl Column {
    pub(crate) fn on(name: &'static str, program: Program, server: Kind) -> Self {
        Self { name, program, server: Some(server) }
    }

    /// Whether it has a part in a workload. Nothing ever happens at a server of constant answers.
    pub(crate) fn does(&self, mode: &str) -> bool {
        self.program.does(mode) && (self.server != Some(Kind::Constant) || mode != "fan-out")
    }
}

/// A workload.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) mode: &'static str,
    pub(crate) sessions: u32,
    pub(crate) depth: u32,
    /// How many nodes there are, where that is not left to the command line.
    pub(crate) nodes: Option<u32>,
    pub(crate) lines: Vec<Line>,
}

/// A figure of a workload, and what is wanted of it.
pub(crate) struct Line {
    pub(crate) figure: Figure,
    pub(crate) goals: Vec<Goal>,
}

/// What is wanted of a column: the least, and what is aimed at.
pub(crate) struct Goal {
    pub(crate) ours: &'static str,
    /// Than whom it should be so many times better; than nobody, and the figure itself counts.
    pub(crate) theirs: Option<&'static str>,
    pub(crate) target: f64,
    pub(crate) stretch: f64,
}

/// A figure that programs tell of, by its name there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    PerSecond,
    Median,
    Percentile90,
    Percentile99,
    Percentile999,
    Max,
    Cpu,
    ServerCpu,
    Memory,
    LiveMemory,
    ServerMemory,
    ServerBytes,
}

impl Figure {
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::PerSecond => "operations_per_second",
            Self::Median => "p50_us",
            Self::Percentile90 => "p90_us",
            Self::Percentile99 => "p99_us",
            Self::Percentile999 => "p999_us",
            Self::Max => "max_us",
            Self::Cpu => "cpu_us_per_operation",
            Self::ServerCpu => "server_cpu_us_per_operation",
            Self::Memory => "resident_mib",
            Self::LiveMemory => "live_mib",
            Self::ServerBytes => "server_bytes_each",
            Self::ServerMemory => "server_resident_mib",
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::PerSecond => "/s",
            Self::Median => "p50 µs",
            Self::Percentile90 => "p90 µs",
            Self::Percentile99 => "p99 µs",
            Self::Percentile999 => "p99.9 µs",
            Self::Max => "max µs",
            Self::Cpu => "CPU µs each",
            Self::ServerCpu => "server's CPU µs each",
            Self::Memory => "MiB grown by",
            Self::LiveMemory => "MiB in use",
            Self::ServerMemory => "server's MiB then",
            Self::ServerBytes => "server's bytes each",
        }
    }

    pub(crate) fn more_is_better(self) -> bool {
        self == Self::PerSecond
    }
}

/// Of the columns that are not ours.
pub(crate) const BEST: &str = "the best other";

pub(crate) fn row(
    (name, mode, sessions, depth): (&'static str, &'static str, u32, u32),
    lines: impl Into<Vec<Line>>,
) -> Row {
    Row { name, mode, sessions, depth, nodes: None, lines: lines.into() }
}

pub(crate) fn line(figure: Figure, goals: impl Into<Vec<Goal>>) -> Line {
    Line { figure, goals: goals.into() }
}

pub(crate) fn goal(ours: &'static str, theirs: &'static str, target: f64, stretch: f64) -> Goal {
    Goal { ours, theirs: Some(theirs), target, stretch }
}

/// What a figure should be by itself.
pub(crate) fn alone(figure: Figure, ours: &'static str, target: f64, stretch: f64) -> Line {
    line(figure, [Goal { ours, theirs: None, target, stretch }])
}
