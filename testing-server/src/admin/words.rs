//! The answers to four-letter words, in Apache's exact shape.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use znode::proto::{OpCode, SessionId};

use super::stats::{ConnectionStats, ServerStats};
use super::text::{date, mean};
use super::{Whitelist, Word};
use crate::node::Node;
use crate::node::connection::{Connection, Phase};
use crate::node::faults::Release;
use crate::node::outbox::Outbox;
use crate::session::Session;
use crate::tree::watches::Modes;

/// The version in the form in which Apache tells it, so that whoever looks for features finds
/// 3.9's. The date is in the form that clients know from earlier releases.
pub(super) fn version(release: Release) -> &'static str {
    macro_rules! text {
        ($release:literal) => {
            concat!(
                $release,
                "-znode-",
                env!("CARGO_PKG_VERSION"),
                ", built on 11/20/2026 00:00 UTC"
            )
        };
    }
    match release {
        Release::V3_4 => text!("3.4.14"),
        Release::V3_5 => text!("3.5.10"),
        Release::V3_6 => text!("3.6.4"),
        Release::V3_9 => text!("3.9.5"),
    }
}

/// What `gtmk` tells: Apache's default.
pub(super) const TRACE_MASK: i64 = 306;

/// What a server answers that has no leader.
const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";

/// Words that have an answer all the same.
const SPEAKS_FOR_ITSELF: [&[u8; 4]; 3] = [b"envi", b"gtmk", b"stmk"];

impl Node {
    /// The answer to a word. `sizes` are those of snapshots and of logs, in bytes.
    pub(crate) fn answer_word(
        &mut self,
        word: Word,
        sizes: (u64, u64),
        out: &mut Outbox,
    ) -> String {
        if !self.settings.words.allows(word) {
            let name = word.name();
            return format!("{name} is not executed because it is not in the whitelist.\n");
        }
        self.sent = out.sent();
        match &word.name {
            b"ruok" => "imok".to_owned(),
            b"isro" if self.is_read_only() => "ro".to_owned(),
            b"isro" if !self.is_serving() => "null".to_owned(),
            b"isro" => "rw".to_owned(),
            name if !self.is_serving()
                && !self.is_read_only()
                && !SPEAKS_FOR_ITSELF.contains(&name) =>
            {
                NOT_SERVING.to_owned()
            }
            b"srvr" => self.title() + &self.server(),
            b"stat" => {
                format!("{}Clients:\n{}\n{}", self.title(), self.clients(out, true), self.server())
            }
            b"cons" => self.clients(out, false) + "\n",
            b"crst" => self.reset_connections(out),
            b"srst" => self.reset_server(out),
            b"conf" => self.configuration(sizes),
            b"envi" => {
                let mut text = "Environment:\n".to_owned();
                for (key, value) in environment(self.settings.rules.release) {
                    _ = writeln!(text, "{key}={value}");
                }
                text
            }
            b"dirs" => {
                let (data, logs) = sizes;
                format!("datadir_size: {data}\nlogdir_size: {logs}\n")
            }
            b"dump" => self.dump(),
            b"wchs" => self.watch_summary(),
            b"wchc" => self.watches_by_session(),
            b"wchp" => self.watches_by_path(),
            b"mntr" => self.monitor(),
            b"gtmk" => TRACE_MASK.to_string(),
            // There is nothing to mask; the answer repeats what was asked, as Apache's does.
            b"stmk" => word.argument.to_string(),
            b"hash" => self.past_digests(),
            _ => String::new(),
        }
    }

    fn title(&self) -> String {
        let restriction = match self.is_read_only() {
            true => "READ-ONLY mode; serving only read-only clients\n",
            false => "",
        };
        format!("Zookeeper version: {}\n{restriction}", version(self.settings.rules.release))
    }

    fn server(&self) -> String {
        let latency = self.stats.latency();
        format!(
            "Latency min/avg/max: {}/{}/{}\nReceived: {}\nSent: {}\nConnections: {}\n\
             Outstanding: {}\nZxid: {:#x}\nMode: {}\nNode count: {}\n{}",
            latency.min_ms(),
            mean(latency.mean_ms()),
            latency.max_ms,
            self.stats.received,
            self.sent.frames,
            self.connections.len(),
            self.gate.len() + self.lines.len(),
            self.last_processed.0,
            self.mode(),
            self.tree.len() + 1,
            self.proposals(),
        )
    }

    /// What only a leader tells: how long its proposals were.
    fn proposals(&self) -> String {
        let Some(sizes) = self.peer.as_ref().and_then(|peer| peer.proposal_sizes()) else {
            return String::new();
        };
        format!("Proposal sizes last/min/max: {}/{}/{}\n", sizes.last, sizes.min, sizes.max)
    }

