//! The file that says which process serves a data directory: `zookeeper_server.pid`, as Apache's
//! scripts have it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a command line of this program has in it; a number may have gone to another process.
const PROGRAM: &str = "znode-server";

/// The file.
#[derive(Debug, Clone)]
pub(super) struct PidFile(PathBuf);

/// The file while this process is in it; it goes when this is dropped.
pub(super) struct Held(PathBuf);

impl PidFile {
    /// The file of a data directory, unless `ZOOPIDFILE` names another, as it does to Apache's
    /// scripts.
    pub(super) fn of(data_dir: &Path) -> Self {
        let named = std::env::var_os("ZOOPIDFILE").filter(|name| !name.is_empty());
        Self(named.map_or_else(|| data_dir.join("zookeeper_server.pid"), PathBuf::from))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The process in it, if that runs and is a server of this program.
    ///
    /// # Errors
    /// The file cannot be read, or holds no number.
    pub(super) fn running(&self) -> io::Result<Option<u32>> {
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.wrong(&error)),
        };
        let pid = text.trim().parse::<u32>();
        let pid = pid.map_err(|_| self.wrong(&"does not hold the number of a process"))?;
        Ok((pid != std::process::id() && is_server(pid)).then_some(pid))
    }

    /// The process in it that a new server would be in the way of. What cannot be read stands in
    /// nobody's way: a crash may have left it, and the directory has a lock of its own.
    pub(super) fn obstacle(&self) -> Option<u32> {
        self.running().unwrap_or_default()
    }

    /// Writes this process into it: at once and whole, whenever a crash comes.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn hold(&self) -> io::Result<Held> {
        let mut unnamed = self.0.clone().into_os_string();
        unnamed.push(".new");
        fs::write(&unnamed, std::process::id().to_string())
            .and_then(|()| fs::rename(&unnamed, &self.0))
            .map_err(|error| self.wrong(&error))?;
        Ok(Held(self.0.clone()))
    }

    fn wrong(&self, what: &impl std::fmt::Display) -> io::Error {
        io::Error::other(format!("{}: {what}", self.0.display()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A file that has gone already was removed by somebody who wants it gone.
        let _ = fs::remove_file(&self.0);
    }
}

/// Whether a process runs and is a server of this program, as far as the system tells.
pub(super) fn is_server(pid: u32) -> bool {
    if Path::new("/proc/self").exists() {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        return String::from_utf8_lossy(&command).contains(PROGRAM);
    }
    signal(pid, "-0").is_ok_and(|sent| sent)
}

/// Sends a signal, by the program that every Unix has for that; false if there is no such process.
pub(super) fn signal(pid: u32, signal: &str) -> io::Result<bool> {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).output();
    let sent = sent.map_err(|error| io::Error::other(format!("kill {signal} {pid}: {error}")))?;
    Ok(sent.status.success())
}
