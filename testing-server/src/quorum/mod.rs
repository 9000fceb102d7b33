//! Who belongs to an ensemble, and when enough of them agree.
//!
//! | room | what it holds |
//! |---|---|
//! | [`member`] | one server as the others know it |
//! | [`change`] | one configuration made from another, as a client asks for it |
//! | [`text`] | the form in which servers tell each other, files and clients |

pub(crate) mod change;
pub(crate) mod member;
pub(crate) mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use znode::proto::Zxid;

use member::Member;

/// The number of a server in its ensemble: its `myid`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sid(pub(crate) i64);

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server.{}", self.0)
    }
}

/// The members of an ensemble at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuorumConfig {
    /// The transaction that made it; zero for the one that servers are started with.
    pub(crate) version: Zxid,
    /// Every server.
    pub(crate) members: BTreeMap<Sid, Member>,
    /// Groups of voters, if a majority of majorities decides instead of a plain one.
    pub(crate) groups: BTreeMap<i64, BTreeSet<Sid>>,
    /// The weights of voters in groups; one if nothing is said.
    pub(crate) weights: BTreeMap<Sid, i64>,
}

impl QuorumConfig {
    /// Members among which a plain majority decides.
    pub(crate) fn majority(members: BTreeMap<Sid, Member>) -> Self {
        let (groups, weights) = (BTreeMap::new(), BTreeMap::new());
        Self { version: Zxid::ZERO, members, groups, weights }
    }

    /// Whether a plain majority of the voters decides.
    pub(crate) fn is_majority(&self) -> bool {
        self.groups.is_empty() && self.weights.is_empty()
    }

    /// Every voter, in the order of the numbers.
    pub(crate) fn voters(&self) -> impl Iterator<Item = Sid> {
        self.members.iter().filter(|(_, member)| member.votes()).map(|(sid, _)| *sid)
    }

    /// Whether a server votes.
    pub(crate) fn is_voter(&self, sid: Sid) -> bool {
        self.members.get(&sid).is_some_and(Member::votes)
    }

    /// The weight of a server. Who is none of the voters has none.
    pub(crate) fn weight(&self, sid: Sid) -> i64 {
        if self.is_voter(sid) { self.weights.get(&sid).copied().unwrap_or(1) } else { 0 }
    }

    /// Whether the voters for whom `agrees` holds can decide.
    pub(crate) fn is_quorum(&self, agrees: impl Fn(Sid) -> bool) -> bool {
        if self.groups.is_empty() {
            let all = self.voters().count();
            return self.voters().filter(|sid| agrees(*sid)).count() > all / 2;
        }
        let weighty = self.groups.values().filter(|group| self.group_weight(group, |_| true) > 0);
        let (mut all, mut agreeing) = (0, 0);
        for group in weighty {
            let half = self.group_weight(group, |_| true) / 2;
            all += 1;
            agreeing += usize::from(self.group_weight(group, &agrees) > half);
        }
        agreeing > all / 2
    }

    /// Whether a server is a member that does not vote. One that is no member is none.
    pub(crate) fn is_observer(&self, sid: Sid) -> bool {
        self.members.get(&sid).is_some_and(|member| !member.votes())
    }

    /// Whether the same servers decide in the same way, whatever the versions are.
    pub(crate) fn is_same_but_version(&self, other: &Self) -> bool {
        let parts = |config: &Self| {
            let Self { version: _, members, groups, weights } = config.clone();
            (members, groups, weights)
        };
        parts(self) == parts(other)
    }

    /// Whether a server votes in both, and is reached by its learners where it was.
    pub(crate) fn keeps_voter(&self, sid: Sid, next: &Self) -> bool {
        let place = |config: &Self| {
            let member = config.members.get(&sid).filter(|member| member.votes())?;
            let places = member.addresses.iter().map(|at| (at.host.clone(), at.quorum_port));
            Some(places.collect::<BTreeSet<_>>())
        };
        place(self).is_some_and(|before| place(next) == Some(before))
    }

