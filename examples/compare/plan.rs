//! What is compared with what, and the goals.

use crate::run::Program;
use crate::servers::Kind;

/// Workloads that the same columns are compared by.
pub(crate) struct Section {
    /// How it is called on the command line.
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

/// A program on a server.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    pub(crate) server: Kind,
}

/// A workload.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) mode: &'static str,
    pub(crate) sessions: u32,
    pub(crate) depth: u32,
    pub(crate) lines: Vec<Line>,
}

/// A figure of a workload, and what is wanted of it.
pub(crate) struct Line {
    pub(crate) figure: Figure,
    pub(crate) goals: Vec<Goal>,
}

/// How many times better one column should be than another.
pub(crate) struct Goal {
    pub(crate) ours: &'static str,
    pub(crate) theirs: &'static str,
    pub(crate) target: f64,
    pub(crate) stretch: f64,
}

/// A figure that programs tell of, by its name there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    PerSecond,
    Median,
    Percentile99,
    Cpu,
    ServerCpu,
    Memory,
    ServerMemory,
}

impl Figure {
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::PerSecond => "operations_per_second",
            Self::Median => "p50_us",
            Self::Percentile99 => "p99_us",
            Self::Cpu => "cpu_us_per_operation",
            Self::ServerCpu => "server_cpu_us_per_operation",
            Self::Memory => "resident_mib",
            Self::ServerMemory => "server_resident_mib",
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::PerSecond => "/s",
            Self::Median => "p50 µs",
            Self::Percentile99 => "p99 µs",
            Self::Cpu => "CPU µs each",
            Self::ServerCpu => "server's CPU µs each",
            Self::Memory => "MiB",
            Self::ServerMemory => "server's MiB then",
        }
    }

    pub(crate) fn more_is_better(self) -> bool {
        self == Self::PerSecond
    }
}

const APACHE: &str = "Apache ZooKeeper";
const OURS: &str = "znode-server";

fn row(
    (name, mode, sessions, depth): (&'static str, &'static str, u32, u32),
    lines: impl Into<Vec<Line>>,
) -> Row {
    Row { name, mode, sessions, depth, lines: lines.into() }
}

fn line(figure: Figure, goals: impl Into<Vec<Goal>>) -> Line {
    Line { figure, goals: goals.into() }
}

fn goal(ours: &'static str, theirs: &'static str, target: f64, stretch: f64) -> Goal {
    Goal { ours, theirs, target, stretch }
}

/// Our server should be so many times better than Apache's.
fn server(figure: Figure, target: f64, stretch: f64) -> Line {
    line(figure, [goal(OURS, APACHE, target, stretch)])
}

pub(crate) fn sections() -> Vec<Section> {
    vec![servers(), durable(), ensembles(), clients(), clients_on_apache(), recipes()]
}

fn two_servers(theirs: Kind, ours: Kind) -> Vec<Column> {
    let program = Program::Bench { one_thread: false, dropped: false };
    vec![
        Column { name: APACHE, program, server: theirs },
        Column { name: OURS, program, server: ours },
    ]
}

fn servers() -> Section {
    use Figure::{Median, PerSecond, ServerCpu, ServerMemory};
    Section {
        key: "servers",
        title: "Servers, one alone, in memory",
        about: "Each a process of its own, reached over loopback by our client. Apache's has its \
                files in memory and does not sync them.",
        columns: two_servers(Kind::ApacheInMemory, Kind::OursInMemory),
        rows: vec![
            row(
                ("get, 8 sessions, depth 64", "get", 8, 64),
                [server(PerSecond, 10.0, 20.0), server(ServerCpu, 10.0, 25.0)],
            ),
            row(("get, 1 session, depth 64", "get", 1, 64), [server(PerSecond, 15.0, 30.0)]),
            row(("get, 100 sessions, depth 1", "get", 100, 1), [server(PerSecond, 2.0, 2.4)]),
            row(("get, 1 session, depth 1", "get", 1, 1), [server(Median, 1.8, 2.0)]),
            row(
                ("set, 8 sessions, depth 64", "set", 8, 64),
                [server(PerSecond, 8.0, 15.0), line(ServerCpu, [])],
            ),
            row(("set, 1 session, depth 1", "set", 1, 1), [server(Median, 1.8, 2.0)]),
            row(
                ("7 get to 3 set, 8 sessions, depth 64", "mixed", 8, 64),
                [server(PerSecond, 8.0, 15.0)],
            ),
            row(
                ("create and delete, 8 sessions, depth 64", "create-delete", 8, 64),
                [server(PerSecond, 8.0, 15.0)],
            ),
            row(
                ("connect and close, 16 at a time", "connect", 16, 1),
                [server(PerSecond, 1.3, 1.4), server(ServerCpu, 1.8, 2.3)],
            ),
            row(
                ("the same with an ephemeral node", "churn", 16, 1),
                [server(PerSecond, 1.5, 1.8), server(ServerCpu, 1.8, 2.5)],
            ),
            row(
                ("1000 sessions told of a change", "fan-out", 1000, 1),
                [
                    server(Median, 1.56, 1.9),
                    server(ServerCpu, 1.8, 2.5),
                    server(ServerMemory, 13.8, 27.6),
                ],
            ),
        ],
    }
}

