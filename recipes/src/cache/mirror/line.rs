//! Looks in line for a request, and how many of them go into one.
//!
//! Pure. What a request costs is the server's work on it far more than what it reads, so many looks
//! share one. How much will come back is a guess, from what came before: so the first requests are
//! small.

use std::collections::VecDeque;

use znode::Stat;

use super::look::{Answer, Ask, Job, Look, Next, Seen};
use super::{Asked, Mirror};

/// How many requests are under way at a time: whatever else the session asks for waits behind them.
const REQUESTS_MAX: usize = 256;

/// How many looks are under way at a time, for the same reason: a server answers so many in a few
/// milliseconds. As many as requests while it is to be seen yet how long the replies are.
const LOOKS_MAX: usize = 1024;

/// How many looks share a request at first.
const SHARE_FIRST: usize = 8;

/// How many looks go into one request. Even if each node is as large as servers take by default,
/// one mebibyte, and nothing has told of that, the client reads the reply.
const SHARE_MAX: usize = 60;

/// How long a reply may be, as far as can be guessed: more would be waited for by whoever else
/// reads something, and saves nothing.
const REPLY_LEN_MAX: usize = 256 * 1024;

/// What each name in a list is taken to be long.
const NAME_LEN: usize = 64;

/// What stands around each result.
const RESULT_LEN: usize = 16;

/// Of how long data a node's metadata is read together with it: alone, with a header of its own,
/// the metadata would take as many bytes.
const SMALL_LEN_MAX: i32 = 7;

/// How many connections may end with shared requests, none of which was ever answered, before a
/// server is taken not to know them.
const LOSSES_MAX: u32 = 3;

/// The line.
#[derive(Debug)]
pub(in crate::cache) struct Line {
    /// Looks that have begun, and ask for something (more).
    begun: VecDeque<Turn>,
    requests: usize,
    looks: usize,
    /// How many looks may share a request by now.
    share: usize,
    /// How long data is that nothing is known of: as the longest of late.
    data_len: usize,
    sharing: Sharing,
}

/// What is known of how a server takes shared requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// None was answered. So many connections have ended with some, the last of them this one.
    Untried {
        losses: u32,
        generation: u64,
    },
    Known,
    /// The server does not know them.
    Unknown,
}

/// A look that has its turn, and what it asks for.
#[derive(Debug)]
pub(in crate::cache) struct Turn {
    pub(in crate::cache) job: Job,
    pub(in crate::cache) ask: Ask,
    look: Look,
    /// As it began.
    asked: Asked,
}

/// What is asked for at once: by an operation of its own if it is one thing.
#[derive(Debug)]
pub(in crate::cache) struct Request {
    pub(in crate::cache) turns: Vec<Turn>,
    generation: u64,
}

/// What came of a job.
#[derive(Debug)]
pub(in crate::cache) struct Looked {
    pub(in crate::cache) job: Job,
    pub(in crate::cache) asked: Asked,
    pub(in crate::cache) seen: Seen,
}

impl Line {
    pub(in crate::cache) fn new() -> Self {
        Self {
            begun: VecDeque::new(),
            requests: 0,
            looks: 0,
            share: SHARE_FIRST,
            data_len: 0,
            sharing: Sharing::Untried { losses: 0, generation: 0 },
        }
    }

    /// What is to be asked for next, by a session that knows this; it is to be answered, or lost.
    pub(in crate::cache) fn next(&mut self, mirror: &mut Mirror, asked: Asked) -> Option<Request> {
        let looks_max = if self.share < SHARE_MAX { REQUESTS_MAX } else { LOOKS_MAX };
        if self.requests == REQUESTS_MAX || self.looks >= looks_max {
            return None;
        }
        let mut turns: Vec<Turn> = Vec::new();
        let mut expected = 0;
        while turns.len() < self.share_max() {
            let begin = |job| Turn::new(job, asked);
            let next = self.begun.pop_front().or_else(|| mirror.next_job().map(begin));
            let Some(turn) = next else { break };
            expected += self.reply_len(&turn);
            let fits = turn.can_share() && expected <= REPLY_LEN_MAX;
            let shares = turns.first().is_none_or(|first| fits && first.can_share());
            if !shares {
                self.begun.push_front(turn);
                break;
            }
            turns.push(turn);
        }
        if turns.len() > 1 {
            turns.iter_mut().for_each(Turn::share);
        }
        self.requests += usize::from(!turns.is_empty());
        self.looks += turns.len();
        (!turns.is_empty()).then_some(Request { turns, generation: asked.generation })
    }

