//! What goes wrong in a simulated run, and when.

use std::fmt;
use std::time::Duration;

use crate::random::Random;

/// Something that goes wrong, or is put right again.
///
/// Servers are numbered from 1, as in a [`TestingCluster`](crate::TestingCluster); clients from 0,
/// in the order in which they [connected](super::World::connect). What names a server or a client
/// that there is not changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A server dies.
    Kill(u64),
    /// A server starts again.
    Restart(u64),
    /// A server stops where it stands, as a signal stops a process.
    Pause(u64),
    /// … and goes on.
    Resume(u64),
    /// Nothing that servers of the first group send reaches those of the second.
    Cut(Vec<u64>, Vec<u64>),
    /// Whatever two servers send each other takes so long.
    SlowServers(u64, u64, Duration),
    /// The network between servers is whole and fast again.
    HealServers,
    /// The wall clock of a server is set by so many milliseconds.
    SetClock(u64, i64),
    /// The session of a client is ended by the leader, as if the client had fallen silent; if there
    /// is none, by the next, unless [everything](Self::MendAll) is put right before.
    Expire(usize),
    /// The connection of a client breaks; some of what was under way may still arrive.
    CutLink(usize),
    /// The connection of a client breaks in place of its so-manieth frame, counted from 1. The
    /// first is the handshake.
    CutAtRequest(usize, u64),
    /// The connection of a client breaks in place of the so-manieth frame that it is sent.
    CutAtReply(usize, u64),
    /// A client gets no new connection.
    RefuseLink(usize),
    /// Nothing flows between a client and its server, in either direction; connections stay.
    StallLink(usize),
    /// Nothing flows to a client; what it sends arrives.
    DeafenLink(usize),
    /// Whatever flows between a client and its server takes so long in each direction.
    SlowLink(usize, Duration),
    /// The link of a client is as it was in the beginning.
    MendLink(usize),
    /// Everything is put right: links, network, and servers that are down or stand still. Wall
    /// clocks stay as they are, which is within what a server must bear.
    MendAll,
}

impl Fault {
    /// Whether it puts right what another has broken; everything is put right by
    /// [`MendAll`](Self::MendAll) besides.
    pub(super) fn mends(&self, broken: &Self) -> bool {
        match (self, broken) {
            (Self::Restart(id), Self::Kill(other)) | (Self::Resume(id), Self::Pause(other)) => {
                id == other
            }
            (Self::HealServers, Self::Cut(..) | Self::SlowServers(..)) => true,
            (
                Self::MendLink(client),
                Self::RefuseLink(other)
                | Self::StallLink(other)
                | Self::DeafenLink(other)
                | Self::SlowLink(other, _)
                | Self::CutAtRequest(other, _)
                | Self::CutAtReply(other, _),
            ) => client == other,
            _ => false,
        }
    }

    /// Whether it puts something right.
    pub(super) fn is_remedy(&self) -> bool {
        matches!(
            self,
            Self::Restart(_)
                | Self::Resume(_)
                | Self::HealServers
                | Self::MendLink(_)
                | Self::MendAll
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Where a run's faults come from.
#[derive(Debug, Clone)]
#[must_use = "it does nothing until a simulation is given it"]
pub struct Faults(Source);

#[derive(Debug, Clone)]
enum Source {
    Plan(Plan),
    Random { until: Duration, pause: Duration, clients: usize, expires: bool },
}

/// What goes wrong in one run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// In order, each so long after the beginning.
    pub(super) faults: Vec<(Duration, Fault)>,
    /// When nothing will go wrong any more, whatever is left of the faults.
    pub(super) until: Duration,
}

impl Plan {
    fn new(mut faults: Vec<(Duration, Fault)>) -> Self {
        faults.sort_by_key(|(at, _)| *at);
        let until = faults.last().map_or(Duration::ZERO, |(at, _)| *at);
        Self { faults, until }
    }

    /// The same with the faults at these places alone.
    pub(super) fn only(&self, chosen: &[usize]) -> Self {
        let faults = chosen.iter().map(|at| self.faults[*at].clone());
        Self { faults: faults.collect(), until: self.until }
    }
}

impl Faults {
    /// Nothing goes wrong but what the test does itself.
    pub fn none() -> Self {
        Self::plan([])
    }

    /// These, each so long after the beginning.
    pub fn plan(plan: impl IntoIterator<Item = (Duration, Fault)>) -> Self {
        Self::exactly(Plan::new(plan.into_iter().collect()))
    }

    pub(super) fn exactly(plan: Plan) -> Self {
        Self(Source::Plan(plan))
    }

    /// Faults of every kind, drawn from the seed, for 30 seconds, about one a second, of the first
    /// four clients and of all servers. Whatever is broken is put right by and by, and everything
    /// at the end.
    pub fn random() -> Self {
        let (until, pause) = (Duration::from_secs(30), Duration::from_secs(1));
        Self(Source::Random { until, pause, clients: 4, expires: true })
    }

    /// Sets for how long random faults go on. A plan is what it is.
    pub fn until(mut self, time: Duration) -> Self {
        if let Source::Random { until, .. } = &mut self.0 {
            *until = time;
        }
        self
    }

    /// Sets how long it is from one random fault to the next, on average. A plan is what it is.
    pub fn every(mut self, time: Duration) -> Self {
        if let Source::Random { pause, .. } = &mut self.0 {
            *pause = time.max(Duration::from_millis(1));
        }
        self
    }

    /// Sets how many clients random faults may hit. A plan is what it is.
    pub fn clients(mut self, count: usize) -> Self {
        if let Source::Random { clients, .. } = &mut self.0 {
            *clients = count;
        }
        self
    }

    /// Leaves out of random faults that a session is ended before its time, about which its client
    /// cannot know. A plan is what it is.
    pub fn without_expiry(mut self) -> Self {
        if let Source::Random { expires, .. } = &mut self.0 {
            *expires = false;
        }
        self
    }

    /// What goes wrong with this seed, in order.
    pub(super) fn draw(&self, seed: u64, servers: u64) -> Plan {
        let (until, pause, clients, expires) = match &self.0 {
            Source::Plan(plan) => return plan.clone(),
            Source::Random { until, pause, clients, expires } => {
                (*until, *pause, *clients, *expires)
            }
        };
        let mut draw = Draw { random: Random::new(seed, 0), servers, clients, plan: Vec::new() };
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX / 4);
        let mut now = Duration::ZERO;
        loop {
            now += Duration::from_millis(draw.random.between(1, pause_ms * 2));
            if now >= until {
                break;
            }
            draw.fault(now);
        }
        let mut plan = draw.plan;
        plan.retain(|(at, fault)| *at < until && (expires || !matches!(fault, Fault::Expire(_))));
        plan.push((until, Fault::MendAll));
        Plan::new(plan)
    }
}

struct Draw {
    random: Random,
    servers: u64,
    clients: usize,
    plan: Vec<(Duration, Fault)>,
}

impl Draw {
    /// How long something stays broken: often for a moment, sometimes beyond a session's timeout.
    fn while_broken(&mut self) -> Duration {
        let most = *self.random.pick(&[50, 500, 5_000, 20_000]);
        Duration::from_millis(self.random.between(1, most))
    }

