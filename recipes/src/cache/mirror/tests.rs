//! A mirror beside what it is to show: whatever comes in between, it shows it in the end, and
//! whoever was told of each change has the same.

use proptest::prelude::*;
use znode::{Version, Zxid};

use super::*;

/// The nodes of a server, and what it has sent to one session.
#[derive(Debug, Default)]
struct Server {
    nodes: BTreeMap<String, Stat>,
    zxid: i64,
    sent: VecDeque<Sent>,
    /// Jobs that have not arrived.
    asked: VecDeque<Job>,
    is_connected: bool,
}

#[derive(Debug)]
enum Sent {
    Event(WatchedEvent),
    Answer(Job, Seen),
    Gap,
}

const PATHS: [&str; 6] = ["/r", "/r/a", "/r/a/x", "/r/a/y", "/r/b", "/r/b/z"];

impl Server {
    fn event(&mut self, kind: EventType, path: &str, with_zxid: bool) {
        if self.is_connected {
            let zxid = with_zxid.then_some(Zxid(self.zxid));
            self.sent.push_back(Sent::Event(WatchedEvent { kind, path: path.to_owned(), zxid }));
        }
    }

    fn touch_parent(&mut self, path: &str) {
        let zxid = Zxid(self.zxid);
        let parent = znode::path::parent(path).unwrap_or("/");
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.pzxid = zxid;
        }
    }

    /// Creates the node, writes it, or deletes it, as far as it can be done.
    fn carry_out(&mut self, path: &str, verb: u8, with_zxid: bool) {
        self.zxid += 1;
        let zxid = Zxid(self.zxid);
        let parent = znode::path::parent(path).unwrap_or("/");
        let has_children = self.nodes.keys().any(|other| znode::path::parent(other) == Some(path));
        let has_parent = parent == "/" || self.nodes.contains_key(parent);
        match (self.nodes.get_mut(path), verb) {
            (None, _) if has_parent => {
                let stat = Stat { czxid: zxid, mzxid: zxid, pzxid: zxid, ..Stat::default() };
                self.nodes.insert(path.to_owned(), stat);
                self.touch_parent(path);
                self.event(EventType::NodeCreated, path, with_zxid);
            }
            (Some(stat), 0 | 1) => {
                stat.mzxid = zxid;
                stat.version = Version(stat.version.0 + 1);
                self.event(EventType::NodeDataChanged, path, with_zxid);
            }
            (Some(_), _) if !has_children => {
                self.nodes.remove(path);
                self.touch_parent(path);
                self.event(EventType::NodeDeleted, path, with_zxid);
            }
            _ => {}
        }
    }

    /// Answers what was asked first.
    fn answer(&mut self) {
        let Some(job) = self.asked.pop_front() else { return };
        let seen = match (self.nodes.get(&*job.path), &job.known) {
            (None, _) => Seen::Missing,
            (Some(now), known) => {
                let now = *now;
                let (data, children) =
                    known.map_or((true, true), |known| differences(&known, &now));
                let with_children = job.with_children && children;
                if !data && !with_children {
                    Seen::Same
                } else {
                    let data = data.then(|| Box::from(now.mzxid.0.to_be_bytes()));
                    let names = || self.names_below(&job.path);
                    Seen::Node { stat: now, data, children: with_children.then(names) }
                }
            }
        };
        self.sent.push_back(Sent::Answer(job, seen));
    }

    fn names_below(&self, path: &str) -> Vec<String> {
        let names = self.nodes.keys().filter(|other| znode::path::parent(other) == Some(path));
        names.map(|other| other.rsplit('/').next().unwrap().to_owned()).collect()
    }

    /// Loses what is on its way: events for good, and what was asked is asked again.
    fn cut(&mut self) {
        for sent in self.sent.drain(..) {
            if let Sent::Answer(job, _) = sent {
                self.asked.push_back(job);
            }
        }
        self.is_connected = false;
    }

    fn reconnect(&mut self) {
        if !self.is_connected {
            self.is_connected = true;
            self.sent.push_back(Sent::Gap);
        }
    }
}

/// What is told of: a list of children that has changed is not.
fn contents(node: &Arc<CachedNode>) -> (Arc<str>, Zxid, Zxid, Box<[u8]>) {
    (Arc::clone(&node.path), node.stat.czxid, node.stat.mzxid, node.data.clone())
}

/// The session's side: the mirror, and one who was told of every change.
struct Pair {
    server: Server,
    mirror: Mirror,
    told: BTreeMap<Arc<str>, Arc<CachedNode>>,
    marks: Vec<&'static str>,
}

impl Pair {
    fn new(scope: Scope) -> Self {
        let server = Server { is_connected: true, ..Server::default() };
        let (told, marks) = (BTreeMap::new(), Vec::new());
        Self { server, mirror: Mirror::new("/r", scope), told, marks }
    }

