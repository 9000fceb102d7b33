//! Our client and our recipes beside others.

use crate::plan::{BEST, Column, Figure, Section, goal, line, row};
use crate::run::{Driver, Program};
use crate::servers::Kind;

const ZNODE: &str = "znode";
const ZNODE_ONE: &str = "znode, one thread";
const IN_ORDER: &str = "znode, in order";
const KEZHUW: &str = "zookeeper-client";
const KEZHUW_ONE: &str = "zookeeper-client, one thread";
const JAVA: &str = "Java";
const C: &str = "C";
const KAZOO: &str = "kazoo";

fn client_columns(server: Kind) -> Vec<Column> {
    let programs = [
        (ZNODE, Program::Bench(Driver::Unordered)),
        (ZNODE_ONE, Program::Bench(Driver::UnorderedOnOneThread)),
        (IN_ORDER, Program::Bench(Driver::InOrder)),
        (KEZHUW, Program::Peer("zookeeper-client")),
        (KEZHUW_ONE, Program::Peer("zookeeper-client-one-thread")),
        ("zookeeper-async", Program::Peer("zookeeper-async")),
        ("tokio-zookeeper", Program::Peer("tokio-zookeeper")),
        (JAVA, Program::Peer("java")),
        (C, Program::Peer("c")),
        (KAZOO, Program::Peer("kazoo")),
    ];
    programs.map(|(name, program)| Column::on(name, program, server)).into()
}

pub(crate) fn clients() -> Section {
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
                leaves the client's own cost. From depth 8 on the Rust clients are asked by \
                futures in a `FuturesUnordered`; *in order* awaits one reply after the other, \
                which only a client can do whose requests are under way before they are polled. \
                The best other is that of all that are not ours, on one thread or several.",
        fresh: false,
        columns: client_columns(Kind::Constant),
        rows: vec![
            row(("get, depth 1", "get", 1, 1), [line(Median, alone), line(Cpu, [])]),
            row(("get, depth 8", "get", 1, 8), [line(PerSecond, [])]),
            row(("get, depth 64", "get", 1, 64), [at_64, line(Cpu, [goal(ZNODE, BEST, 1.5, 2.4)])]),
            row(("get, depth 1000", "get", 1, 1000), [many(1.5, 3.0), line(Cpu, [])]),
            row(("set, depth 1", "set", 1, 1), [line(Median, [goal(ZNODE, BEST, 1.0, 1.17)])]),
            row(("set, depth 64", "set", 1, 64), [many(1.5, 2.5)]),
            row(("set, depth 1000", "set", 1, 1000), [many(1.5, 3.0)]),
        ],
    }
}

pub(crate) fn clients_on_apache() -> Section {
    use Figure::{Cpu, Median, PerSecond};
    Section {
        key: "clients-on-apache",
        title: "Clients on Apache ZooKeeper",
        about: "The same on one Apache ZooKeeper in memory, where from depth 64 on it is the \
                server that is measured.",
        fresh: false,
        columns: client_columns(Kind::ApacheInMemory),
        rows: vec![
            row(("get, depth 1", "get", 1, 1), [line(Median, [goal(ZNODE, BEST, 1.0, 1.17)])]),
            row(("get, depth 64", "get", 1, 64), [line(PerSecond, []), line(Cpu, [])]),
            row(("set, depth 64", "set", 1, 64), [line(PerSecond, [])]),
        ],
    }
}

pub(crate) fn recipes() -> Section {
    use Figure::{LiveMemory, Median, Memory, PerSecond};
    const DROPPED: &str = "znode, dropped";
    const CURATOR: &str = "Curator";
    let programs = [
        (ZNODE, Program::Bench(Driver::InOrder)),
        (DROPPED, Program::Bench(Driver::Dropped)),
        (KEZHUW, Program::Peer("zookeeper-client")),
        (CURATOR, Program::Peer("curator")),
        (KAZOO, Program::Peer("kazoo")),
    ];
    let column = |(name, program)| Column::on(name, program, Kind::ApacheInMemory);
    let curators = |figure, target, stretch| line(figure, [goal(ZNODE, CURATOR, target, stretch)]);
    let fifty = [
        goal(DROPPED, KEZHUW, 1.25, 1.8),
        goal(ZNODE, CURATOR, 4.0, 6.0),
        goal(ZNODE, KAZOO, 8.0, 12.0),
    ];
    Section {
        key: "recipes",
        title: "Recipes",
        about: "All on one Apache ZooKeeper in memory. zookeeper-client lets a lock go by \
                dropping it, which nobody waits for; *dropped* does the same, the others wait. \
                *Each once*: all set out at once, and the time is up when the last has had the \
                lock. The queue has four producers and four consumers and holds 64 items at most; \
                counted are the items taken.",
        fresh: false,
        columns: programs.map(column).into(),
        rows: vec![
            row(
                ("lock, nobody else", "lock", 1, 1),
                [line(PerSecond, [goal(DROPPED, KEZHUW, 1.4, 2.0)]), line(Median, [])],
            ),
            row(
                ("lock, 10 contenders, each once", "contend-once", 10, 1),
                [line(PerSecond, [goal(DROPPED, KEZHUW, 1.25, 1.8)])],
            ),
            row(
                ("lock, 50 contenders, each once", "contend-once", 50, 1),
                [line(PerSecond, fifty)],
            ),
            row(("lock, 50 contenders, again and again", "contend", 50, 1), [line(PerSecond, [])]),
            row(("simple queue, 4 and 4", "queue", 4, 1), [curators(PerSecond, 2.0, 4.0)]),
            row(("counter, 8 adders", "counter", 8, 1), [curators(PerSecond, 1.5, 3.0)]),
            row(
                ("tree cache of 100,000 nodes", "cache", 1, 1),
                [curators(PerSecond, 3.0, 6.0), curators(Memory, 4.0, 8.0), line(LiveMemory, [])],
            ),
        ],
    }
}