    fn group_weight(&self, group: &BTreeSet<Sid>, counts: impl Fn(Sid) -> bool) -> i64 {
        let weights = group.iter().filter(|sid| counts(**sid)).map(|sid| self.weight(*sid));
        // Nobody weighs so much but in a message of a stranger.
        weights.fold(0, i64::saturating_add)
    }
}

/// The members that decide now: those of the committed configuration, and, while another one is on
/// its way, those of that one as well.
#[derive(Debug, Clone)]
pub(crate) struct Quorums {
    /// What was agreed on.
    pub(crate) committed: QuorumConfig,
    /// What was proposed last, if it is newer.
    pub(crate) proposed: Option<QuorumConfig>,
}

impl Quorums {
    /// Nothing but what was agreed on.
    pub(crate) fn new(committed: QuorumConfig) -> Self {
        Self { committed, proposed: None }
    }

    fn all(&self) -> impl Iterator<Item = &QuorumConfig> {
        std::iter::once(&self.committed).chain(&self.proposed)
    }

    /// A configuration was proposed, or told by a leader as the newest that it knows. If it is
    /// newer than what was agreed on, its voters decide as well from now on; if not, nothing is
    /// under way any more. True if that is news.
    pub(crate) fn see(&mut self, config: QuorumConfig) -> bool {
        let proposed = Some(config).filter(|config| config.version > self.committed.version);
        let version = |config: &Option<QuorumConfig>| config.as_ref().map(|config| config.version);
        // A version stands for one configuration and no other.
        let is_news = version(&proposed) != version(&self.proposed);
        if is_news {
            self.proposed = proposed;
        }
        is_news
    }

    /// A configuration was agreed on. Returns what it takes the place of, if it is newer.
    pub(crate) fn commit(&mut self, config: QuorumConfig) -> Option<QuorumConfig> {
        if config.version <= self.committed.version {
            return None;
        }
        let before = std::mem::replace(&mut self.committed, config);
        let version = self.committed.version;
        self.proposed = self.proposed.take().filter(|proposed| proposed.version > version);
        Some(before)
    }

    /// The newest configuration, agreed on or not.
    pub(crate) fn last_seen(&self) -> &QuorumConfig {
        self.proposed.as_ref().unwrap_or(&self.committed)
    }

    /// Whether a server votes in any of them.
    pub(crate) fn is_voter(&self, sid: Sid) -> bool {
        self.all().any(|config| config.is_voter(sid))
    }

    /// Every voter, in the order of the numbers.
    pub(crate) fn voters(&self) -> BTreeSet<Sid> {
        self.all().flat_map(QuorumConfig::voters).collect()
    }

    /// The weight of a server, as the configuration says in which it weighs the most.
    pub(crate) fn weight(&self, sid: Sid) -> i64 {
        self.last_seen().weight(sid).max(self.committed.weight(sid))
    }

    /// Whether the voters for whom `agrees` holds decide in each of them.
    pub(crate) fn is_quorum(&self, agrees: impl Fn(Sid) -> bool) -> bool {
        self.all().all(|config| config.is_quorum(&agrees))
    }

