//! Leaving a server that works: for one that accepts writes, for one that is nearer, or to spread
//! the load. Nothing is lost by it: the server is left once it has answered everything.

use std::time::Duration;

use super::input::Probed;
use super::machine::Session;
use super::output::{Outbox, Output};
use super::phase::{Destination, Phase, Search, Waiting};
use crate::connect_string::HostPort;
use crate::hosts::Attempt;
use crate::moment::Moment;
use crate::state::State;

/// The first pause of a search; it doubles with each server that is no better.
const SEARCH_PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause of a search. Both are those of ZooKeeper's own client.
const SEARCH_PAUSE_MAX: Duration = Duration::from_secs(60);

impl<R> Session<R> {
    /// A search that begins soon if there is anything better to be found.
    pub(super) fn begin_search(&mut self, now: Moment, read_only: bool) -> Search {
        let is_wanted = (read_only && self.hosts.size() > 1) || self.hosts.better().is_some();
        let next_at = if is_wanted { now + SEARCH_PAUSE_MIN } else { Moment::NEVER };
        Search { next_at, pause: SEARCH_PAUSE_MIN }
    }

    /// Has the next candidate probed.
    pub(super) fn search(&mut self, out: &mut Outbox<R>) {
        let Phase::Connected(connected) = &mut self.phase else { return };
        connected.search.next_at = Moment::NEVER;
        let candidate =
            if connected.read_only { Some(self.hosts.next().host) } else { self.hosts.better() };
        if let Some(host) = candidate {
            out.push(Output::Probe(host));
        }
    }

    /// A candidate was probed: it is gone to, or the search goes on.
    pub(super) fn probed(&mut self, now: Moment, host: HostPort, found: Probed) {
        let current = &self.host;
        let Phase::Connected(connected) = &mut self.phase else { return };
        let is_better = host != *current
            && match found {
                Probed::Writable => true,
                Probed::Reachable => !connected.read_only,
                Probed::ReadOnly | Probed::Unreachable => false,
            };
        if is_better {
            self.destination = Some(Destination::Host(host));
            return;
        }
        let search = &mut connected.search;
        search.pause = (search.pause * 2).min(SEARCH_PAUSE_MAX);
        search.next_at = now + search.pause;
    }

    /// The list of servers was replaced.
    pub(super) fn update_hosts(&mut self, hosts: Vec<HostPort>) {
        if hosts.is_empty() {
            return;
        }
        // Also a server that is being connected to: by the time that it has confirmed the session,
        // it may not be in the list any more.
        let current = (!matches!(self.phase, Phase::Waiting(_))).then_some(&self.host);
        let moves = self.hosts.update(hosts, current);
        match &mut self.phase {
            // The server that would be tried next may be gone from the list.
            Phase::Waiting(waiting) => waiting.host = self.hosts.next().host,
            _ if moves => self.destination = Some(Destination::Next),
            _ => {}
        }
    }

    /// Leaves the server if that was asked for; every request to it has been answered.
    pub(super) fn leave_if_asked(&mut self, now: Moment, out: &mut Outbox<R>) {
        if !matches!(self.phase, Phase::Connected(_)) {
            return;
        }
        let Some(destination) = self.destination.take() else { return };
        let Attempt { host, pause } = match destination {
            Destination::Host(host) => Attempt { host, pause: Duration::ZERO },
            Destination::Next => self.hosts.next(),
        };
        out.push(Output::Disconnect);
        self.auth.connection_lost();
        self.phase = Phase::Waiting(Waiting { host, until: now + pause });
        // What a session stands for must not be taken for granted while it has no connection, and
        // be it for a moment.
        out.push(Output::State(State::Suspect));
    }
}
