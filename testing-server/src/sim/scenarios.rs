//! Elections and synchronisations whose whole talk stands in `tests/testdata`, to be read as prose.
//!
//! `ZNODE_WRITE_TRANSCRIPTS=1 cargo test -p znode-testing scenarios` writes them anew.

use std::path::PathBuf;
use std::time::Duration;

use znode::Moment;

use super::reconfigurations::request;
use super::world::{Event, Layout, World};

fn layout() -> Layout {
    Layout {
        participants: 3,
        observers: 0,
        spares: 0,
        reconfigures: false,
        clients: 1,
        timeout_ms: 4000,
        in_memory: false,
        committed_log: 500,
        disk_us: 10,
    }
}

/// A world, and what is to be said of it.
struct Scenario {
    name: &'static str,
    world: World,
}

impl Scenario {
    fn new(name: &'static str, about: &str, layout: &Layout) -> Self {
        let mut scenario = Self { name, world: World::quiet(layout) };
        scenario.tell(about);
        scenario
    }

    fn tell(&mut self, what: &str) {
        if let Some(script) = &mut self.world.script {
            if !script.is_empty() {
                script.push(String::new());
            }
            script.push(format!("# {what}"));
        }
    }

    /// Starts servers, numbered from 1, and lets them find together.
    fn start(&mut self, servers: &[usize]) {
        for server in servers {
            self.world.start(server - 1);
        }
        self.settle();
    }

    /// The leader is asked to change who belongs together.
    fn reconfigure(&mut self, leader: usize, joining: &str, leaving: &str) {
        let request = request(joining, leaving);
        let asked = self.world.ask_reconfiguration(leader - 1, &request);
        asked.expect("there is nothing against it");
        self.settle();
    }

    fn kill(&mut self, server: usize) {
        self.world.kill(server - 1);
    }

    /// Lets everybody finish what they have to say, but for signs of life.
    fn settle(&mut self) {
        let end = self.world.now + Duration::from_secs(2);
        while self.world.step(end) {}
    }

    /// The client writes until so many transactions more are decided.
    fn write(&mut self, count: usize) {
        let wanted = self.world.oracle.len() + count;
        self.world.at(Duration::ZERO, Event::Client(0));
        while self.world.oracle.len() < wanted {
            assert!(self.world.step(Moment::NEVER), "nothing happens any more");
        }
        self.world.forget_clients();
        self.settle();
    }

    /// Compares with what is written down, or writes it down.
    fn end(self) {
        let mut text = self.world.script.unwrap_or_default().join("\n");
        text.push('\n');
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/testdata");
        let path = folder.join(format!("{}.txt", self.name));
        if std::env::var_os("ZNODE_WRITE_TRANSCRIPTS").is_some() {
            std::fs::create_dir_all(&folder).expect("a folder can be made");
            std::fs::write(&path, &text).expect("a file can be written");
        }
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(known == text, "{} says something else:\n{text}", path.display());
    }
}

#[test]
fn three_servers_elect_the_first_leader() {
    let about = "Three servers without data find each other; nobody has more than the others.";
    let mut scenario = Scenario::new("first-election", about, &layout());
    scenario.start(&[1, 2, 3]);
    scenario.end();
}

#[test]
fn a_follower_catches_up_with_a_few_transactions() {
    let about = "Two servers; the third will be away.";
    let mut scenario = Scenario::new("catch-up-by-diff", about, &layout());
    scenario.start(&[1, 2]);
    scenario.tell("A client comes, and writes.");
    scenario.write(4);
    scenario.tell("The third one comes. It has nothing, but all is still remembered.");
    scenario.start(&[3]);
    scenario.end();
}

#[test]
fn a_follower_that_was_away_for_too_long_gets_everything() {
    let about = "Two servers, which remember one transaction each.";
    let mut scenario =
        Scenario::new("catch-up-by-snapshot", about, &Layout { committed_log: 1, ..layout() });
    scenario.start(&[1, 2]);
    scenario.tell("A client comes, and writes.");
    scenario.write(4);
    scenario.tell("The third one comes, too late for what is remembered.");
    scenario.start(&[3]);
    scenario.end();
}

#[test]
fn an_observer_learns_and_decides_nothing() {
    let about = "Two servers that vote, and an observer.";
    let both = Layout { participants: 2, observers: 1, ..layout() };
    let mut scenario = Scenario::new("observer", about, &both);
    scenario.start(&[1, 2, 3]);
    scenario.tell("A client comes, and writes.");
    scenario.write(3);
    scenario.end();
}

#[test]
fn another_leads_when_the_leader_is_gone() {
    let about = "Three servers.";
    let mut scenario = Scenario::new("next-leader", about, &layout());
    scenario.start(&[1, 2, 3]);
    scenario.tell("A client comes, and writes.");
    scenario.write(3);
    scenario.tell("The leader is killed.");
    scenario.kill(3);
    scenario.settle();
    scenario.tell("It comes back, and follows.");
    scenario.start(&[3]);
    scenario.end();
}

#[test]
fn a_server_joins_and_the_leader_leaves() {
    let about = "Two servers that may be joined: their configuration is of the first epoch.";
    let two = Layout { participants: 2, spares: 1, reconfigures: true, ..layout() };
    let mut scenario = Scenario::new("reconfiguration", about, &two);
    scenario.start(&[1, 2]);
    scenario
        .tell("A third one comes. It learns whom it belongs to, and observes nothing: it follows.");
    scenario.start(&[3]);
    scenario.tell("It joins, and votes.");
    scenario.reconfigure(2, "server.3=h3:1:2;9", "");
    scenario.tell("The leader leaves: another one leads at once, and nobody is elected.");
    scenario.reconfigure(2, "", "2");
    scenario.tell("The first one votes no longer. Of one voter a majority is one.");
    scenario.reconfigure(1, "server.1=h1:1:2:observer;9", "");
    scenario.end();
}