    fn take(&mut self, sent: Sent) {
        let mut out = Vec::new();
        match sent {
            Sent::Event(event) => self.mirror.event(&event, &mut out),
            Sent::Answer(job, seen) => self.mirror.answered(&job, seen, &mut out),
            Sent::Gap => self.mirror.gap(),
        }
        for change in out {
            match change {
                CacheChange::Created(node) => {
                    assert!(self.told.insert(Arc::clone(&node.path), node).is_none());
                }
                CacheChange::Changed { before, after } => {
                    let held = self.told.insert(Arc::clone(&after.path), after).unwrap();
                    assert_eq!(contents(&held), contents(&before));
                }
                CacheChange::Deleted(node) => {
                    let held = self.told.remove(&node.path).unwrap();
                    assert_eq!(contents(&held), contents(&node));
                }
                CacheChange::Filled => self.marks.push("filled"),
                CacheChange::Resynced => self.marks.push("resynced"),
                CacheChange::Lagged => unreachable!("a mirror knows of no reader"),
            }
        }
    }

    /// Hands over what was sent first; or the first event, which may overtake answers on the way
    /// from the client to the mirror.
    fn deliver(&mut self, event_first: bool) {
        let is_event = |sent: &Sent| !matches!(sent, Sent::Answer(..));
        let at = self.server.sent.iter().position(is_event).filter(|_| event_first).unwrap_or(0);
        if let Some(sent) = self.server.sent.remove(at) {
            self.take(sent);
        }
        while let Some(job) = self.mirror.next_job() {
            self.server.asked.push_back(job);
        }
    }

    fn settle(&mut self) {
        self.server.reconnect();
        self.deliver(true);
        while !self.server.sent.is_empty() || !self.server.asked.is_empty() {
            self.server.answer();
            self.deliver(false);
        }
    }

    /// The paths that the mirror holds, and since when their data is what it is.
    fn held(&self) -> Vec<(String, Zxid)> {
        self.mirror.nodes().map(|node| (node.path.to_string(), node.stat.mzxid)).collect()
    }

    fn is_right(&self, scope: Scope) {
        let is_in = |path: &str| match scope {
            Scope::Node => path == "/r",
            Scope::Children => znode::path::parent(path) == Some("/r"),
            Scope::Tree => true,
        };
        let there = self.server.nodes.iter().filter(|(path, _)| is_in(path));
        let there: Vec<_> = there.map(|(path, stat)| (path.clone(), stat.mzxid)).collect();
        assert_eq!(self.held(), there);
        assert!(self.mirror.is_whole());
        let told: Vec<_> = self.told.values().map(contents).collect();
        let held: Vec<_> = self.mirror.nodes().map(contents).collect();
        assert!(told == held, "whoever carries out the changes has something else");
        for node in self.mirror.nodes() {
            assert_eq!(*node.data, node.stat.mzxid.0.to_be_bytes(), "old data, new metadata");
        }
    }
}

#[test]
fn a_node_that_was_made_anew_is_another_node() {
    let mut pair = Pair::new(Scope::Tree);
    pair.server.carry_out("/r", 0, true);
    pair.settle();
    assert_eq!(pair.marks, ["filled"]);
    // Nobody tells of it, and the version is the same. (CURATOR-391)
    pair.server.cut();
    pair.server.carry_out("/r", 2, true);
    pair.server.carry_out("/r", 0, true);
    pair.settle();
    pair.is_right(Scope::Tree);
    assert_eq!(pair.marks, ["filled", "resynced"]);
    assert_eq!(pair.told["/r"].stat.czxid, Zxid(3));
}

#[test]
fn what_has_not_changed_is_not_read_again() {
    let mut pair = Pair::new(Scope::Tree);
    PATHS.iter().for_each(|path| pair.server.carry_out(path, 0, true));
    pair.settle();
    pair.server.cut();
    pair.server.reconnect();
    pair.deliver(true);
    assert_eq!(pair.server.asked.len(), PATHS.len());
    while let Some(job) = pair.server.asked.front() {
        let known = job.known.expect("all of them are known");
        assert_eq!(differences(&known, &pair.server.nodes[&*job.path]), (false, false));
        pair.server.answer();
    }
    pair.settle();
    assert_eq!(pair.marks, ["filled", "resynced"]);
}

proptest! {
    #[test]
    fn whatever_happens_it_shows_what_is_there_in_the_end(
        scope in prop::sample::select(&[Scope::Node, Scope::Children, Scope::Tree]),
        with_zxid: bool,
        steps in prop::collection::vec((0_u8..10, 0..PATHS.len(), 0_u8..4, any::<bool>()), 0..200),
    ) {
        let mut pair = Pair::new(scope);
        for (what, path, verb, event_first) in steps {
            match what {
                0..=3 => pair.server.carry_out(PATHS[path], verb, with_zxid),
                4..=5 if pair.server.is_connected => pair.server.answer(),
                6 if verb == 0 => pair.server.cut(),
                7 => pair.server.reconnect(),
                _ => pair.deliver(event_first),
            }
        }
        pair.settle();
        pair.is_right(scope);
    }
}
