//! A mirror beside what it is to show: whatever comes in between, it shows it in the end, and
//! whoever was told of each change has the same. Between the two lies a wire as it really is: each
//! look has a part in up to three requests that are answered at three times, answers overtake what
//! is told by the watch, looks end in any order, and connections break in between.

use proptest::prelude::*;
use znode::{Version, Zxid};

use super::*;

/// Of data too long to be read together with its metadata, and not so.
const LONG: i32 = 8;
const SHORT: i32 = 7;

const PATHS: [&str; 6] = ["/r", "/r/a", "/r/a/x", "/r/a/y", "/r/b", "/r/b/z"];

/// The nodes of a server, and every state that they were in.
#[derive(Debug, Default)]
struct Server {
    nodes: BTreeMap<String, Stat>,
    zxid: i64,
    /// How long it says that the data of each is.
    data_length: i32,
    /// When each path became what it is: since when, and what its data is, if it is there.
    history: BTreeMap<String, Vec<(Zxid, Option<Zxid>)>>,
}

/// What a server sends, in order.
#[derive(Debug)]
enum Sent {
    Told(Told),
    /// To the request of this number, with the transaction that its answers show.
    Answers(usize, Vec<Answer>, Zxid),
}

/// What the watch tells.
#[derive(Debug)]
enum Told {
    Event(WatchedEvent),
    Gap,
}

impl Server {
    fn touch_parent(&mut self, path: &str, by: i32) {
        let zxid = Zxid(self.zxid);
        let parent = znode::path::parent(path).unwrap_or("/");
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.pzxid = zxid;
            parent.num_children += by;
        }
    }

    /// Creates the node, writes it, or deletes it, as far as it can be done.
    fn carry_out(&mut self, path: &str, verb: u8) -> Option<EventType> {
        self.zxid += 1;
        let zxid = Zxid(self.zxid);
        let parent = znode::path::parent(path).unwrap_or("/");
        let has_children = self.nodes.keys().any(|other| znode::path::parent(other) == Some(path));
        let has_parent = parent == "/" || self.nodes.contains_key(parent);
        let kind = match (self.nodes.get_mut(path), verb) {
            (None, _) if has_parent => {
                let data_length = self.data_length;
                let stat = Stat { czxid: zxid, mzxid: zxid, pzxid: zxid, ..Stat::default() };
                let stat = Stat { data_length, ..stat };
                self.nodes.insert(path.to_owned(), stat);
                self.touch_parent(path, 1);
                EventType::NodeCreated
            }
            (Some(stat), 0 | 1) => {
                stat.mzxid = zxid;
                stat.version = Version(stat.version.0 + 1);
                EventType::NodeDataChanged
            }
            (Some(_), _) if !has_children => {
                self.nodes.remove(path);
                self.touch_parent(path, -1);
                EventType::NodeDeleted
            }
            _ => return None,
        };
        let mzxid = self.nodes.get(path).map(|stat| stat.mzxid);
        self.history.entry(path.to_owned()).or_default().push((zxid, mzxid));
        Some(kind)
    }

    /// Whether such data, or nothing, was at a path after a transaction, or after a later one.
    fn had(&self, path: &str, data: Option<Zxid>, from: Zxid) -> bool {
        let states = self.history.get(path).map_or(&[][..], Vec::as_slice);
        let before = states.iter().rev().find(|(since, _)| *since <= from);
        let later = states.iter().filter(|(since, _)| *since > from);
        let before = before.and_then(|(_, data)| *data);
        before == data || later.into_iter().any(|(_, later)| *later == data)
    }

    fn answer(&self, path: &str, ask: Ask) -> Answer {
        let Some(stat) = self.nodes.get(path) else { return Answer::Missing };
        match ask {
            Ask::Exists => Answer::Exists(*stat),
            Ask::Data => Answer::Data(Box::from(stat.mzxid.0.to_be_bytes()), *stat),
            Ask::Children => {
                let is_child = |other: &&String| znode::path::parent(other) == Some(path);
                let names = self.nodes.keys().filter(is_child);
                Answer::Children(
                    names.map(|child| child.rsplit('/').next().unwrap().to_owned()).collect(),
                )
            }
        }
    }
}

/// What is told of: a list of children that has changed is not.
fn contents(node: &Arc<CachedNode>) -> (Arc<str>, Zxid, Zxid, Box<[u8]>) {
    (Arc::clone(&node.path), node.stat.czxid, node.stat.mzxid, node.data.clone())
}

