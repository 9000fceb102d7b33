//! `znode-server`: the server as a program of its own, as a `zoo.cfg` describes it or thrown away
//! at its end.

mod control;
mod log;
mod pid_file;

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use tokio::sync::oneshot;
use znode_testing::{Config, InstanceSpec, TestingCluster, TestingServer};

use pid_file::PidFile;

const USAGE: &str = "\
znode-server: an Apache ZooKeeper server in Rust

  znode-server zoo.cfg             run in the foreground until SIGTERM or SIGINT
  znode-server start zoo.cfg       run in the background
  znode-server stop zoo.cfg        end the server that runs there
  znode-server restart zoo.cfg     end it, and start it again
  znode-server status zoo.cfg      ask the server that zoo.cfg describes how it is
  znode-server print-cmd zoo.cfg   print the command that runs it
  znode-server --ephemeral [N]     run N servers, one unless said, on free ports of 127.0.0.1,
                                   with data in memory, until standard input ends or a signal
                                   comes
  znode-server --version

A server that runs prints where it listens on the first line. Its process stands in the file
zookeeper_server.pid of its data directory, or in the one that ZOOPIDFILE names.
";

/// The exit code for a command that makes no sense, or a file that cannot be used.
const USAGE_CODE: u8 = 2;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match *args {
        ["--help" | "-h"] => print(USAGE),
        ["--version" | "-V"] => print(concat!("znode-server ", env!("CARGO_PKG_VERSION"), "\n")),
        ["--ephemeral"] => run(InstanceSpec::new(), None),
        ["--ephemeral", count] => ephemeral(count),
        [word @ ("start" | "stop" | "restart" | "status" | "print-cmd"), file] => {
            configured(file).and_then(|config| control(word, file, config))
        }
        [file] if !file.starts_with('-') => configured(file).and_then(foreground),
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

fn control(word: &str, file: &str, config: Config) -> io::Result<()> {
    let data_dir = config.data_dir().to_owned();
    match word {
        "start" => control::start(file, &data_dir),
        "stop" => control::stop(&data_dir),
        "restart" => control::stop(&data_dir).and_then(|()| control::start(file, &data_dir)),
        "status" => control::status(config),
        _ => control::print_command(file),
    }
}

/// So many servers, thrown away at their end.
fn ephemeral(count: &str) -> io::Result<()> {
    let Ok(count) = count.parse() else {
        let why = format!("--ephemeral {count}: must be a number of servers");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    };
    if count == 1 {
        return run(InstanceSpec::new(), None);
    }
    log::to_standard_error();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let cluster = TestingCluster::start(count).await?;
        print(&format!("{}\n", cluster.connect_string()))?;
        let input_ended = input_ended()?;
        tokio::select! {
            _ = input_ended => {}
            () = signals.any() => {}
        }
        for id in cluster.ids() {
            cluster.stop(id).await;
        }
        Ok(())
    })
}

fn foreground(config: Config) -> io::Result<()> {
    let data_dir = config.data_dir().to_owned();
    let pid_file = PidFile::of(&data_dir);
    if let Some(pid) = pid_file.obstacle() {
        let dir = data_dir.display();
        return Err(io::Error::other(format!("{dir}: process {pid} serves it already")));
    }
    run(config.into_spec(), Some(&data_dir))
}

/// Runs a server: on a data directory until a signal comes, without one until standard input ends
/// as well.
fn run(spec: InstanceSpec, data_dir: Option<&Path>) -> io::Result<()> {
    log::to_standard_error();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before the server says where it is: whoever reads that may send a signal at once.
        let mut signals = Signals::new()?;
        let server = TestingServer::start_with(spec).await?;
        let _held = data_dir.map(|dir| PidFile::of(dir).hold()).transpose()?;
        tell_other_ports(&server);
        print(&format!("{}\n", server.connect_string()))?;
        let input_ended = async {
            match data_dir {
                None => _ = input_ended()?.await,
                Some(_) => std::future::pending().await,
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

/// Where else there is somebody to talk to; a port may have been any that is free.
fn tell_other_ports(server: &TestingServer) {
    if let Some(address) = server.secure_address() {
        tracing::info!(%address, "speaks TLS");
    }
    for (what, address) in
        [("commands", server.admin_address()), ("metrics", server.metrics_address())]
    {
        if let Some(address) = address {
            tracing::info!(%address, what, "tells operators");
        }
    }
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
