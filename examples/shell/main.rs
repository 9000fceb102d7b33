//! A shell with zkCli's commands: `cargo run --example shell -- host:port`, or on an embedded
//! ensemble without it.
//!
//! Tab completes commands and paths, arrows bring back what was said before. From standard input
//! that is no terminal it reads a script, echoes nothing, and ends with an error if a command has
//! failed. `--json` prints every answer as one object on one line.

mod answer;
mod commands;
mod complete;
mod several;
mod words;

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Config, Editor};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use znode::{Client, ConnectOptions};
use znode_examples::{Ensemble, Error};

use crate::answer::Answer;
use crate::commands::execute;
use crate::complete::Completing;

/// Talks to an ensemble: `help` lists the commands.
#[derive(Parser)]
struct Options {
    /// `host:port[,host:port…][/chroot]`; an embedded ensemble, or that of `ZNODE_CONNECT`, without
    connect_string: Option<String>,
    /// Print each answer as an object of JSON on a line
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    let options = Options::parse();
    let (client, _ensemble) = match &options.connect_string {
        Some(connect_string) => (Client::connect(connect_string).await?, None),
        None => {
            let ensemble = Ensemble::from_env().await?;
            (ensemble.connect(ConnectOptions::new()).await?, Some(ensemble))
        }
    };
    let is_talk = std::io::stdin().is_terminal();
    let mut lines = Lines::open(&client, is_talk)?;
    let mut has_failed = false;
    while let Some(line) = lines.next().await? {
        match execute(&client, &line).await {
            Ok(Answer::Quit) => break,
            Ok(answer) => answer.print(options.json),
            Err(error) => {
                has_failed = true;
                print_error(&*error, options.json);
            }
        }
    }
    client.close().await?;
    Ok(if has_failed && !is_talk { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// With its causes, where they say more.
fn print_error(error: &(dyn std::error::Error + 'static), json: bool) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    if json {
        println!("{}", serde_json::json!({ "error": text }));
    } else {
        eprintln!("{text}");
    }
}

/// Where lines come from.
enum Lines {
    Talk(Box<Editor<Completing, DefaultHistory>>),
    Script,
}

impl Lines {
    fn open(client: &Client, is_talk: bool) -> Result<Self, Error> {
        if !is_talk {
            return Ok(Self::Script);
        }
        let config = Config::builder().auto_add_history(true).build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(Completing::new(client, Handle::current())));
        println!("session {}; `help` lists the commands", client.session_id());
        Ok(Self::Talk(Box::new(editor)))
    }

    /// The next one; nothing at their end. The session is seen to while one waits for it.
    async fn next(&mut self) -> Result<Option<String>, Error> {
        match std::mem::replace(self, Self::Script) {
            Self::Script => {
                let read = || std::io::stdin().lock().lines().next().transpose();
                Ok(spawn_blocking(read).await??)
            }
            Self::Talk(mut editor) => {
                let (line, editor) =
                    spawn_blocking(move || (editor.readline("> "), editor)).await?;
                *self = Self::Talk(editor);
                match line {
                    Ok(line) => Ok(Some(line)),
                    Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}