fn durable() -> Section {
    use Figure::{Median, PerSecond};
    Section {
        key: "disk",
        title: "Servers that keep their data",
        about: "Their files lie on the same disk, and every write is synced before it is \
                acknowledged.",
        columns: two_servers(Kind::ApacheOnDisk, Kind::OursOnDisk),
        rows: vec![
            row(("set, 8 sessions, depth 64", "set", 8, 64), [server(PerSecond, 6.0, 12.0)]),
            row(("set, 1 session, depth 1", "set", 1, 1), [server(Median, 1.25, 1.54)]),
        ],
    }
}

fn ensembles() -> Section {
    use Figure::{Median, PerSecond, Percentile99, ServerCpu, ServerMemory};
    Section {
        key: "ensembles",
        title: "Three servers that vote, in memory",
        about: "Apache's are three processes, ours one; sessions are spread over them.",
        columns: two_servers(Kind::ApacheEnsemble, Kind::OursEnsemble),
        rows: vec![
            row(("get, 8 sessions, depth 64", "get", 8, 64), [server(PerSecond, 12.0, 30.0)]),
            row(
                ("set, 1 session, depth 1", "set", 1, 1),
                [server(Median, 2.0, 4.0), line(ServerCpu, [])],
            ),
            row(
                ("set, 8 sessions, depth 64", "set", 8, 64),
                [server(PerSecond, 8.0, 15.0), server(Percentile99, 7.6, 30.0)],
            ),
            row(
                ("connect and close, 16 at a time", "connect", 16, 1),
                [server(PerSecond, 2.5, 4.0), server(ServerMemory, 16.4, 32.8)],
            ),
        ],
    }
}

const ZNODE: &str = "znode";
const ZNODE_ONE: &str = "znode, one thread";
const KEZHUW: &str = "zookeeper-client";
const KEZHUW_ONE: &str = "zookeeper-client, one thread";
const JAVA: &str = "Java";
const C: &str = "C";
const KAZOO: &str = "kazoo";

/// Of the columns that are not ours.
pub(crate) const BEST: &str = "the best other";

fn client_columns(server: Kind) -> Vec<Column> {
    let bench = |one_thread| Program::Bench { one_thread, dropped: false };
    let programs = [
        (ZNODE, bench(false)),
        (ZNODE_ONE, bench(true)),
        (KEZHUW, Program::Peer("zookeeper-client")),
        (KEZHUW_ONE, Program::Peer("zookeeper-client-one-thread")),
        ("zookeeper-async", Program::Peer("zookeeper-async")),
        ("tokio-zookeeper", Program::Peer("tokio-zookeeper")),
        (JAVA, Program::Peer("java")),
        (C, Program::Peer("c")),
        (KAZOO, Program::Peer("kazoo")),
    ];
    programs.map(|(name, program)| Column { name, program, server }).into()
}

