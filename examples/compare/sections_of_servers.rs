//! Our server beside Apache's, and by itself.

use crate::plan::{Column, Figure, Line, Row, Section, alone, goal, line, row};
use crate::run::{Driver, Program};
use crate::servers::Kind;

const APACHE: &str = "Apache ZooKeeper";
const OURS: &str = "znode-server";
const NONE: &str = "constant answers";
const RAW: &str = "raw file";

/// Our server should be so many times better than Apache's.
fn server(figure: Figure, target: f64, stretch: f64) -> Line {
    line(figure, [goal(OURS, APACHE, target, stretch)])
}

fn two_servers(theirs: Kind, ours: Kind) -> Vec<Column> {
    let program = Program::Bench(Driver::default());
    vec![Column::on(APACHE, program, theirs), Column::on(OURS, program, ours)]
}

/// The same, and the load against nothing: what the program that loads them takes by itself.
fn two_servers_and_none(theirs: Kind, ours: Kind) -> Vec<Column> {
    let mut columns = two_servers(theirs, ours);
    columns.push(Column::on(NONE, Program::Bench(Driver::default()), Kind::Constant));
    columns
}

pub(crate) fn alone_in_memory() -> Section {
    use Figure::{Median, PerSecond, ServerCpu, ServerMemory};
    Section {
        key: "servers",
        title: "Servers, one alone, in memory",
        about: "Each a process of its own, reached over loopback by our client. Apache's has its \
                files in memory and does not sync them. *Constant answers* is a server that \
                answers everything with the same bytes: what the load takes by itself, which no \
                ratio can go beyond.",
        fresh: false,
        columns: two_servers_and_none(Kind::ApacheInMemory, Kind::OursInMemory),
        rows: vec![
            row(
                ("get, 8 sessions, depth 64", "get", 8, 64),
                [
                    server(PerSecond, 10.0, 20.0),
                    server(ServerCpu, 10.0, 25.0),
                    line(Figure::Cpu, []),
                ],
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

pub(crate) fn durable() -> Section {
    use Figure::{Median, PerSecond};
    let mut columns = two_servers(Kind::ApacheOnDisk, Kind::OursOnDisk);
    columns.push(Column { name: RAW, program: Program::Raw("fsync"), server: None });
    let mut many = server(PerSecond, 6.0, 12.0);
    many.goals.push(goal(OURS, RAW, 0.8, 0.9));
    Section {
        key: "disk",
        title: "Servers that keep their data",
        about: "Their files lie on the same disk, and every write is synced before it is \
                acknowledged. *Raw file* is as many records at a time, appended to a file that is \
                synced: no server can do more.",
        fresh: false,
        columns,
        rows: vec![
            row(("set, 8 sessions, depth 64", "set", 8, 64), [many]),
            row(("set, 1 session, depth 1", "set", 1, 1), [server(Median, 1.25, 1.54)]),
        ],
    }
}

pub(crate) fn ensembles() -> Section {
    use Figure::{Median, PerSecond, Percentile99, ServerCpu, ServerMemory};
    Section {
        key: "ensembles",
        title: "Three servers that vote, in memory",
        about: "Apache's are three processes, ours one; sessions are spread over them.",
        fresh: false,
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

/// What no program can beat.
pub(crate) fn limits() -> Section {
    use Figure::{Median, PerSecond, Percentile99};
    let raw = |name, mode| Column { name, program: Program::Raw(mode), server: None };
    Section {
        key: "limits",
        title: "What the machine can do",
        about: "A byte to and fro over a socket between two threads, and a record of 200 bytes \
                appended to a file that is synced.",
        fresh: false,
        columns: vec![raw("loopback", "ping-pong"), raw("disk", "fsync")],
        rows: vec![row(
            ("one at a time", "raw", 1, 1),
            [line(PerSecond, []), line(Median, []), line(Percentile99, [])],
        )],
    }
}

/// What memory grows by.
pub(crate) fn growth() -> Section {
    use Figure::{ServerBytes, ServerMemory};
    let of = |nodes, row: Row| Row { nodes: Some(nodes), ..row };
    let program = Program::Bench(Driver::default());
    let bytes = |target, stretch| alone(ServerBytes, OURS, target, stretch);
    let nodes = ("1,000,000 nodes of 100 bytes", "grow-nodes", 1, 1);
    Section {
        key: "growth",
        title: "What memory grows by",
        about: "What of the server is in memory, before and after, for each of what was made, on \
                servers that have just been started. Each watch is on a path of its own, which it \
                takes memory for, too.",
        fresh: true,
        columns: vec![
            Column::on(APACHE, program, Kind::ApacheRoomy),
            Column::on(OURS, program, Kind::OursInMemory),
        ],
        rows: vec![
            of(0, row(("nothing", "grow-nodes", 1, 1), [alone(ServerMemory, OURS, 8.0, 4.0)])),
            of(10_000, row(("10,000 nodes", "grow-nodes", 1, 1), [line(ServerMemory, [])])),
            of(100_000, row(("100,000 nodes", "grow-nodes", 1, 1), [line(ServerMemory, [])])),
            of(1_000_000, row(nodes, [bytes(350.0, 250.0), line(ServerMemory, [])])),
            of(100_000, row(("100,000 watches", "grow-watches", 1, 1), [bytes(100.0, 60.0)])),
            row(("4,000 sessions", "grow-sessions", 4_000, 1), [bytes(4096.0, 2048.0)]),
        ],
    }
}

/// Servers within a test.
pub(crate) fn in_tests() -> Section {
    use Figure::{Max, Median, Memory};
    const ZNODE: &str = "znode";
    const CURATOR: &str = "Curator";
    let against = |ms, target, stretch| {
        let mut line = alone(Median, ZNODE, ms * 1e3, ms * 1e3 / 4.0);
        line.goals.push(goal(ZNODE, CURATOR, target, stretch));
        line
    };
    Section {
        key: "test-servers",
        title: "Servers within a test",
        about: "From the call that starts them to the first write that is acknowledged, again and \
                again in one process, which in Java is warm then; memory is what a process has \
                grown by at most. At a failover the leader dies, and the same session's next write \
                is waited for.",
        fresh: false,
        columns: vec![
            Column { name: ZNODE, program: Program::Bench(Driver::OneThread), server: None },
            Column { name: CURATOR, program: Program::Peer("curator"), server: None },
        ],
        rows: vec![
            row(
                ("TestingServer", "start", 1, 1),
                [against(2.0, 4.0, 16.0), alone(Memory, ZNODE, 4.0, 1.0)],
            ),
            row(
                ("TestingCluster of three", "start-cluster", 1, 1),
                [against(50.0, 4.0, 16.0), alone(Memory, ZNODE, 12.0, 4.0)],
            ),
            row(
                ("failover of three", "failover", 1, 1),
                [
                    alone(Median, ZNODE, 120_000.0, 40_000.0),
                    alone(Max, ZNODE, 400_000.0, 100_000.0),
                ],
            ),
        ],
    }
}
