//! What the rounds have given: medians, spreads, ratios.

use std::collections::BTreeMap;

use crate::plan::{BEST, Figure, Goal};
use crate::run::Told;

/// The rounds of each column of a row.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    columns: BTreeMap<&'static str, Vec<Told>>,
}

/// How a goal was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Stretch,
    Target,
    Short,
}

impl Samples {
    pub(crate) fn add(&mut self, column: &'static str, told: Told) {
        self.columns.entry(column).or_default().push(told);
    }

    fn sorted(&self, column: &str, figure: Figure) -> Vec<f64> {
        let rounds = self.columns.get(column).into_iter().flatten();
        let mut values: Vec<f64> =
            rounds.filter_map(|told| told.get(figure.key()).copied()).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The median of the rounds, if any has told of it.
    pub(crate) fn median(&self, column: &str, figure: Figure) -> Option<f64> {
        let values = self.sorted(column, figure);
        values.get(values.len() / 2).copied()
    }

    /// Half of what lies between the least and the most, in percent of the median.
    pub(crate) fn spread(&self, column: &str, figure: Figure) -> Option<f64> {
        let values = self.sorted(column, figure);
        let (least, most) = (values.first()?, values.last()?);
        Some((most - least) / 2.0 / self.median(column, figure)? * 100.0)
    }

    /// How many times better ours is; without anybody to compare it with, the figure itself.
    pub(crate) fn ratio(&self, goal: &Goal, figure: Figure) -> Option<f64> {
        let ours = self.median(goal.ours, figure)?;
        let Some(theirs) = goal.theirs else { return Some(ours) };
        let times = |theirs: f64| {
            if figure.more_is_better() { ours / theirs } else { theirs / ours }
        };
        if theirs != BEST {
            return self.median(theirs, figure).map(times);
        }
        let others = self.columns.keys().filter(|name| !name.starts_with("znode"));
        let ratios = others.filter_map(|name| self.median(name, figure)).map(times);
        ratios.min_by(f64::total_cmp)
    }
}

impl Goal {
    pub(crate) fn judge(&self, ratio: f64, figure: Figure) -> Verdict {
        let more = self.theirs.is_some() || figure.more_is_better();
        let reaches = |wanted: f64| if more { ratio >= wanted } else { ratio <= wanted };
        if reaches(self.stretch) {
            Verdict::Stretch
        } else if reaches(self.target) {
            Verdict::Target
        } else {
            Verdict::Short
        }
    }
}