/// A server, the wire, the session's side with its mirror, and one who was told of every change.
struct Pair {
    server: Server,
    is_connected: bool,
    /// How many states the session has been in.
    generation: u64,
    with_zxid: bool,
    /// What is on its way to the session.
    wire: VecDeque<Sent>,
    line: Line,
    requests: BTreeMap<usize, Request>,
    asked: VecDeque<usize>,
    next_request: usize,
    /// What the session knows of by answers.
    last_zxid: Zxid,
    /// What the watch has told, and the cache's task has not taken in.
    told_of: VecDeque<Told>,
    /// Requests that were answered, or lost, and are not taken in.
    done: Vec<(usize, Option<Vec<Answer>>)>,
    mirror: Mirror,
    told: BTreeMap<Arc<str>, Arc<CachedNode>>,
    /// The newest data of each path that was ever told of.
    newest: BTreeMap<Arc<str>, Zxid>,
    stamps: BTreeMap<&'static str, Zxid>,
    marks: Vec<&'static str>,
}

impl Pair {
    fn new(scope: Scope) -> Self {
        let mut pair = Self {
            server: Server { data_length: LONG, ..Server::default() },
            is_connected: true,
            generation: 1,
            with_zxid: true,
            wire: VecDeque::new(),
            line: Line::new(),
            requests: BTreeMap::new(),
            asked: VecDeque::new(),
            next_request: 0,
            last_zxid: Zxid::ZERO,
            told_of: VecDeque::new(),
            done: Vec::new(),
            mirror: Mirror::new("/r", scope),
            told: BTreeMap::new(),
            newest: BTreeMap::new(),
            stamps: BTreeMap::new(),
            marks: Vec::new(),
        };
        pair.mirror.look_again();
        pair.hand_out();
        pair
    }

    fn carry_out(&mut self, path: &str, verb: u8) {
        let Some(kind) = self.server.carry_out(path, verb) else { return };
        if self.is_connected {
            let zxid = self.with_zxid.then_some(Zxid(self.server.zxid));
            let event = WatchedEvent { kind, path: path.to_owned(), zxid };
            self.wire.push_back(Sent::Told(Told::Event(event)));
        }
    }

    /// The server answers what was asked first.
    fn answer(&mut self) {
        if !self.is_connected {
            return;
        }
        let Some(number) = self.asked.pop_front() else { return };
        let turns = self.requests[&number].turns.iter();
        let answers = turns.map(|turn| self.server.answer(&turn.job.path, turn.ask)).collect();
        self.wire.push_back(Sent::Answers(number, answers, Zxid(self.server.zxid)));
    }

    /// Loses what is on its way: events for good, and what was asked is asked again, or if it was
    /// shared is lost.
    fn cut(&mut self) {
        for sent in self.wire.drain(..) {
            if let Sent::Answers(number, ..) = sent {
                self.asked.push_back(number);
            }
        }
        let is_shared = |number: &usize| self.requests[number].turns.len() > 1;
        let (lost, asked): (Vec<_>, Vec<_>) = self.asked.drain(..).partition(is_shared);
        self.asked = asked.into();
        self.done.extend(lost.into_iter().map(|number| (number, None)));
        if std::mem::take(&mut self.is_connected) {
            self.generation += 1;
        }
    }

    /// The state is seen before the gap is told.
    fn reconnect(&mut self) {
        if !self.is_connected {
            self.is_connected = true;
            self.generation += 1;
            self.wire.push_back(Sent::Told(Told::Gap));
        }
    }

    /// The session gets what was sent first.
    fn deliver(&mut self) {
        match self.wire.pop_front() {
            None => {}
            Some(Sent::Told(told)) => self.told_of.push_back(told),
            Some(Sent::Answers(number, answers, zxid)) => {
                self.last_zxid = self.last_zxid.max(zxid);
                self.done.push((number, Some(answers)));
            }
        }
    }

    /// The task takes in what the watch has told first.
    fn hear(&mut self) {
        let mut out = Vec::new();
        match self.told_of.pop_front() {
            Some(Told::Event(event)) => self.mirror.event(&event, &mut out),
            Some(Told::Gap) => self.mirror.doubt(),
            None => {}
        }
        self.carry(out);
    }

