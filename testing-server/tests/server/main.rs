//! The program `znode-server`, run as a process.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]
#![expect(clippy::unwrap_used, reason = "a test may")]

mod attribute;
mod control;
mod faults;
mod kill;
mod program;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that goes with its test.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("znode-server-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        // Left over from a process of the same number that was killed.
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A `zoo.cfg` in the directory, with a free port, and `lines` behind what must be there.
    pub(crate) fn config(&self, lines: &str) -> PathBuf {
        let file = self.0.join("zoo.cfg");
        let data = self.0.join("data");
        let text = format!(
            "dataDir={}\nclientPort=0\nclientPortAddress=127.0.0.1\npreAllocSize=64\n{lines}",
            data.display()
        );
        fs::write(&file, text).unwrap();
        file
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server that runs; it is killed if its test ends early.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) connect_string: String,
    pub(crate) stdin: Option<ChildStdin>,
}

pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_znode-server"))
}

impl Server {
    /// Starts the program and waits until it listens.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            panic!("the server did not start: {}", errors(child.stderr.take().unwrap()));
        }
        let stdin = child.stdin.take();
        Self { child, connect_string: line.trim().to_owned(), stdin }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn errors(stderr: ChildStderr) -> String {
    std::io::read_to_string(stderr).unwrap()
}