    fn server(&mut self) -> u64 {
        self.random.between(1, self.servers)
    }

    /// Draws what goes wrong, and what puts it right.
    fn fault(&mut self, now: Duration) {
        let then = now + self.while_broken();
        let kinds = if self.clients > 0 { 12 } else { 5 };
        let client = self.random.below(self.clients);
        let (fault, remedy) = match self.random.below(kinds) {
            0 => {
                let server = self.server();
                (Fault::Kill(server), Some(Fault::Restart(server)))
            }
            1 => {
                let server = self.server();
                (Fault::Pause(server), Some(Fault::Resume(server)))
            }
            2 => {
                let one = self.server();
                let others: Vec<u64> = (1..=self.servers).filter(|other| *other != one).collect();
                if self.random.once_in(2) {
                    self.plan.push((now, Fault::Cut(others.clone(), vec![one])));
                }
                (Fault::Cut(vec![one], others), Some(Fault::HealServers))
            }
            3 => {
                let (one, other) = (self.server(), self.server());
                let by = Duration::from_millis(self.random.between(1, 300));
                (Fault::SlowServers(one, other, by), Some(Fault::HealServers))
            }
            4 => {
                let by = i64::try_from(self.random.between(0, 20_000)).unwrap_or(0) - 10_000;
                (Fault::SetClock(self.server(), by), None)
            }
            5 => (Fault::Expire(client), None),
            6 | 7 => (Fault::CutLink(client), None),
            8 => (Fault::RefuseLink(client), Some(Fault::MendLink(client))),
            9 => (Fault::StallLink(client), Some(Fault::MendLink(client))),
            10 => (Fault::DeafenLink(client), Some(Fault::MendLink(client))),
            _ => {
                let by = Duration::from_millis(self.random.between(1, 2_000));
                (Fault::SlowLink(client, by), Some(Fault::MendLink(client)))
            }
        };
        self.plan.push((now, fault));
        self.plan.extend(remedy.map(|remedy| (then, remedy)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_the_seeds_alone_and_ends_whole() {
        let faults = Faults::random();
        let plan = faults.draw(7, 3).faults;
        assert_eq!(plan, faults.draw(7, 3).faults);
        assert_ne!(plan, faults.draw(8, 3).faults);
        assert!(plan.len() > 20, "{plan:?}");
        assert!(plan.is_sorted_by_key(|(at, _)| *at));
        assert_eq!(plan.last(), Some(&(Duration::from_secs(30), Fault::MendAll)));
    }

    #[test]
    fn every_kind_is_drawn() {
        let kinds = |faults: &Faults| {
            let plans = (0..50).flat_map(|seed| faults.draw(seed, 3).faults);
            let kinds = plans.map(|(_, fault)| std::mem::discriminant(&fault));
            let mut seen = Vec::new();
            kinds.for_each(|kind| {
                if !seen.contains(&kind) {
                    seen.push(kind);
                }
            });
            seen.len()
        };
        // All but the two that count frames.
        assert_eq!(kinds(&Faults::random()), 16);
        assert_eq!(kinds(&Faults::random().clients(0)), 9);
        assert_eq!(kinds(&Faults::random().without_expiry()), 15);
    }

    #[test]
    fn a_plan_is_put_in_order() {
        let late = (Duration::from_secs(2), Fault::Restart(1));
        let early = (Duration::from_secs(1), Fault::Kill(1));
        let plan = Faults::plan([late.clone(), early.clone()]).until(Duration::ZERO);
        assert_eq!(plan.draw(1, 3).faults, [early, late]);
        assert_eq!(Faults::none().draw(1, 3).faults, []);
    }
}