    /// A server, as the newest configuration that has it says.
    pub(crate) fn member(&self, sid: Sid) -> Option<&Member> {
        self.last_seen().members.get(&sid).or_else(|| self.committed.members.get(&sid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> QuorumConfig {
        text::parse(text).unwrap()
    }

    fn agrees(config: &QuorumConfig, sids: &[i64]) -> bool {
        config.is_quorum(|sid| sids.contains(&sid.0))
    }

    #[test]
    fn half_of_the_voters_is_no_quorum() {
        let four = config(
            "server.1=a:1:2\nserver.2=a:1:2\nserver.3=a:1:2\nserver.4=a:1:2\n\
             server.5=a:1:2:observer",
        );
        assert!(!agrees(&four, &[1, 2]));
        assert!(agrees(&four, &[1, 2, 3]));
    }

    #[test]
    fn an_observer_never_counts() {
        let three = config("server.1=a:1:2\nserver.2=a:1:2:observer\nserver.3=a:1:2");
        assert!(!agrees(&three, &[1, 2]));
        assert!(agrees(&three, &[1, 3]));
    }

    #[test]
    fn a_majority_of_majorities_decides_among_groups() {
        let text: String = (1..=9).map(|sid| format!("server.{sid}=a:1:2\n")).collect();
        let groups = config(&format!("{text}group.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7:8:9"));
        assert!(agrees(&groups, &[1, 2, 4, 5]));
        assert!(!agrees(&groups, &[1, 2, 3, 4, 7]));
    }

    #[test]
    fn a_group_without_weight_is_not_counted() {
        let text: String = (1..=4).map(|sid| format!("server.{sid}=a:1:2\n")).collect();
        let tail = "group.1=1:2:3\ngroup.2=4\nweight.4=0";
        let groups = config(&format!("{text}{tail}"));
        assert!(agrees(&groups, &[1, 2]));
        assert_eq!(groups.weight(Sid(99)), 0, "a stranger");
    }

    #[test]
    fn weights_without_measure_do_no_harm() {
        let text = "server.1=a:1:2\nserver.2=a:1:3\ngroup.1=1:2";
        let max = i64::MAX;
        let heavy = config(&format!("{text}\nweight.1={max}\nweight.2={max}"));
        assert!(agrees(&heavy, &[1]));
    }

    #[test]
    fn two_configurations_must_both_agree() {
        let old = config("server.1=a:1:2\nserver.2=a:1:2\nserver.3=a:1:2");
        let new = config("server.3=a:1:2\nserver.4=a:1:2\nserver.5=a:1:2");
        let both = Quorums { committed: old, proposed: Some(new) };
        assert!(!both.is_quorum(|sid| sid.0 <= 3));
        assert!(both.is_quorum(|sid| [2, 3, 4].contains(&sid.0)));
    }

    #[test]
    fn what_is_proposed_counts_until_it_is_agreed_on_or_overtaken() {
        let at = |version: i64, text: &str| config(&format!("{text}\nversion={version:x}"));
        let three = "server.1=a:1:2\nserver.2=a:1:2\nserver.3=a:1:2";
        let mut quorums = Quorums::new(at(5, three));
        assert!(!quorums.see(at(5, three)), "known");
        assert!(quorums.see(at(9, "server.1=a:1:2\nserver.4=a:1:2")));
        assert!(!quorums.see(at(9, three)), "a version stands for one configuration");
        assert!(quorums.is_voter(Sid(4)) && quorums.is_voter(Sid(3)));
        // A leader that knows nothing of it leads: it never was agreed on.
        assert!(quorums.see(at(5, three)));
        assert!(!quorums.is_voter(Sid(4)));

        quorums.see(at(9, "server.1=a:1:2\nserver.4=a:1:2"));
        assert!(quorums.commit(at(5, three)).is_none(), "old");
        assert_eq!(quorums.commit(at(7, three)).unwrap().version, Zxid(5));
        assert_eq!(quorums.last_seen().version, Zxid(9));
        assert!(quorums.commit(at(9, "server.1=a:1:2\nserver.4=a:1:2")).is_some());
        assert!(quorums.proposed.is_none() && !quorums.is_voter(Sid(3)));
    }

    #[test]
    fn a_leader_stays_one_only_where_its_learners_find_it() {
        let before = config("server.1=a:1:2\nserver.2=b:1:2");
        let keeps = |text: &str| before.keeps_voter(Sid(1), &config(text));
        assert!(keeps("server.1=a:1:7;9\nserver.3=c:1:2"), "elections may be elsewhere");
        assert!(!keeps("server.1=a:7:2\nserver.2=b:1:2"));
        assert!(!keeps("server.1=a:1:2:observer\nserver.2=b:1:2"));
        assert!(!keeps("server.2=b:1:2"));
    }
}
