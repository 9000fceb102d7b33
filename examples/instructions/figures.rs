//! Figures that are written down, and how what was found differs from them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use znode_examples::Error;

/// What the line begins with that says who has made the instructions.
const COMPILER: &str = "# counted with ";

/// Instructions by the name of the work.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    counts: BTreeMap<String, f64>,
    compiler: String,
}

impl Figures {
    /// What a file holds: nothing, if there is none.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| format!("{}: {error}", path.display()))?,
        };
        let compiler = text.lines().find_map(|line| line.strip_prefix(COMPILER));
        let compiler = compiler.unwrap_or("nobody knows what").to_owned();
        let mut figures = Self { counts: BTreeMap::new(), compiler };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let parts = line.split_once(" = ").map(|(name, count)| (name, count.parse()));
            let Some((name, Ok(count))) = parts else {
                return Err(format!("{}: not `name = count`: {line}", path.display()).into());
            };
            figures.note(name, count);
        }
        Ok(figures)
    }

    /// Writes down what was found, and of what was not counted what stood there before.
    pub(crate) fn write(self, path: &Path, before: &Self, compiler: &str) -> Result<(), Error> {
        let mut all = before.counts.clone();
        all.extend(self.counts);
        let mut text =
            format!("# Instructions, written by `instructions --write`.\n{COMPILER}{compiler}\n");
        for (name, count) in all {
            text += &format!("{name} = {count:.0}\n");
        }
        Ok(fs::write(path, text)?)
    }

    /// Notes what some work takes.
    pub(crate) fn note(&mut self, name: &str, count: f64) {
        self.counts.insert(name.to_owned(), count);
    }

    /// Who has made the instructions that were counted.
    pub(crate) fn compiler(&self) -> &str {
        &self.compiler
    }

    /// The work that there are figures of.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.counts.keys().map(String::as_str)
    }

    /// What some work takes.
    pub(crate) fn of(&self, name: &str) -> Option<f64> {
        self.counts.get(name).copied()
    }
}

/// What was committed, and what was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Growth {
    /// If there is any such figure.
    pub(crate) committed: Option<f64>,
    /// Now.
    pub(crate) found: f64,
}

impl Growth {
    /// By how much it has grown.
    pub(crate) fn percent(self) -> Option<f64> {
        self.committed.map(|committed| (self.found / committed - 1.0) * 100.0)
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.committed, self.percent()) {
            (Some(committed), Some(percent)) => {
                write!(f, "{committed:12.0} {:12.0} {percent:+8.1} %", self.found)
            }
            _ => write!(f, "{:>12} {:12.0}", "-", self.found),
        }
    }
}
