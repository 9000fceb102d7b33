//! Elections among servers that hear each other in every order.

use super::*;
use crate::quorum::text::parse;

const TIMES: ElectionTimes = ElectionTimes {
    finalize_wait: Duration::from_millis(200),
    notification_min: Duration::from_millis(200),
    notification_max: Duration::from_secs(60),
};

/// Servers and the messages between them.
struct Ensemble {
    quorums: Quorums,
    servers: BTreeMap<Sid, Election>,
    leaders: BTreeMap<Sid, Sid>,
    mail: Vec<(Sid, Tell)>,
    now: Moment,
}

fn vote(epoch: i64, zxid: i64, sid: i64) -> Vote {
    Vote { leader: Sid(sid), zxid: Zxid(zxid), peer_epoch: epoch }
}

impl Ensemble {
    fn new(members: &str) -> Self {
        let lines: String = members
            .split(' ')
            .map(|member| match member.split_once('o') {
                Some((sid, _)) => format!("server.{sid}=a:1:2:observer\n"),
                None => format!("server.{member}=a:1:2\n"),
            })
            .collect();
        let config = parse(&lines).unwrap();
        let servers = config.members.keys().map(|sid| (*sid, Election::new(*sid, TIMES)));
        Self {
            servers: servers.collect(),
            quorums: Quorums::new(config),
            leaders: BTreeMap::new(),
            mail: Vec::new(),
            now: Moment::START,
        }
    }

    fn look(&mut self, vote: Vote) {
        let sid = vote.leader;
        let vote = if self.quorums.is_voter(sid) { vote } else { Vote::NONE };
        let mut tell = Vec::new();
        self.leaders.remove(&sid);
        self.servers.get_mut(&sid).unwrap().look(self.now, vote, &self.quorums, &mut tell);
        self.mail.extend(tell.into_iter().map(|tell| (sid, tell)));
    }

    fn note(&mut self, sid: Sid, decided: Option<Sid>, tell: Vec<Tell>) {
        if let Some(leader) = decided {
            self.leaders.insert(sid, leader);
            let observes = !self.quorums.is_voter(sid);
            if observes {
                self.servers.get_mut(&sid).unwrap().observe();
            }
        }
        self.mail.extend(tell.into_iter().map(|tell| (sid, tell)));
    }

    /// Delivers every message, and what is answered, in an order drawn from `seed`.
    fn deliver(&mut self, seed: &mut u64) {
        let mut delivered = 0;
        while !self.mail.is_empty() {
            delivered += 1;
            assert!(delivered < 10_000, "they tell each other the same without end");
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(*seed >> 33).unwrap() % self.mail.len();
            // A connection keeps the order.
            let (from, to) = (self.mail[at].0, self.mail[at].1.to);
            let first = |(sender, tell): &(Sid, Tell)| *sender == from && tell.to == to;
            let at = self.mail.iter().position(first).unwrap();
            let (_, Tell { ballot, .. }) = self.mail.remove(at);
            let mut tell = Vec::new();
            let Some(server) = self.servers.get_mut(&to) else { continue };
            let decided = server.receive(self.now, from, &ballot, &self.quorums, &mut tell);
            self.note(to, decided, tell);
        }
    }

    /// Delivers every message, then lets time pass, until everybody has a leader.
    fn run(&mut self, mut seed: u64) {
        for _ in 0..1000 {
            self.deliver(&mut seed);
            let Some(next) = self.servers.values().map(Election::next_deadline).min() else {
                return;
            };
            if next == Moment::NEVER {
                return;
            }
            self.now = self.now.max(next);
            for sid in self.servers.keys().copied().collect::<Vec<_>>() {
                let mut tell = Vec::new();
                let server = self.servers.get_mut(&sid).unwrap();
                let decided = server.tick(self.now, &self.quorums, &mut tell);
                self.note(sid, decided, tell);
            }
            if self.leaders.len() == self.servers.len() {
                return;
            }
        }
        panic!("no end: {:?}", self.leaders);
    }

    fn leader_of_all(&self) -> Sid {
        let leader = *self.leaders.values().next().unwrap();
        assert!(self.leaders.values().all(|other| *other == leader), "{:?}", self.leaders);
        leader
    }
}

#[test]
fn the_longest_log_wins_in_every_order_of_messages() {
    for seed in 0..500 {
        let mut ensemble = Ensemble::new("1 2 3 4 5");
        for (epoch, zxid, sid) in [(1, 5, 1), (2, 3, 2), (1, 9, 3), (2, 4, 4), (2, 4, 5)] {
            ensemble.look(vote(epoch, zxid, sid));
        }
        ensemble.run(seed);
        assert_eq!(ensemble.leader_of_all(), Sid(5), "seed {seed}");
    }
}

#[test]
fn nobody_waits_once_everybody_agrees() {
    let mut ensemble = Ensemble::new("1 2 3");
    (1..=3).for_each(|sid| ensemble.look(vote(0, 0, sid)));
    ensemble.run(1);
    assert_eq!(ensemble.leader_of_all(), Sid(3));
    assert_eq!(ensemble.now, Moment::START, "no finalize wait");
}

