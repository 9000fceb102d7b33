//! The tables of `BENCHMARKS.md`.

use std::fmt::Write as _;
use std::fs;

use znode_examples::Error;

use crate::plan::{Figure, Goal, Section};
use crate::samples::{Samples, Verdict};

/// Between these lines of the file stands what was written by this program.
const BEGIN: &str = "<!-- written by `compare`: begin -->";
const END: &str = "<!-- written by `compare`: end -->";

/// What has been found, in Markdown.
#[derive(Debug, Default)]
pub(crate) struct Report {
    text: String,
    goals: [usize; 3],
    short: Vec<String>,
}

impl Report {
    pub(crate) fn paragraph(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text.trim_end());
        self.text.push_str("\n\n");
    }

    /// A table: a row for each figure of each workload.
    pub(crate) fn section(&mut self, section: &Section, rows: &[Samples]) {
        self.paragraph(&format!("### {}", section.title));
        self.paragraph(&wrapped(section.about));
        self.text.push_str("| workload | figure |");
        for column in &section.columns {
            _ = write!(self.text, " {} |", column.name);
        }
        self.text.push_str(" times as good, and as aimed at |\n|---|---|");
        self.text.push_str(&"---|".repeat(section.columns.len() + 1));
        self.text.push('\n');
        for (row, samples) in section.rows.iter().zip(rows) {
            for line in &row.lines {
                let names = section.columns.iter().map(|column| column.name);
                self.line(row.name, line.figure, &line.goals, samples, names);
            }
        }
        self.text.push('\n');
    }

    fn line(
        &mut self,
        name: &str,
        figure: Figure,
        goals: &[Goal],
        samples: &Samples,
        columns: impl Iterator<Item = &'static str>,
    ) {
        _ = write!(self.text, "| {name} | {} |", figure.unit());
        let several = goals.len() > 1;
        for column in columns {
            let cell = samples.median(column, figure).map_or_else(String::new, |median| {
                let spread = samples.spread(column, figure).unwrap_or_default();
                format!("{} ±{spread:.0} %", brief(median))
            });
            _ = write!(self.text, " {cell} |");
        }
        let judged: Vec<String> = goals
            .iter()
            .filter_map(|goal| {
                let ratio = samples.ratio(goal, figure)?;
                let Goal { ours, theirs, target, stretch } = goal;
                let verdict = goal.judge(ratio, figure);
                self.goals[verdict as usize] += 1;
                let told = if theirs.is_some() { times } else { brief };
                let (of, told) = (format!("{} … {}", told(*target), told(*stretch)), told(ratio));
                let pair = match theirs {
                    Some(theirs) => format!("{ours} to {theirs}"),
                    None => (*ours).to_owned(),
                };
                if verdict == Verdict::Short {
                    self.short.push(format!("{name}, {}: {pair} {told} of {of}", figure.unit()));
                }
                let who = if several { format!("{pair}: ") } else { String::new() };
                let mark = match verdict {
                    Verdict::Stretch => format!("**{told}**, beyond"),
                    Verdict::Target => format!("**{told}** of"),
                    Verdict::Short => format!("{told}, short of"),
                };
                Some(format!("{who}{mark} {of}"))
            })
            .collect();
        _ = writeln!(self.text, " {} |", judged.join("<br>"));
    }

    /// Sums up how the goals were met.
    pub(crate) fn sum_up(&mut self) {
        let [stretch, target, short] = self.goals;
        self.paragraph("### The goals");
        self.paragraph(&wrapped(&format!(
            "Of {} goals, each a span from what is the least to what is aimed at, {stretch} are \
             surpassed, {target} met, {short} not.",
            stretch + target + short
        )));
        let short: String = self.short.iter().map(|what| format!("- {what}\n")).collect();
        if !short.is_empty() {
            self.paragraph(&short);
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Puts it in its place in a file, in place of what stood there.
    pub(crate) fn write(&self, path: &str) -> Result<(), Error> {
        let old = fs::read_to_string(path)?;
        let parts = old.split_once(BEGIN).and_then(|(before, rest)| {
            let (_, after) = rest.split_once(END)?;
            Some((before, after))
        });
        let (before, after) = parts
            .ok_or_else(|| format!("{path} has no place for it, between {BEGIN} and {END}"))?;
        fs::write(path, format!("{before}{BEGIN}\n\n{}{END}{after}", self.text))?;
        Ok(())
    }
}

fn times(ratio: f64) -> String {
    match ratio {
        10.0.. => format!("{ratio:.0}×"),
        _ => format!("{ratio:.1}×"),
    }
}

/// With three digits or so.
fn brief(value: f64) -> String {
    match value {
        1e6.. => format!("{:.2} M", value / 1e6),
        1e5.. => format!("{:.0}k", value / 1e3),
        1e4.. => format!("{:.1}k", value / 1e3),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// In lines of a hundred columns.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + word.len() < 100 {
            _ = write!(line, " {word}");
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}
