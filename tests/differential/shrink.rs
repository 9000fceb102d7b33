//! Compares two servers on a stream, and looks for the shortest stream on which they differ.

use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::drive::{Transcript, play};
use crate::plan::{Action, ROOT, What};

/// How often a stream that shows a difference may be played again to shorten it.
const TRIES_MAX: usize = 300;

/// Two servers.
pub(crate) struct Pair {
    theirs: String,
    ours: String,
    /// Numbers the roots, so that no run meets the nodes of another.
    runs: u64,
    /// How many answers, events and ends of connections were compared.
    pub(crate) compared: usize,
    /// How often each error was answered.
    pub(crate) errors: BTreeMap<String, usize>,
}

/// Where two transcripts part.
pub(crate) struct Difference {
    /// The action; behind the last one, the end of the stream.
    at: usize,
    theirs: Vec<String>,
    ours: Vec<String>,
}

/// A short stream that still shows a difference.
pub(crate) struct Shrunk {
    actions: Vec<Action>,
    difference: Difference,
}

impl Pair {
    #[expect(clippy::disallowed_methods, reason = "names must differ from those of earlier runs")]
    pub(crate) fn new(theirs: String, ours: String) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self {
            theirs,
            ours,
            runs: u64::try_from(since_1970.as_micros()).unwrap(),
            compared: 0,
            errors: BTreeMap::new(),
        }
    }

    /// Plays a stream on both servers.
    pub(crate) fn compare(&mut self, actions: &[Action]) -> Option<Difference> {
        self.runs += 1;
        let root = root(self.runs);
        let (theirs, ours) = thread::scope(|scope| {
            let theirs = scope.spawn(|| play(&self.theirs, &root, actions));
            let ours = play(&self.ours, &root, actions);
            (theirs.join().unwrap(), ours)
        });
        for line in theirs.iter().flatten() {
            self.compared += 1;
            let error = line.split(" error ").nth(1).and_then(|rest| rest.split(' ').next());
            if let Some(error) = error {
                *self.errors.entry(error.to_owned()).or_default() += 1;
            }
        }
        difference(theirs, ours)
    }

    /// Cuts the stream behind the difference, then leaves out whatever it shows without.
    pub(crate) fn shrink(&mut self, actions: &[Action], difference: &Difference) -> Shrunk {
        let mut shortest = actions[..actions.len().min(difference.at + 1)].to_vec();
        let mut found = self.compare(&shortest);
        let mut chunk = shortest.len() / 2;
        let mut tries = 0;
        while chunk > 0 && tries < TRIES_MAX {
            let mut at = 0;
            while at < shortest.len() && tries < TRIES_MAX {
                let mut shorter = shortest.clone();
                shorter.drain(at..(at + chunk).min(shortest.len()));
                tries += 1;
                match self.compare(&shorter) {
                    Some(difference) => {
                        shorter.truncate(difference.at + 1);
                        shortest = shorter;
                        found = Some(difference);
                    }
                    None => at += chunk,
                }
            }
            chunk /= 2;
        }
        while let Some((shorter, difference)) = self.without_one_request(&shortest) {
            (shortest, found) = (shorter, Some(difference));
        }
        let lost = Difference {
            at: difference.at,
            theirs: difference.theirs.clone(),
            ours: difference.ours.clone(),
        };
        Shrunk { actions: shortest, difference: found.unwrap_or(lost) }
    }

    /// The same stream with one request less in some batch, if it still shows a difference.
    fn without_one_request(&mut self, actions: &[Action]) -> Option<(Vec<Action>, Difference)> {
        for (at, action) in actions.iter().enumerate() {
            let What::Batch(requests) = &action.what else { continue };
            for leave_out in 0..if requests.len() > 1 { requests.len() } else { 0 } {
                let mut shorter = actions.to_vec();
                let mut requests = requests.clone();
                requests.remove(leave_out);
                shorter[at].what = What::Batch(requests);
                if let Some(difference) = self.compare(&shorter) {
                    return Some((shorter, difference));
                }
            }
        }
        None
    }
}

/// The node below which a run plays.
pub(crate) fn root(run: u64) -> String {
    let width = ROOT.len() - 2;
    format!("/d{:0width$x}", run & 0xfff_ffff_ffff)
}

fn difference(theirs: Transcript, ours: Transcript) -> Option<Difference> {
    let pairs = theirs.into_iter().zip(ours).enumerate();
    let mut parted = pairs.filter(|(_, (theirs, ours))| theirs != ours);
    parted.next().map(|(at, (theirs, ours))| Difference { at, theirs, ours })
}

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for action in &self.actions {
            writeln!(f, "{} {}", action.slot, action.what)?;
        }
        writeln!(f, "--- theirs\n{}", self.difference.theirs.join("\n"))?;
        writeln!(f, "--- ours\n{}", self.difference.ours.join("\n"))
    }
}