#[test]
fn a_quorum_waits_for_the_better_vote_of_a_latecomer() {
    let mut ensemble = Ensemble::new("1 2 3");
    let absent = ensemble.servers.remove(&Sid(3)).unwrap();
    ensemble.look(vote(0, 0, 1));
    ensemble.look(vote(0, 0, 2));
    // Both agree on 2 and wait; what they told the third is lost.
    while let Some((from, tell)) = ensemble.mail.pop() {
        let mut more = Vec::new();
        if let Some(server) = ensemble.servers.get_mut(&tell.to) {
            let decided =
                server.receive(ensemble.now, from, &tell.ballot, &ensemble.quorums, &mut more);
            assert_eq!(decided, None);
            ensemble.note(tell.to, None, more);
        }
    }
    ensemble.servers.insert(Sid(3), absent);
    ensemble.now += Duration::from_millis(100);
    ensemble.look(vote(0, 7, 3));
    ensemble.run(3);
    assert_eq!(ensemble.leader_of_all(), Sid(3));
}

#[test]
fn zk_1732_a_server_that_restarts_joins_the_leader_that_stands() {
    for seed in 0..200 {
        let mut ensemble = Ensemble::new("1 2 3");
        (1..=3).for_each(|sid| ensemble.look(vote(0, 0, sid)));
        ensemble.run(seed);
        // The others have settled in a later round, and in an epoch that it has not heard of.
        for server in ensemble.servers.values_mut() {
            server.established(7);
        }
        let times = TIMES;
        ensemble.servers.insert(Sid(1), Election::new(Sid(1), times));
        ensemble.look(vote(0, 99, 1));
        ensemble.run(seed);
        assert_eq!(ensemble.leader_of_all(), Sid(3), "seed {seed}");
    }
}

#[test]
fn zk_2959_an_observer_learns_who_leads_and_counts_for_nobody() {
    for seed in 0..200 {
        let mut ensemble = Ensemble::new("1 2 3o 4");
        for sid in [1, 2, 3, 4] {
            ensemble.look(vote(0, sid, sid));
        }
        ensemble.run(seed);
        assert_eq!(ensemble.leader_of_all(), Sid(4), "seed {seed}");
        assert_eq!(ensemble.servers[&Sid(3)].current().state, ServerState::Observing);
    }
    let mut lonely = Ensemble::new("1 2 3o");
    lonely.servers.remove(&Sid(2));
    lonely.look(vote(0, 0, 1));
    lonely.look(vote(0, 0, 3));
    for _ in 0..20 {
        while let Some((from, tell)) = lonely.mail.pop() {
            let mut more = Vec::new();
            if let Some(server) = lonely.servers.get_mut(&tell.to) {
                let quorums = &lonely.quorums;
                assert_eq!(
                    server.receive(lonely.now, from, &tell.ballot, quorums, &mut more),
                    None
                );
                lonely.note(tell.to, None, more);
            }
        }
        lonely.now += Duration::from_secs(1);
        for server in lonely.servers.values_mut() {
            assert_eq!(server.tick(lonely.now, &lonely.quorums, &mut Vec::new()), None);
        }
    }
}

#[test]
fn zk_261_a_server_that_has_lost_its_data_elects_nobody() {
    let mut ensemble = Ensemble::new("1 2 3");
    ensemble.servers.remove(&Sid(3));
    ensemble.look(vote(1, 5, 1));
    let lost = Vote { zxid: UNTRUSTED, ..vote(1, 0, 2) };
    ensemble.look(lost);
    for _ in 0..10 {
        while let Some((from, tell)) = ensemble.mail.pop() {
            let mut more = Vec::new();
            if let Some(server) = ensemble.servers.get_mut(&tell.to) {
                let quorums = &ensemble.quorums;
                let decided = server.receive(ensemble.now, from, &tell.ballot, quorums, &mut more);
                assert_eq!(decided, None);
                ensemble.note(tell.to, None, more);
            }
        }
        ensemble.now += Duration::from_secs(1);
        for server in ensemble.servers.values_mut() {
            assert_eq!(server.tick(ensemble.now, &ensemble.quorums, &mut Vec::new()), None);
        }
    }
}

#[test]
fn zk_3537_followers_alone_elect_nobody_whose_own_word_is_missing() {
    let mut ensemble = Ensemble::new("1 2 3 4 5");
    ensemble.look(vote(0, 0, 1));
    ensemble.mail.clear();
    let follows = |round| Ballot {
        vote: vote(3, 30, 5),
        round,
        state: ServerState::Following,
        is_oldest: false,
    };
    let quorums = ensemble.quorums.clone();
    let server = ensemble.servers.get_mut(&Sid(1)).unwrap();
    let mut hear = |from: i64, ballot: Ballot| {
        server.receive(Moment::START, Sid(from), &ballot, &quorums, &mut Vec::new())
    };
    for from in [2, 3, 4] {
        assert_eq!(hear(from, follows(9)), None);
    }
    let leads = Ballot { state: ServerState::Leading, ..follows(8) };
    assert_eq!(hear(5, leads), Some(Sid(5)));
}

