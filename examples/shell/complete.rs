//! Completion of commands, and of paths by what the ensemble has.

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use tokio::runtime::Handle;
use znode::Client;

use crate::commands::COMMANDS;

/// What is asked whenever somebody presses tab.
pub(crate) struct Completing {
    client: Client,
    runtime: Handle,
}

impl Completing {
    pub(crate) fn new(client: &Client, runtime: Handle) -> Self {
        Self { client: client.clone(), runtime }
    }

    /// The children that a path may go on with; none if they cannot be had.
    fn paths(&self, path: &str) -> Vec<String> {
        let Some((parent, begun)) = path.rsplit_once('/') else { return Vec::new() };
        let above = if parent.is_empty() { "/" } else { parent };
        let listed = self.runtime.block_on(async { self.client.get_children(above).await });
        let mut names = listed.unwrap_or_default();
        names.retain(|name| name.starts_with(begun));
        names.sort_unstable();
        names.iter().map(|name| format!("{parent}/{name}")).collect()
    }
}

impl Completer for Completing {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let line = &line[..at];
        let start = line.rfind(char::is_whitespace).map_or(0, |space| space + 1);
        let word = &line[start..];
        let candidates = if start == 0 {
            let known = COMMANDS.iter().map(|(name, _)| *name);
            known.filter(|name| name.starts_with(word)).map(|name| format!("{name} ")).collect()
        } else {
            self.paths(word)
        };
        Ok((start, candidates))
    }
}

impl Hinter for Completing {
    type Hint = String;
}

impl Highlighter for Completing {}
impl Validator for Completing {}
impl Helper for Completing {}
