//! What goes wrong, and when; and how everything is mended at the end.

use std::time::Duration;

use super::network::End;
use super::world::{Event, World, member};
use crate::node::Node;
use crate::node::input::Input;
use crate::quorum::Sid;
use crate::quorum::member::Role;
use znode::proto::requests::ReconfigRequest;

impl World {
    /// One thing goes wrong, or is mended.
    pub(super) fn fault(&mut self) {
        if self.now >= self.faults_until {
            return self.mend();
        }
        let pause = self.random.between(20, 900);
        self.at(Duration::from_millis(pause), Event::Fault);
        let server = self.random.below(self.servers.len());
        let other = self.random.below(self.servers.len());
        let what = self.random.below(if self.reconfigures { 19 } else { 14 });
        if self.transcript {
            let at = self.now.as_nanos() / 1000;
            println!("{at:>9} fault {what} of {server} and {other}");
        }
        match what {
            0..=2 => self.kill(server),
            3..=5 => self.revive(server),
            6 => self.servers[server].is_paused = self.servers[server].node.is_some(),
            7 | 8 => self.resume(server),
            9 => {
                self.cut.entry((server, other)).or_default();
                if self.random.once_in(2) {
                    self.cut.entry((other, server)).or_default();
                }
            }
            10 => self.heal(),
            11 => self.reset(server, other),
            12 if self.random.once_in(4) => {
                (0..self.servers.len()).for_each(|server| self.kill(server));
            }
            12 => self.snapshot(server),
            13 => self.expire_somebody(),
            _ => self.reconfigure(server, other),
        }
    }

    /// Somebody joins, leaves, or changes what it is; or everybody is drawn anew.
    fn reconfigure(&mut self, server: usize, other: usize) {
        let role = *self.random.pick(&[Role::Participant, Role::Participant, Role::Observer]);
        // Where its learners find it somewhere else, even a leader that votes must hand over.
        let port = if self.random.once_in(5) { 3 } else { 1 };
        let joins = |server: usize| {
            let sid = Sid(i64::try_from(server + 1).expect("few servers"));
            format!("{sid}={}", member(sid, role, port))
        };
        let leaves = |server: usize| (server + 1).to_string();
        let (joining, leaving) = match self.random.below(5) {
            0 => (joins(server), String::new()),
            1 => (String::new(), leaves(server)),
            2 => (joins(server), leaves(other)),
            3 => (format!("{},{}", joins(server), joins(other)), String::new()),
            _ => {
                let all: Vec<usize> = (0..self.servers.len()).collect();
                let (join, leave): (Vec<usize>, Vec<usize>) =
                    all.into_iter().partition(|_| !self.random.once_in(3));
                let join: Vec<String> = join.into_iter().map(joins).collect();
                let leave: Vec<String> = leave.into_iter().map(leaves).collect();
                (join.join(","), leave.join(","))
            }
        };
        let request = ReconfigRequest {
            joining: Some(joining.into()),
            leaving: Some(leaving.into()),
            new_members: None,
            current_config_id: -1,
        };
        for server in 0..self.servers.len() {
            let this = &self.servers[server];
            let decides = this.node.as_ref().is_some_and(Node::is_deciding);
            if decides && !this.is_paused {
                // It may refuse.
                let _ = self.ask_reconfiguration(server, &request);
            }
        }
    }

    fn revive(&mut self, server: usize) {
        if self.servers[server].node.is_none() {
            self.start(server);
        }
    }

    fn resume(&mut self, server: usize) {
        if !std::mem::take(&mut self.servers[server].is_paused) {
            return;
        }
        let mut missed = std::mem::take(&mut self.servers[server].missed);
        if self.random.once_in(2) {
            // Whether a timer or a socket is looked at first is nobody's promise.
            missed.sort_by_key(|event| matches!(event, Event::Tick(_)));
        }
        for event in missed {
            self.happen(event);
        }
    }

    /// What was held up arrives now.
    fn heal(&mut self) {
        let cut = std::mem::take(&mut self.cut);
        for event in cut.into_values().flatten() {
            self.happen(event);
        }
    }

    /// The connections between two servers break.
    fn reset(&mut self, server: usize, other: usize) {
        for (conn, end) in self.servers[server].wires_to(other) {
            self.at(Duration::ZERO, Event::Arrive(end, End::Server(server, conn), Vec::new()));
            self.at(Duration::ZERO, Event::Arrive(End::Server(server, conn), end, Vec::new()));
        }
    }

    /// A server writes a snapshot, and forgets the log before it.
    fn snapshot(&mut self, server: usize) {
        if self.in_memory {
            return;
        }
        let this = &mut self.servers[server];
        if let Some(node) = &mut this.node
            && node.is_serving()
            && this.disk.waiting.is_empty()
        {
            let (zxid, bytes) = (node.last_processed, node.snapshot());
            this.disk.save(zxid, bytes.into());
            this.disk.purge();
        }
    }

    fn expire_somebody(&mut self) {
        let client = self.random.below(self.clients.len());
        let Some(session) = self.clients[client].session() else { return };
        for server in 0..self.servers.len() {
            let this = &self.servers[server];
            let decides = this.node.as_ref().is_some_and(Node::is_deciding);
            if decides && !this.is_paused {
                self.input(server, Input::Expire(session));
            }
        }
    }

    /// Everything is made whole.
    pub(super) fn mend(&mut self) {
        self.heal();
        for server in 0..self.servers.len() {
            self.resume(server);
            self.revive(server);
        }
    }
}