fn clients() -> Section {
    use Figure::{Cpu, Median, PerSecond};
    let many = |target, stretch| {
        let goals =
            [goal(ZNODE, BEST, target, stretch), goal(ZNODE_ONE, KEZHUW_ONE, target, stretch)];
        line(PerSecond, goals)
    };
    let alone = [goal(ZNODE, BEST, 1.0, 1.17), goal(ZNODE_ONE, KEZHUW_ONE, 1.0, 1.09)];
    let mut at_64 = many(1.5, 2.5);
    at_64.goals.extend([
        goal(ZNODE, JAVA, 10.0, 17.0),
        goal(ZNODE, C, 20.0, 35.0),
        goal(ZNODE, KAZOO, 50.0, 90.0),
    ]);
    Section {
        key: "clients",
        title: "Clients by themselves",
        about: "One session against a server that answers everything with the same bytes, which \
                leaves the client's own cost. The best other is that of all that are not ours, on \
                one thread or several.",
        columns: client_columns(Kind::Constant),
        rows: vec![
            row(("get, depth 1", "get", 1, 1), [line(Median, alone), line(Cpu, [])]),
            row(("get, depth 8", "get", 1, 8), [line(PerSecond, [])]),
            row(("get, depth 64", "get", 1, 64), [at_64, line(Cpu, [goal(ZNODE, BEST, 1.5, 2.4)])]),
            row(("get, depth 1000", "get", 1, 1000), [many(1.5, 3.0), line(Cpu, [])]),
            row(("set, depth 64", "set", 1, 64), [many(1.5, 2.5)]),
        ],
    }
}

fn clients_on_apache() -> Section {
    use Figure::{Cpu, Median, PerSecond};
    Section {
        key: "clients-on-apache",
        title: "Clients on Apache ZooKeeper",
        about: "The same on one Apache ZooKeeper in memory, where from depth 64 on it is the \
                server that is measured.",
        columns: client_columns(Kind::ApacheInMemory),
        rows: vec![
            row(("get, depth 1", "get", 1, 1), [line(Median, [goal(ZNODE, BEST, 1.0, 1.17)])]),
            row(("get, depth 64", "get", 1, 64), [line(PerSecond, []), line(Cpu, [])]),
            row(("set, depth 64", "set", 1, 64), [line(PerSecond, [])]),
        ],
    }
}

fn recipes() -> Section {
    use Figure::{Median, Memory, PerSecond};
    const DROPPED: &str = "znode, dropped";
    const CURATOR: &str = "Curator";
    let programs = [
        (ZNODE, Program::Bench { one_thread: false, dropped: false }),
        (DROPPED, Program::Bench { one_thread: false, dropped: true }),
        (KEZHUW, Program::Peer("zookeeper-client")),
        (CURATOR, Program::Peer("curator")),
        (KAZOO, Program::Peer("kazoo")),
    ];
    let column = |(name, program)| Column { name, program, server: Kind::ApacheInMemory };
    let curators = |figure, target, stretch| line(figure, [goal(ZNODE, CURATOR, target, stretch)]);
    let fifty = [
        goal(DROPPED, KEZHUW, 1.25, 1.8),
        goal(DROPPED, CURATOR, 4.0, 6.0),
        goal(DROPPED, KAZOO, 8.0, 12.0),
    ];
    Section {
        key: "recipes",
        title: "Recipes",
        about: "All on one Apache ZooKeeper in memory. zookeeper-client lets a lock go by \
                dropping it, which nobody waits for; *dropped* does the same, the others wait. The \
                queue has four producers and four consumers; counted are the items taken.",
        columns: programs.map(column).into(),
        rows: vec![
            row(
                ("lock, nobody else", "lock", 1, 1),
                [line(PerSecond, [goal(DROPPED, KEZHUW, 1.4, 2.0)]), line(Median, [])],
            ),
            row(
                ("lock, 10 contenders", "contend", 10, 1),
                [line(PerSecond, [goal(DROPPED, KEZHUW, 1.25, 1.8)])],
            ),
            row(("lock, 50 contenders", "contend", 50, 1), [line(PerSecond, fifty)]),
            row(("simple queue, 4 and 4", "queue", 4, 1), [curators(PerSecond, 2.0, 4.0)]),
            row(("counter, 8 adders", "counter", 8, 1), [curators(PerSecond, 1.5, 3.0)]),
            row(
                ("tree cache of 100,000 nodes", "cache", 1, 1),
                [curators(PerSecond, 3.0, 6.0), curators(Memory, 4.0, 8.0)],
            ),
        ],
    }
}