#[test]
fn a_later_round_makes_what_was_heard_before_void() {
    let mut ensemble = Ensemble::new("1 2 3");
    ensemble.look(vote(0, 0, 3));
    ensemble.look(vote(0, 0, 3));
    ensemble.look(vote(0, 5, 1));
    assert_eq!(ensemble.servers[&Sid(3)].round(), 2);
    ensemble.look(vote(0, 0, 2));
    ensemble.run(11);
    assert_eq!(ensemble.leader_of_all(), Sid(1));
    assert!(ensemble.servers.values().all(|server| server.round() == 2));
}

#[test]
fn who_looks_late_learns_at_once_of_a_better_vote() {
    let mut ensemble = Ensemble::new("1 2 3");
    let late = ensemble.servers.remove(&Sid(3)).unwrap();
    // The second has fallen silent, and the third has yet to notice.
    ensemble.servers.remove(&Sid(2)).unwrap();
    ensemble.look(vote(2, 9, 1));
    let patience = ensemble.now + Duration::from_secs(20);
    while ensemble.now < patience {
        ensemble.now = ensemble.servers[&Sid(1)].next_deadline();
        let mut tell = Vec::new();
        let looking = ensemble.servers.get_mut(&Sid(1)).unwrap();
        assert_eq!(looking.tick(ensemble.now, &ensemble.quorums, &mut tell), None);
    }
    ensemble.mail.clear();
    // By now the first repeats itself but rarely.
    ensemble.servers.insert(Sid(3), late);
    let began = ensemble.now;
    ensemble.look(vote(1, 5, 3));
    ensemble.run(1);
    assert_eq!(ensemble.leader_of_all(), Sid(1));
    assert_eq!(ensemble.now, began + TIMES.finalize_wait);
}

#[test]
fn who_may_not_lead_yet_holds_nobody_up_with_its_round() {
    let mut ensemble = Ensemble::new("1 2 3");
    let two = |pair: [i64; 2], version| {
        let lines = pair.map(|sid| format!("server.{sid}=a:1:2\n")).concat();
        parse(&format!("{lines}version={version}")).unwrap()
    };
    ensemble.quorums = Quorums::new(two([1, 3], 1));
    assert!(ensemble.quorums.see(two([2, 3], 2)));
    // The second will vote once that is agreed on. It has looked for a leader before, in vain.
    let nobody = Vote { leader: Sid(i64::MIN), ..vote(1, 9, 0) };
    for _ in 0..3 {
        let second = ensemble.servers.get_mut(&Sid(2)).unwrap();
        second.look(ensemble.now, nobody, &ensemble.quorums, &mut Vec::new());
    }
    ensemble.look(vote(1, 9, 1));
    ensemble.look(vote(1, 9, 3));
    ensemble.run(5);
    assert_eq!(ensemble.leader_of_all(), Sid(3));
}

/// Each has heard another round of a server that has died since, and tells the others.
#[test]
fn those_who_may_not_lead_yet_do_not_follow_each_others_rounds_without_end() {
    for seed in 0..200 {
        let mut ensemble = Ensemble::new("1 2 3 4 5");
        let of = |sids: &[i64], version| {
            let lines: String = sids.iter().map(|sid| format!("server.{sid}=a:1:2\n")).collect();
            parse(&format!("{lines}version={version}")).unwrap()
        };
        ensemble.quorums = Quorums::new(of(&[1, 3], 1));
        assert!(ensemble.quorums.see(of(&[1, 2, 3, 4, 5], 2)));
        // These will vote once that is agreed on.
        let nobody = Vote { leader: Sid(i64::MIN), ..vote(1, 9, 0) };
        for sid in [2, 4, 5].map(Sid) {
            let joiner = ensemble.servers.get_mut(&sid).unwrap();
            joiner.look(ensemble.now, nobody, &ensemble.quorums, &mut Vec::new());
        }
        for (round, hears) in [(1, None), (2, Some(2)), (3, Some(4)), (4, Some(5))] {
            let before = ensemble.mail.len();
            ensemble.look(vote(1, 9, 3));
            let last = ensemble.mail.split_off(before);
            let heard = last.into_iter().filter(|(_, tell)| Some(tell.to) == hears.map(Sid));
            ensemble.mail.extend(heard);
            assert_eq!(ensemble.servers[&Sid(3)].round(), round);
        }
        let dead = [1, 3].map(|sid| (Sid(sid), ensemble.servers.remove(&Sid(sid)).unwrap()));
        let mut order = seed;
        ensemble.deliver(&mut order);
        // It comes back.
        ensemble.servers.extend(dead);
        ensemble.look(vote(1, 9, 1));
        ensemble.look(vote(1, 9, 3));
        ensemble.run(seed);
        assert_eq!(ensemble.leader_of_all(), Sid(3), "seed {seed}");
    }
}
