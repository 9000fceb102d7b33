//! A server of Apache's, from start to stop; see `tests/interop/zookeeper.sh`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Whether the tests are to be judged by Apache's server.
pub(crate) fn is_wanted() -> bool {
    std::env::var_os("ZNODE_TEST_APACHE").is_some()
}

/// A server, with a directory of its own.
pub(crate) struct Apache {
    pub(crate) directory: PathBuf,
    /// `host:port`, for plain text.
    pub(crate) address: String,
}

impl Apache {
    /// A place for what the server needs to find when it starts.
    pub(crate) fn directory() -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("znode-secure-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    /// Starts a server with further lines of `zoo.cfg` and flags of its virtual machine.
    pub(crate) fn start(directory: PathBuf, lines: &[String], flags: &str) -> Self {
        let output = Command::new(script())
            .arg("start")
            .arg(&directory)
            .args(lines)
            .env("ZK_JVM_EXTRA", flags)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let address = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        Self { directory, address }
    }

    /// What the server was configured with.
    pub(crate) fn configured(&self, key: &str) -> String {
        let config = fs::read_to_string(self.directory.join("zoo.cfg")).unwrap();
        let mut values =
            config.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        values.next_back().unwrap().to_owned()
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        let stopped = Command::new(script()).arg("stop").arg(&self.directory).status();
        let removed = fs::remove_dir_all(&self.directory);
        if !std::thread::panicking() {
            assert!(stopped.unwrap().success());
            removed.unwrap();
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/zookeeper.sh")
}
