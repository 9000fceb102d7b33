//! Ours beside others in one run:
//! `cargo run --release --example compare -- --write BENCHMARKS.md`.
//!
//! Gets and builds the peers, starts the servers, runs each workload on each in turns, round by
//! round, and tells medians, spreads and ratios beside the goals. Run it at the root of the
//! repository; it needs Java with Maven, Python, a C compiler, and Debian's packages.

mod idle;
mod pictures;
mod plan;
mod plot;
mod report;
mod run;
mod samples;
mod sections_of_clients;
mod sections_of_servers;
mod servers;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Parser;
use znode_examples::Error;

use crate::idle::Idle;
use crate::plan::{Figure, Section};
use crate::report::Report;
use crate::samples::Samples;
use crate::servers::Server;

/// Compares our client, servers and recipes with others'.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Rounds, in each of which every program has a turn at every workload
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each turn
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,
    /// Bytes of data in each node
    #[arg(long, default_value_t = 100)]
    pub(crate) payload: usize,
    /// Nodes of the tree that caches are filled with
    #[arg(long, default_value_t = 100_000)]
    pub(crate) nodes: usize,
    /// Sections to run, all unless said: limits, servers, disk, ensembles, growth, test-servers,
    /// clients, clients-on-apache, recipes
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// A file with a place for the tables
    #[arg(long)]
    write: Option<String>,
    /// Where servers that keep their data have it
    #[arg(long)]
    disk: Option<PathBuf>,
}

impl Options {
    /// A program that was built with this one.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        target().join(name)
    }

    pub(crate) fn disk(&self) -> String {
        let disk = self.disk.clone().unwrap_or_else(env::temp_dir);
        disk.to_string_lossy().into_owned()
    }
}

/// The folder of this program's profile: it stands in the one for examples there.
fn target() -> PathBuf {
    let own = env::current_exe().unwrap_or_default();
    own.ancestors().nth(2).map_or_else(|| "target/release".into(), Into::into)
}

fn sections() -> [Section; 9] {
    use {sections_of_clients as clients, sections_of_servers as servers};
    [
        servers::limits(),
        servers::alone_in_memory(),
        servers::durable(),
        servers::ensembles(),
        servers::growth(),
        servers::in_tests(),
        clients::clients(),
        clients::clients_on_apache(),
        clients::recipes(),
    ]
}

fn main() -> Result<(), Error> {
    let options = Options::parse();
    let sections = sections();
    let known = |key: &String| sections.iter().any(|section| section.key == key);
    if let Some(unknown) = options.only.iter().find(|key| !known(key)) {
        let keys: Vec<_> = sections.iter().map(|section| section.key).collect();
        return Err(format!("there is no section {unknown}, but {}", keys.join(", ")).into());
    }
    build()?;
    let (mut report, mut idle) = (Report::default(), Idle::default());
    report.paragraph(&circumstances(&options)?);
    for section in &sections {
        if options.only.is_empty() || options.only.iter().any(|key| key == section.key) {
            let rows = measure(section, &options, &mut idle)?;
            report.section(section, &rows);
            if let Some(file) = &options.write {
                report.paragraph(&pictures::draw(file, section, &rows)?);
            }
        }
    }
    report.paragraph(&idle.told());
    report.sum_up();
    match &options.write {
        Some(path) => report.write(path)?,
        None => println!("{}", report.text()),
    }
    Ok(())
}

/// Builds what is compared.
fn build() -> Result<(), Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let release = ["build", "--release", "--locked", "--quiet"];
    done(Command::new(&cargo).args(release).args(["-p", "znode-examples", "--example", "bench"]))?;
    let server = ["-p", "znode-testing", "--features", "program", "--bin", "znode-server"];
    done(Command::new(&cargo).args(release).args(server))?;
    done(Command::new("examples/bench/peers.sh").arg("fetch"))?;
    done(Command::new("tests/interop/zookeeper.sh").arg("fetch").stdout(Stdio::null()))
}

fn done(command: &mut Command) -> Result<(), Error> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

/// All rounds of a section; the servers stand for as long.
fn measure(section: &Section, options: &Options, idle: &mut Idle) -> Result<Vec<Samples>, Error> {
    let mut servers = BTreeMap::new();
    let mut rows = Vec::new();
    let rounds = if section.fresh { 1 } else { options.rounds };
    for row in &section.rows {
        if section.fresh {
            servers.clear();
        }
        for kind in section.columns.iter().filter_map(|column| column.server) {
            if let Entry::Vacant(place) = servers.entry(kind) {
                place.insert(Server::start(kind, options)?);
            }
        }
        let mut samples = Samples::default();
        for round in 1..=rounds {
            eprintln!("{}: {}, round {round}", section.title, row.name);
            // Nobody is always the one before, or the one behind, the same other.
            let first = round % section.columns.len();
            let (behind, before) = section.columns.split_at(first);
            let columns = before.iter().chain(behind);
            for column in columns.filter(|column| column.does(row.mode)) {
                let server = column.server.map(|kind| &servers[&kind]);
                idle.await_it()?;
                let mut told = column.program.run(row, server, options)?;
                if let Some(server) = server {
                    told.insert(Figure::ServerMemory.key().into(), server.resident_mib());
                }
                samples.add(column.name, told);
            }
        }
        rows.push(samples);
    }
    Ok(rows)
}

/// What was compared, where and when, in words.
fn circumstances(options: &Options) -> Result<String, Error> {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let output = output.map_err(|error| format!("{program}: {error}"))?;
        let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
        Ok::<_, Error>(String::from_utf8_lossy(&said).trim().to_owned())
    };
    let peers = said("examples/bench/peers.sh", &["versions"])?.replace('\n', ", ");
    let java = said("java", &["-version"])?;
    let changed = !said("git", &["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    let revision = said("git", &["rev-parse", "--short", "HEAD"])?;
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(format!(
        "- revision {revision}{}\n- {} cores of {}, {} {}\n- {}; {}\n- {peers}\n\
         - {} rounds of {} s of every program, in turns; nodes of {} bytes; load before: {}",
        if changed { ", with changes" } else { "" },
        std::thread::available_parallelism()?,
        model.map_or("unknown", |(_, model)| model),
        said("uname", &["-s"])?,
        said("uname", &["-r"])?,
        said("rustc", &["--version"])?,
        java.lines().next().unwrap_or_default().replace('"', ""),
        options.rounds,
        options.seconds,
        options.payload,
        load.split(' ').next().unwrap_or_default(),
    ))
}