    fn clients(&self, out: &Outbox, brief: bool) -> String {
        let mut text = String::new();
        for connection in self.connections.iter() {
            let Connection { id, peer, outstanding, stats, phase, .. } = connection;
            let received = stats.received;
            // Whoever has sent a word is not read any more.
            let interest = i32::from(*phase != Phase::Handshake);
            let sent = out.sent_to(*id);
            _ = write!(
                text,
                " /{peer}[{interest}](queued={outstanding},recved={received},sent={sent}"
            );
            let session = phase.session().and_then(|slot| self.sessions.get(slot));
            if let Some(session) = session.filter(|_| !brief) {
                self.put_session(connection, session.id, session.timeout.as_millis(), &mut text);
            }
            text.push_str(")\n");
        }
        text
    }

    fn put_session(&self, of: &Connection, id: SessionId, timeout_ms: u128, text: &mut String) {
        let ConnectionStats { last_op, last_xid, last_zxid, last_response, latency, .. } = of.stats;
        let established = self.wall_ms(of.established);
        let op = last_op.map_or("NA", short_name);
        _ = write!(text, ",sid={:#x},lop={op},est={established},to={timeout_ms}", id.0);
        if last_xid.0 >= 0 {
            _ = write!(text, ",lcxid={:#x}", last_xid.0);
        }
        let responded = last_op.map_or(0, |_| self.wall_ms(last_response));
        _ = write!(
            text,
            ",lzxid={:#x},lresp={responded},llat={},minlat={},avglat={},maxlat={}",
            last_zxid.0,
            latency.last_ms,
            latency.min_ms(),
            latency.whole_mean_ms(),
            latency.max_ms
        );
    }

    pub(super) fn reset_connections(&mut self, out: &mut Outbox) -> String {
        for connection in self.connections.iter_mut() {
            connection.stats = ConnectionStats::NONE;
            out.forget_sent_to(connection.id);
        }
        "Connection stats reset.\n".to_owned()
    }

    fn reset_server(&mut self, out: &mut Outbox) -> String {
        self.stats = ServerStats::NONE;
        out.forget_sent();
        "Server stats reset.\n".to_owned()
    }

    fn configuration(&self, sizes: (u64, u64)) -> String {
        let settings = &self.settings;
        let ms = |time: std::time::Duration| time.as_millis();
        let (data_dir, log_dir) = settings.version_dirs();
        let per_address = settings.rules.connections_per_address_max.unwrap_or(0);
        format!(
            "clientPort={}\nsecureClientPort={}\ndataDir={data_dir}\ndataDirSize={}\n\
             dataLogDir={log_dir}\ndataLogSize={}\ntickTime={}\n\
             maxClientCnxns={per_address}\nminSessionTimeout={}\n\
             maxSessionTimeout={}\nclientPortListenBacklog=-1\nserverId={}\n{}",
            settings.client_port,
            settings.secure_client_port.map_or(-1, i32::from),
            sizes.0,
            sizes.1,
            ms(settings.rules.tick),
            ms(settings.rules.session_timeout_min),
            ms(settings.rules.session_timeout_max),
            self.own_number(),
            self.ensemble_configuration(),
        )
    }

    fn past_digests(&self) -> String {
        let mut text = String::new();
        for (zxid, digest) in self.digests.history() {
            _ = writeln!(text, "{:x}: {}", zxid.0, digest.cast_signed());
        }
        text
    }

    fn dump(&self) -> String {
        let mut buckets: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for session in self.sessions.iter() {
            buckets.entry(session.expires()).or_default().push(session);
        }
        let mut text = format!(
            "SessionTracker dump:\nSession Sets ({})/({}):\n",
            buckets.len(),
            self.sessions.iter().count()
        );
        for (expires, sessions) in &buckets {
            let expires = date(self.wall_ms(*expires));
            _ = writeln!(text, "{} expire at {expires}:", sessions.len());
            for session in sessions {
                _ = writeln!(text, "\t{:#x}", session.id.0);
            }
        }
        let ephemerals = self.ephemeral_views();
        _ = writeln!(
            text,
            "ephemeral nodes dump:\nSessions with Ephemerals ({}):",
            ephemerals.len()
        );
        for (session, paths) in &ephemerals {
            _ = writeln!(text, "{:#x}:", session.0);
            for path in paths {
                _ = writeln!(text, "\t{path}");
            }
        }
        self.dump_connections(&mut text);
        text
    }