    /// The task takes in one of the requests that have come back; what the watch has told goes
    /// first.
    fn take(&mut self, which: usize) {
        if self.done.is_empty() {
            return;
        }
        while !self.told_of.is_empty() {
            self.hear();
        }
        let (number, answers) = self.done.swap_remove(which % self.done.len());
        let request = self.requests.remove(&number).unwrap();
        let mut out = Vec::new();
        match answers {
            None => self.line.lost(request),
            Some(answers) => {
                for Looked { job, asked, seen } in self.line.answered(request, answers) {
                    self.mirror.answered(&job, seen, asked, &mut out);
                }
            }
        }
        self.carry(out);
        self.hand_out();
    }

    /// The task asks for what is wanted.
    fn hand_out(&mut self) {
        let asked = Asked { zxid: self.last_zxid, generation: self.generation };
        while let Some(request) = self.line.next(&mut self.mirror, asked) {
            self.requests.insert(self.next_request, request);
            self.asked.push_back(self.next_request);
            self.next_request += 1;
        }
    }

    /// Carries out what is told of.
    fn carry(&mut self, out: Vec<CacheChange>) {
        for change in out {
            if let Some(node) = change.node() {
                let newest = self.newest.entry(Arc::clone(&node.path)).or_default();
                assert!(node.stat.mzxid >= *newest, "{change:?} goes back");
                *newest = node.stat.mzxid;
            }
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

    /// What is said of each path was so, after the transaction that is named or a later one. If
    /// that is said for certain, and all that was told is taken in, the session has seen nothing
    /// newer.
    fn is_honest(&mut self) {
        for path in PATHS.into_iter().filter(|path| self.mirror.reach().holds(path)) {
            let data = self.mirror.get(path).map(|node| node.stat.mzxid);
            let as_of = self.mirror.as_of(path);
            assert!(self.server.had(path, data, as_of), "{path} was not {data:?} after {as_of}");
            let Some(as_of) = self.mirror.settled(path, self.generation) else { continue };
            if self.told_of.is_empty() {
                let seen = self.last_zxid;
                assert!(self.server.had(path, data, seen), "{path} was not {data:?} at {seen}");
            }
            let before = self.stamps.insert(path, as_of);
            assert!(before.is_none_or(|before| before <= as_of), "{path}: {before:?} {as_of}");
        }
    }

    fn settle(&mut self) {
        self.reconnect();
        loop {
            while !self.wire.is_empty() {
                self.deliver();
            }
            while !self.told_of.is_empty() {
                self.hear();
            }
            self.mirror.look_again();
            self.hand_out();
            self.take(0);
            self.answer();
            if self.wire.is_empty() && self.asked.is_empty() && self.done.is_empty() {
                break;
            }
        }
    }

    fn is_right(&mut self) {
        let there = self.server.nodes.iter();
        let there = there.filter(|(path, _)| self.mirror.reach().holds(path));
        let there: Vec<_> = there.map(|(path, stat)| (path.clone(), stat.mzxid)).collect();
        let held = self.mirror.nodes().map(|node| (node.path.to_string(), node.stat.mzxid));
        assert_eq!(held.collect::<Vec<_>>(), there);
        assert!(self.mirror.phase == Phase::Whole);
        let told: Vec<_> = self.told.values().map(contents).collect();
        let held: Vec<_> = self.mirror.nodes().map(|node| contents(&node)).collect();
        assert!(told == held, "whoever carries out the changes has something else");
        for node in self.mirror.nodes() {
            assert_eq!(*node.data, node.stat.mzxid.0.to_be_bytes(), "old data, new metadata");
        }
        let known: Vec<_> = self.mirror.slots.keys().cloned().collect();
        for path in known {
            let slot = &self.mirror.slots[&path];
            assert!(
                slot.held.is_node() || slot.held.refusal().is_some(),
                "{path} is remembered for nothing"
            );
        }
    }
}

#[test]
fn a_node_that_was_made_anew_is_another_node() {
    let mut pair = Pair::new(Scope::Tree);
    pair.carry_out("/r", 0);
    pair.settle();
    assert_eq!(pair.marks, ["filled"]);
    // Nobody tells of it, and the version is the same. (CURATOR-391)
    pair.cut();
    pair.carry_out("/r", 2);
    pair.carry_out("/r", 0);
    pair.settle();
    pair.is_right();
    assert_eq!(pair.marks, ["filled", "resynced"]);
    assert_eq!(pair.told["/r"].stat.czxid, Zxid(3));
}

#[test]
fn what_has_not_changed_is_not_read_again() {
    let mut pair = Pair::new(Scope::Tree);
    PATHS.iter().for_each(|path| pair.carry_out(path, 0));
    pair.settle();
    pair.cut();
    pair.reconnect();
    pair.deliver();
    pair.hear();
    pair.mirror.look_again();
    pair.hand_out();
    assert_eq!(pair.asked.len(), PATHS.len());
    let mut turns = pair.requests.values().flat_map(|request| &request.turns);
    assert!(turns.all(|turn| turn.ask == Ask::Exists));
    let count = pair.next_request;
    pair.settle();
    assert_eq!(pair.next_request, count, "nothing more was asked");
    assert_eq!(pair.marks, ["filled", "resynced"]);
}

/// Alone, its metadata would be as long.
#[test]
fn short_data_is_read_with_its_metadata_and_nothing_is_told_if_it_is_the_same() {
    let mut pair = Pair::new(Scope::Tree);
    pair.server.data_length = SHORT;
    PATHS.iter().for_each(|path| pair.carry_out(path, 0));
    pair.settle();
    pair.is_right();
    let held: Vec<_> = pair.mirror.nodes().collect();
    pair.cut();
    let count = pair.next_request;
    pair.carry_out("/r/a/x", 1);
    pair.settle();
    assert!(pair.next_request < count + PATHS.len(), "they share requests");
    pair.is_right();
    let same = pair.mirror.nodes().zip(&held);
    let same = same.filter(|(now, before)| contents(now) == contents(before)).count();
    assert_eq!((pair.marks, same), (vec!["filled", "resynced"], PATHS.len() - 1));
}

/// As with a thousand changes a second and a round trip of twenty milliseconds.
#[test]
fn what_changes_all_the_time_is_filled_shown_and_resynced_all_the_same() {
    let mut pair = Pair::new(Scope::Tree);
    PATHS.iter().for_each(|path| pair.carry_out(path, 0));
    pair.settle();
    let mut pair = Pair { server: pair.server, ..Pair::new(Scope::Tree) };
    for turn in 0..100 {
        if turn == 50 {
            assert_eq!(pair.marks, ["filled"]);
            assert_eq!(pair.told.len(), PATHS.len());
            pair.cut();
            pair.reconnect();
        }
        // No answer comes that nothing was written behind, and each is read while more comes.
        for _ in 0..pair.asked.len() {
            pair.answer();
        }
        PATHS.iter().for_each(|path| pair.carry_out(path, 0));
        while !pair.wire.is_empty() {
            pair.deliver();
        }
        while !pair.done.is_empty() {
            pair.take(0);
            assert!(!pair.requests.is_empty(), "there was a moment without any read");
        }
        if turn == 50 {
            pair.mirror.look_again();
        }
        pair.hand_out();
        pair.is_honest();
    }
    assert_eq!(pair.marks, ["filled", "resynced"]);
    let newest = Zxid(pair.server.zxid);
    for path in PATHS {
        assert!(newest.0 - pair.told[path].stat.mzxid.0 < 20, "{path} is not kept up with");
        assert!(newest.0 - pair.mirror.as_of(path).0 < 20, "{path} cannot be waited for");
    }
}

proptest! {
    #[test]
    fn whatever_happens_it_shows_what_is_there_in_the_end(
        scope in prop::sample::select(&[Scope::Node, Scope::Children, Scope::Tree]),
        with_zxid: bool,
        data_length in prop::sample::select(&[SHORT, LONG]),
        steps in prop::collection::vec((0_u8..20, 0..PATHS.len(), 0_u8..4), 0..300),
    ) {
        let mut pair = Pair::new(scope);
        pair.with_zxid = with_zxid;
        pair.server.data_length = data_length;
        for (what, number, verb) in steps {
            match what {
                0..=3 => pair.carry_out(PATHS[number], verb),
                4..=7 => pair.answer(),
                8..=11 => pair.deliver(),
                12 if verb == 0 => pair.cut(),
                13 => pair.reconnect(),
                14..=15 => pair.hear(),
                16 => pair.hand_out(),
                17 => pair.mirror.look_again(),
                _ => pair.take(number),
            }
            pair.is_honest();
        }
        pair.settle();
        pair.is_honest();
        let settled = |path: &&str| pair.mirror.settled(path, pair.generation).is_some();
        prop_assert!(PATHS.iter().all(settled));
        pair.is_right();
    }
}
