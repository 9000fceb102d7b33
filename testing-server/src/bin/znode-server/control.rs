//! Servers that run in the background: started, stopped and asked, as Apache's `zkServer.sh` does.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use znode_testing::{Config, InstanceSpec};

use super::pid_file::{PidFile, is_server, signal};
use super::print;

/// How long `status` waits for the server.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// How often `stop` looks whether the server has ended, and how many times.
const STOP_POLL: Duration = Duration::from_millis(20);
const STOP_POLLS_MAX: u32 = 3000;

/// Starts a server in the background, and waits until it listens. What it has to tell goes into a
/// file beside its data.
pub(super) fn start(file: &str, data_dir: &Path) -> io::Result<()> {
    print("Starting zookeeper ... ")?;
    let pid_file = PidFile::of(data_dir);
    if let Some(pid) = pid_file.obstacle() {
        return Err(io::Error::other(format!("already running as process {pid}.")));
    }
    std::fs::create_dir_all(data_dir)?;
    let told = data_dir.join("zookeeper_server.out");
    let errors = File::create(&told)
        .map_err(|error| io::Error::other(format!("{}: {error}", told.display())))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
    #[cfg(unix)]
    // So that what ends the shell that has started it does not end it, too.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn()?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line)?;
    }
    if line.is_empty() {
        child.wait()?;
        let why = std::fs::read_to_string(&told)?;
        return Err(io::Error::other(format!("FAILED TO START\n{}", why.trim_end())));
    }
    print(&format!("STARTED\n{line}"))
}

/// Ends the server that runs on a data directory, and waits until it has.
pub(super) fn stop(data_dir: &Path) -> io::Result<()> {
    print("Stopping zookeeper ... ")?;
    let pid_file = PidFile::of(data_dir);
    let path = pid_file.path().display();
    if !pid_file.path().exists() {
        return print(&format!("no zookeeper to stop (could not find file {path})\n"));
    }
    let Some(pid) = pid_file.running()? else {
        std::fs::remove_file(pid_file.path())?;
        return print(&format!("no zookeeper to stop (what {path} names does not run)\n"));
    };
    signal(pid, "-TERM")?;
    for _ in 0..STOP_POLLS_MAX {
        if !is_server(pid) {
            return print("STOPPED\n");
        }
        #[expect(clippy::disallowed_methods, reason = "this process does nothing else")]
        std::thread::sleep(STOP_POLL);
    }
    Err(io::Error::other(format!("process {pid} does not end")))
}

/// The command that runs a server in the foreground.
pub(super) fn print_command(file: &str) -> io::Result<()> {
    let program = std::env::current_exe()?;
    print(&format!("\"{}\" \"{file}\"\n", program.display()))
}

/// What the server's own words say of it.
pub(super) fn status(config: Config) -> io::Result<()> {
    let spec: InstanceSpec = config.into_spec();
    let Some(mut address) = spec.plain_address() else {
        return Err(io::Error::other("it has no port for plain text, and cannot be asked"));
    };
    if address.ip().is_unspecified() {
        address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port());
    }
    let (port, ip) = (address.port(), address.ip());
    print(&format!("Client port found: {port}. Client address: {ip}. Client SSL: false.\n"))?;
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&address, STATUS_TIMEOUT)?;
        stream.set_read_timeout(Some(STATUS_TIMEOUT))?;
        stream.write_all(b"srvr")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    let answer: String = ask()
        .map_err(|error| io::Error::other(format!("{address}: probably not running: {error}")))?;
    match answer.lines().find(|line| line.starts_with("Mode:")) {
        Some(mode) => print(&format!("{mode}\n")),
        None => Err(io::Error::other(format!("{address}: answers, and does not serve"))),
    }
}