    fn dump_connections(&self, text: &mut String) {
        let mut buckets: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for connection in self.connections.iter() {
            let session = connection.phase.session().and_then(|slot| self.sessions.get(slot));
            let due = session.map_or(connection.established, Session::expires);
            let id = session.map_or(SessionId::NONE, |session| session.id);
            buckets.entry(due).or_default().push((connection.peer, id));
        }
        let (sets, all) = (buckets.len(), self.connections.len());
        _ = writeln!(text, "Connections dump:\nConnections Sets ({sets})/({all}):");
        for (due, connections) in &buckets {
            let due = date(self.wall_ms(*due));
            _ = writeln!(text, "{} expire at {due}:", connections.len());
            for (peer, id) in connections {
                _ = writeln!(text, "\tip: /{peer} sessionId: {:#x}", id.0);
            }
        }
    }

    /// As all words about watches, of the table of data alone.
    fn watch_summary(&self) -> String {
        let (by_session, by_path) = (self.data_watches(), self.data_watches_by_path());
        let total: usize = by_path.values().map(Vec::len).sum();
        format!(
            "{} connections watching {} paths\nTotal watches:{total}\n",
            by_session.len(),
            by_path.len()
        )
    }

    fn watches_by_session(&self) -> String {
        let mut text = String::new();
        for (session, paths) in self.data_watches() {
            _ = writeln!(text, "{:#x}", session.0);
            for path in paths {
                _ = writeln!(text, "\t{path}");
            }
        }
        text + "\n"
    }

    fn watches_by_path(&self) -> String {
        let mut text = String::new();
        for (path, sessions) in self.data_watches_by_path() {
            _ = writeln!(text, "{path}");
            for session in sessions {
                _ = writeln!(text, "\t{:#x}", session.0);
            }
        }
        text + "\n"
    }

    pub(super) fn data_watches(&self) -> BTreeMap<SessionId, Vec<String>> {
        let mut by_session: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (path, sessions) in self.data_watches_by_path() {
            for session in sessions {
                by_session.entry(session).or_default().push(path.clone());
            }
        }
        by_session
    }

    pub(super) fn data_watches_by_path(&self) -> BTreeMap<String, Vec<SessionId>> {
        let mut by_path: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (path, slot, modes) in self.watches.iter() {
            let connection = self.connections.at(slot);
            let session = connection
                .and_then(|connection| connection.phase.session())
                .and_then(|slot| self.sessions.get(slot));
            if let Some(session) = session.filter(|_| modes.intersects(Modes::DATA_TABLE)) {
                let path = String::from_utf8_lossy(path).into_owned();
                by_path.entry(path).or_default().push(session.id);
            }
        }
        by_path
    }
}

impl Default for Whitelist {
    fn default() -> Self {
        Self::parse("")
    }
}

/// There is no Java: what would tell of it is not available, in Java's own words.
pub(super) fn environment(release: Release) -> Vec<(&'static str, &'static str)> {
    const KEYS: [&str; 17] = [
        "host.name",
        "java.version",
        "java.vendor",
        "java.home",
        "java.class.path",
        "java.library.path",
        "java.io.tmpdir",
        "java.compiler",
        "os.name",
        "os.arch",
        "os.version",
        "user.name",
        "user.home",
        "user.dir",
        "os.memory.free",
        "os.memory.max",
        "os.memory.total",
    ];
    let value = |key| match key {
        "host.name" => "localhost",
        "os.name" => std::env::consts::OS,
        "os.arch" => std::env::consts::ARCH,
        _ => "<NA>",
    };
    let rest = KEYS.into_iter().map(|key| (key, value(key)));
    std::iter::once(("zookeeper.version", version(release))).chain(rest).collect()
}

/// What Apache's `cons` calls an operation.
pub(super) fn short_name(op: OpCode) -> &'static str {
    match op {
        OpCode::Ping => "PING",
        OpCode::CreateSession => "SESS",
        OpCode::Multi => "MULT",
        OpCode::MultiRead => "MLTR",
        OpCode::Create | OpCode::Create2 | OpCode::CreateTtl | OpCode::CreateContainer => "CREA",
        OpCode::Delete | OpCode::DeleteContainer => "DELE",
        OpCode::SetData => "SETD",
        OpCode::Reconfig => "RECO",
        OpCode::SetAcl => "SETA",
        OpCode::CloseSession => "CLOS",
        OpCode::Sync => "SYNC",
        OpCode::Check => "CHEC",
        OpCode::Exists => "EXIS",
        OpCode::GetData => "GETD",
        OpCode::SetWatches => "SETW",
        OpCode::SetWatches2 => "STW2",
        OpCode::AddWatch => "ADDW",
        OpCode::GetAcl => "GETA",
        OpCode::GetChildren | OpCode::GetChildren2 => "GETC",
        OpCode::GetAllChildrenNumber => "GETACN",
        OpCode::CheckWatches => "CHKW",
        OpCode::RemoveWatches => "REMW",
        OpCode::WhoAmI => "HOMI",
        OpCode::GetEphemerals => "GETE",
        _ => "NA",
    }
}
