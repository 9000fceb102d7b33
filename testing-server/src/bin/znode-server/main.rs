//! `znode-server`: the server as a program of its own, as a `zoo.cfg` describes it or thrown away
//! at its end.

mod log;

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::oneshot;
use znode_testing::{Config, InstanceSpec, TestingServer};

const USAGE: &str = "\
znode-server: an Apache ZooKeeper server in Rust

  znode-server zoo.cfg             run in the foreground until SIGTERM or SIGINT
  znode-server --ephemeral         run on a free port of 127.0.0.1, with data in memory, until
                                   standard input ends or a signal comes
  znode-server status zoo.cfg      ask the server that zoo.cfg describes how it is
  znode-server print-cmd zoo.cfg   print the command that runs it
  znode-server --version

A server that runs prints where it listens on the first line.
";

/// How long `status` waits for the server.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// The exit code for a command that makes no sense, or a file that cannot be used.
const USAGE_CODE: u8 = 2;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match *args {
        ["--help" | "-h"] => print(USAGE),
        ["--version" | "-V"] => print(concat!("znode-server ", env!("CARGO_PKG_VERSION"), "\n")),
        ["--ephemeral"] => run(InstanceSpec::new(), true),
        ["status", file] => configured(file).and_then(|config| status(&config.into_spec())),
        ["print-cmd", file] => configured(file).and_then(|_| print_command(file)),
        [file] if !file.starts_with('-') => {
            configured(file).and_then(|config| run(config.into_spec(), false))
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(USAGE_CODE);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("znode-server: {error}");
            let usage = error.kind() == io::ErrorKind::InvalidInput;
            if usage { ExitCode::from(USAGE_CODE) } else { ExitCode::FAILURE }
        }
    }
}

/// Prints, also into a pipe that somebody reads line by line.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn configured(file: &str) -> io::Result<Config> {
    let config =
        Config::read(file).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    config.notes().iter().for_each(|note| eprintln!("znode-server: {note}"));
    Ok(config)
}

fn run(spec: InstanceSpec, until_input_ends: bool) -> io::Result<()> {
    log::to_standard_error();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before the server says where it is: whoever reads that may send a signal at once.
        let mut signals = Signals::new()?;
        let server = TestingServer::start_with(spec).await?;
        print(&format!("{}\n", server.connect_string()))?;
        let input_ended = async {
            match until_input_ends {
                true => _ = input_ended()?.await,
                false => std::future::pending().await,
            }
            io::Result::Ok(())
        };
        tokio::select! {
            error = server.failed() => return Err(error),
            ended = input_ended => ended?,
            () = signals.any() => {}
        }
        server.stop().await;
        Ok(())
    })
}

/// Resolves when standard input has ended. On a thread that nothing waits for: a read of standard
/// input cannot be called off.
fn input_ended() -> io::Result<oneshot::Receiver<()>> {
    let (tell, ended) = oneshot::channel();
    std::thread::Builder::new().spawn(move || {
        let mut buffer = [0; 512];
        while io::stdin().read(&mut buffer).is_ok_and(|len| len > 0) {}
        // The server may have ended before.
        let _ = tell.send(());
    })?;
    Ok(ended)
}

/// The signals that end a server.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    #[cfg(unix)]
    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn any(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

fn print_command(file: &str) -> io::Result<()> {
    let program = std::env::current_exe()?;
    print(&format!("{} {file}\n", program.display()))
}

/// What the server's own words say of it, as `zkServer.sh status` asks.
fn status(spec: &InstanceSpec) -> io::Result<()> {
    let mut address = spec.listen_address();
    if address.ip().is_unspecified() {
        address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port());
    }
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
        Some(mode) => print(&format!("Client port: {}\n{mode}\n", address.port())),
        None => Err(io::Error::other(format!("{address}: answers, and does not serve"))),
    }
}