    /// What was asked for has these answers, in order. Returns the looks that are over; the others
    /// are in line again.
    pub(in crate::cache) fn answered(
        &mut self,
        request: Request,
        answers: Vec<Answer>,
    ) -> Vec<Looked> {
        let count = self.back(&request);
        if count > 1 {
            self.sharing = Sharing::Known;
        }
        if count * 2 >= self.share || count == 1 {
            self.share = (self.share * 2).min(SHARE_MAX);
        }
        let longest = answers.iter().filter_map(|answer| match answer {
            Answer::Data(_, stat) => Some(len(stat.data_length)),
            _ => None,
        });
        if let Some(longest) = longest.max() {
            // Of one that is far longer than the others little is left after a few dozen requests.
            self.data_len = longest.max(self.data_len - self.data_len / 8);
        }
        let mut over = Vec::with_capacity(count);
        for (mut turn, answer) in request.turns.into_iter().zip(answers) {
            match turn.look.answered(answer) {
                Next::Ask(ask) => self.begun.push_back(Turn { ask, ..turn }),
                Next::Done(seen) => {
                    over.push(Looked { job: turn.job, asked: turn.asked, seen });
                }
            }
        }
        over
    }

    /// What was asked for is not answered as a whole; it is in line again, one by one at first.
    pub(in crate::cache) fn lost(&mut self, request: Request) {
        self.back(&request);
        self.share = 1;
        if let Sharing::Untried { losses, generation } = self.sharing
            && (losses == 0 || generation != request.generation)
        {
            let losses = losses + 1;
            self.sharing = match losses < LOSSES_MAX {
                true => Sharing::Untried { losses, generation: request.generation },
                false => Sharing::Unknown,
            };
        }
        request.turns.into_iter().rev().for_each(|turn| self.begun.push_front(turn));
    }

    /// The server does not know shared requests, and is not asked so again.
    pub(in crate::cache) fn refused(&mut self, request: Request) {
        self.lost(request);
        self.sharing = Sharing::Unknown;
    }

    fn share_max(&self) -> usize {
        match self.sharing {
            Sharing::Unknown => 1,
            Sharing::Untried { .. } | Sharing::Known => self.share,
        }
    }

    /// Nothing of a request is under way any more: how many looks were.
    fn back(&mut self, request: &Request) -> usize {
        self.requests -= 1;
        self.looks -= request.turns.len();
        request.turns.len()
    }

    /// How many bytes an answer is expected to have.
    fn reply_len(&self, turn: &Turn) -> usize {
        let stat = turn.look.stat();
        let content = match turn.ask {
            Ask::Exists => 0,
            Ask::Data => stat.map_or(self.data_len, |stat| len(stat.data_length)),
            Ask::Children => stat.map_or(0, |stat| len(stat.num_children).saturating_mul(NAME_LEN)),
        };
        content.saturating_add(RESULT_LEN + Stat::LEN)
    }
}

impl Turn {
    fn new(job: Job, asked: Asked) -> Self {
        let (look, ask) = Look::new(&job);
        Self { job, ask, look, asked }
    }

    /// Whether it can share a request, for no more bytes: none can ask for metadata alone.
    fn can_share(&self) -> bool {
        let is_small = |known: Stat| known.data_length <= SMALL_LEN_MAX;
        self.ask != Ask::Exists || self.job.known.is_some_and(is_small)
    }

    fn share(&mut self) {
        if self.ask == Ask::Exists {
            self.ask = Ask::Data;
        }
    }
}

/// A length as a server tells it.
fn len(told: i32) -> usize {
    usize::try_from(told).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use super::*;

    const FIRST: Asked = Asked { zxid: znode::Zxid(1), generation: 1 };

    /// A line for a tree of a root, which was read, and so many children, which were not.
    fn of(children: usize) -> (Line, Mirror) {
        let (mut line, mut mirror) = (Line::new(), Mirror::new("/r", Scope::Tree));
        mirror.look_again();
        let num_children = i32::try_from(children).unwrap();
        let root = line.next(&mut mirror, FIRST).unwrap();
        let stat = Stat { num_children, ..Stat::default() };
        assert!(line.answered(root, vec![Answer::Data(Box::default(), stat)]).is_empty());
        let list = line.next(&mut mirror, FIRST).unwrap();
        assert_eq!((list.turns.len(), list.turns[0].ask), (1, Ask::Children));
        let names = (0..children).map(|child| format!("{child:05}")).collect();
        let looked = line.answered(list, vec![Answer::Children(names)]);
        take(&mut mirror, looked);
        (line, mirror)
    }

    fn take(mirror: &mut Mirror, looked: Vec<Looked>) {
        for Looked { job, asked, seen } in looked {
            mirror.answered(&job, seen, asked, &mut Vec::new());
        }
    }

    fn all(line: &mut Line, mirror: &mut Mirror, generation: u64) -> VecDeque<Request> {
        let asked = Asked { generation, ..FIRST };
        std::iter::from_fn(|| line.next(mirror, asked)).collect()
    }

    fn answer(line: &mut Line, mirror: &mut Mirror, request: Request, data_length: i32) {
        let stat = Stat { data_length, ..Stat::default() };
        let answers = request.turns.iter().map(|_| Answer::Data(Box::default(), stat)).collect();
        let looked = line.answered(request, answers);
        take(mirror, looked);
    }

    fn shares(requests: &VecDeque<Request>) -> Vec<usize> {
        requests.iter().map(|request| request.turns.len()).collect()
    }

    #[test]
    fn reads_share_requests_and_more_of_them_the_more_were_answered() {
        let (mut line, mut mirror) = of(10_000);
        let mut requests = all(&mut line, &mut mirror, 1);
        assert_eq!(shares(&requests), [SHARE_FIRST * 4; REQUESTS_MAX / SHARE_FIRST / 4]);
        let mut count = 0;
        while let Some(request) = requests.pop_front() {
            count += 1;
            answer(&mut line, &mut mirror, request, 100);
            requests.extend(all(&mut line, &mut mirror, 1));
            assert!(requests.len() <= REQUESTS_MAX);
            let under_way: usize = shares(&requests).iter().sum();
            assert!(under_way < LOOKS_MAX + SHARE_MAX);
        }
        assert!(mirror.is_filled());
        assert_eq!((line.requests, line.looks), (0, 0));
        assert!(count < 10_000 / SHARE_MAX + 10, "{count}");
    }

    #[test]
    fn replies_are_short_as_far_as_can_be_guessed() {
        let (mut line, mut mirror) = of(10_000);
        let mut requests = all(&mut line, &mut mirror, 1);
        // One is long, and nothing is known of the others.
        let mut length = 1_000_000;
        let mut largest = Vec::new();
        while let Some(request) = requests.pop_front() {
            largest.push(request.turns.len());
            answer(&mut line, &mut mirror, request, length);
            length = 10;
            requests.extend(all(&mut line, &mut mirror, 1));
        }
        let alone = largest.iter().filter(|share| **share == 1).count();
        assert!(alone > 5, "{largest:?}");
        assert_eq!(largest.iter().max(), Some(&SHARE_MAX));
        // What is known to be long is asked for alone.
        let job = Job { path: "/r/00001".into(), known: None, with_children: false, round: 0 };
        let mut turn = Turn::new(job, FIRST);
        let long = Stat { data_length: 300_000, num_children: 10_000, ..Stat::default() };
        turn.look.answered(Answer::Exists(long));
        for (ask, is_long) in [(Ask::Data, true), (Ask::Children, true), (Ask::Exists, false)] {
            turn.ask = ask;
            assert_eq!(line.reply_len(&turn) > REPLY_LEN_MAX, is_long, "{ask:?}");
        }
    }

    #[test]
    fn what_was_lost_is_asked_for_one_by_one_and_then_together_again() {
        let (mut line, mut mirror) = of(10_000);
        let lost = line.next(&mut mirror, FIRST).unwrap();
        let paths = |request: &Request| request.turns[0].job.path.clone();
        let (path, count) = (paths(&lost), lost.turns.len());
        assert!(count > 1);
        line.lost(lost);
        let mut requests = all(&mut line, &mut mirror, 2);
        assert_eq!((&paths(&requests[0]), shares(&requests)), (&path, vec![1; REQUESTS_MAX]));
        for request in requests.drain(..) {
            answer(&mut line, &mut mirror, request, 100);
        }
        assert_eq!(line.next(&mut mirror, FIRST).unwrap().turns.len(), SHARE_MAX);
    }

    #[test]
    fn a_server_that_does_not_know_shared_requests_or_closes_at_them_is_sent_no_more() {
        let shared = |line: &mut Line, mirror: &mut Mirror, generation| {
            line.share = SHARE_MAX;
            line.next(mirror, Asked { generation, ..FIRST }).unwrap()
        };
        let (mut line, mut mirror) = of(10_000);
        let request = shared(&mut line, &mut mirror, 1);
        line.refused(request);
        assert_eq!(shared(&mut line, &mut mirror, 1).turns.len(), 1);
        // All that one connection loses is one loss.
        let (mut line, mut mirror) = of(10_000);
        for generation in [1, 1, 1, 2, 3] {
            let request = shared(&mut line, &mut mirror, generation);
            assert!(request.turns.len() > 1);
            line.lost(request);
        }
        assert_eq!(shared(&mut line, &mut mirror, 4).turns.len(), 1);
        // Of one that has answered, connections are lost for other reasons.
        let (mut line, mut mirror) = of(10_000);
        let request = shared(&mut line, &mut mirror, 1);
        answer(&mut line, &mut mirror, request, 100);
        for generation in 1..10 {
            let request = shared(&mut line, &mut mirror, generation);
            assert!(request.turns.len() > 1);
            line.lost(request);
        }
    }
}
