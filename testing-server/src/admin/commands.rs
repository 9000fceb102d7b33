//! The commands of the admin server: what four-letter words tell, and more, as JSON.

use std::collections::BTreeMap;

use znode::proto::{Perms, SessionId, Zxid};

use super::json::{Json, Map};
use super::stats::{ConnectionStats, ServerStats};
use super::text::mean;
use super::words::{environment, short_name, version};
use crate::auth::Identity;
use crate::auth::check::check_acl;
use crate::node::Node;
use crate::node::connection::{Connection, Phase, Wire};
use crate::node::outbox::Outbox;
use crate::tree::digest::DIGEST_VERSION;

/// What a server that stands alone answers, where Apache's does.
const NOT_IN_AN_ENSEMBLE: &str = "server is not initialized";

/// Every command: the names by which it is called, the first of which it goes by itself.
const COMMANDS: &[(&[&str], Command)] = &[
    (&["configuration", "conf", "config"], Command::Configuration),
    (&["connection_stat_reset", "crst"], Command::ConnectionStatReset),
    (&["connections", "cons"], Command::Connections),
    (&["dirs"], Command::Dirs),
    (&["dump"], Command::Dump),
    (&["environment", "env", "envi"], Command::Environment),
    (&["get_trace_mask", "gtmk"], Command::GetTraceMask),
    (&["hash"], Command::Hash),
    (&["initial_configuration", "icfg"], Command::InitialConfiguration),
    (&["is_read_only", "isro"], Command::IsReadOnly),
    (&["last_snapshot", "lsnp"], Command::LastSnapshot),
    (&["leader", "lead"], Command::Leader),
    (&["monitor", "mntr"], Command::Monitor),
    (&["observer_connection_stat_reset", "orst"], Command::ObserverStatReset),
    (&["observers", "obsr"], Command::Observers),
    (&["ruok"], Command::Ruok),
    (&["server_stats", "srvr"], Command::ServerStats),
    (&["set_trace_mask", "stmk"], Command::SetTraceMask),
    (&["snapshot", "snap"], Command::Snapshot),
    (&["stat_reset", "srst"], Command::StatReset),
    (&["stats", "stat"], Command::Stats),
    (&["system_properties", "sysp"], Command::SystemProperties),
    (&["voting_view"], Command::VotingView),
    (&["watch_summary", "wchs"], Command::WatchSummary),
    (&["watches", "wchc"], Command::Watches),
    (&["watches_by_path", "wchp"], Command::WatchesByPath),
    (&["zabstate"], Command::ZabState),
];

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Configuration,
    ConnectionStatReset,
    Connections,
    Dirs,
    Dump,
    Environment,
    GetTraceMask,
    Hash,
    InitialConfiguration,
    IsReadOnly,
    LastSnapshot,
    Leader,
    Monitor,
    ObserverStatReset,
    Observers,
    Ruok,
    ServerStats,
    SetTraceMask,
    /// Needs every permission on the root; answered by what has the disk.
    Snapshot,
    StatReset,
    Stats,
    SystemProperties,
    VotingView,
    WatchSummary,
    Watches,
    WatchesByPath,
    ZabState,
}

/// What a command is told that the server itself does not know.
#[derive(Debug, Default, Clone)]
pub(crate) struct Facts {
    /// How many bytes snapshots and logs take.
    pub(crate) sizes: (u64, u64),
    /// The newest snapshot, and when it was written, in seconds since 1970.
    pub(crate) last_snapshot: Option<(Zxid, u64)>,
    /// The `traceMask` of the request.
    pub(crate) trace_mask: Option<String>,
}

impl Command {
    /// The command of a name, and the name that it goes by itself.
    pub(crate) fn find(name: &str) -> Option<(Self, &'static str)> {
        let (names, command) = COMMANDS.iter().find(|(names, _)| names.contains(&name))?;
        Some((*command, names[0]))
    }

    /// The names of all commands, in their order.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        let mut names: Vec<_> = COMMANDS.iter().map(|(names, _)| names[0]).collect();
        names.sort_unstable();
        names.into_iter()
    }

    /// Whether it tells of files.
    pub(crate) fn wants_files(self) -> bool {
        matches!(self, Self::Dirs | Self::LastSnapshot | Self::ServerStats | Self::Stats)
    }
}

/// An answer as it goes out: what the command tells, its name, and what is wrong, if something is.
pub(crate) fn answer(name: &str, mut entries: Map, error: Option<&str>) -> Json {
    let told = entries.iter().any(|(name, _)| name == "error");
    entries.push(("command".to_owned(), Json::text(name)));
    if !told {
        entries.push(("error".to_owned(), error.map_or(Json::Null, Json::text)));
    }
    Json::Map(entries)
}

fn entry(name: &str, value: Json) -> (String, Json) {
    (name.to_owned(), value)
}

impl Node {
    /// What a command tells.
    pub(crate) fn command(&mut self, command: Command, facts: &Facts, out: &mut Outbox) -> Map {
        self.sent = out.sent();
        match command {
            Command::Configuration => self.configuration_entries(),
            Command::ConnectionStatReset => {
                self.reset_connections(out);
                Map::new()
            }
            Command::Connections => self.all_connections(out, false),
            Command::Dirs => vec![
                entry("datadir_size", Json::whole(facts.sizes.0)),
                entry("logdir_size", Json::whole(facts.sizes.1)),
            ],
            Command::Dump => self.dump_entries(),
            Command::Environment => {
                let pairs = environment(self.settings.rules.release).into_iter();
                pairs.map(|(name, value)| (name.to_owned(), Json::text(value))).collect()
            }
            Command::GetTraceMask => {
                vec![entry("tracemask", Json::whole(super::words::TRACE_MASK))]
            }
            Command::Hash => self.past_digest_entries(),
            Command::InitialConfiguration => {
                vec![entry(
                    "initial_configuration",
                    Json::text(&*self.settings.rules.initial_config),
                )]
            }
            Command::IsReadOnly => vec![entry("read_only", Json::Flag(self.is_read_only()))],
            Command::LastSnapshot => last_snapshot(facts.last_snapshot),
            Command::Monitor => self.figures().entries(),
            Command::Ruok | Command::Snapshot => Map::new(),
            Command::ServerStats => self.server_entries(facts),
            Command::SetTraceMask => set_trace_mask(facts.trace_mask.as_deref()),
            Command::StatReset => {
                self.stats = ServerStats::NONE;
                out.forget_sent();
                Map::new()
            }
            Command::Stats => {
                let mut entries = self.server_entries(facts);
                entries.extend(self.all_connections(out, true));
                entries
            }
            Command::SystemProperties => {
                let properties = self.settings.rules.system_properties.iter();
                properties.map(|(name, value)| (name.clone(), Json::text(value))).collect()
            }
            Command::WatchSummary => self.watch_summary_entries(),
            Command::Watches => {
                let by_session = self.data_watches().into_iter().map(|(session, paths)| {
                    let paths = paths.into_iter().map(Json::Text).collect();
                    (session.0.to_string(), Json::List(paths))
                });
                vec![entry("session_id_to_watched_paths", Json::Map(by_session.collect()))]
            }
            Command::WatchesByPath => {
                let by_path = self.data_watches_by_path().into_iter();
                let by_path = by_path.map(|(path, sessions)| (path, ids(&sessions)));
                vec![entry("path_to_session_ids", Json::Map(by_path.collect()))]
            }
            Command::VotingView => self.voting_view(),
            Command::Leader
            | Command::ObserverStatReset
            | Command::Observers
            | Command::ZabState => alone(command),
        }
    }

    /// Whether somebody who is known as these may do everything at the root, one permission after
    /// the other.
    pub(crate) fn may_administer(&self, identities: &[Identity]) -> bool {
        let Some(root) = self.tree.node(b"/") else { return false };
        let all = [Perms::READ, Perms::WRITE, Perms::CREATE, Perms::DELETE, Perms::ADMIN];
        all.into_iter().all(|wanted| {
            check_acl(&self.schemes, &self.tree.acls, root.acl, wanted, identities).is_ok()
        })
    }

    fn configuration_entries(&self) -> Map {
        let settings = &self.settings;
        let ms = |time: std::time::Duration| Json::whole(time.as_millis());
        let (data_dir, log_dir) = settings.version_dirs();
        vec![
            entry("client_port", Json::whole(settings.client_port)),
            entry("data_dir", Json::text(data_dir)),
            entry("data_log_dir", Json::text(log_dir)),
            entry("tick_time", ms(settings.rules.tick)),
            entry(
                "max_client_cnxns",
                Json::whole(settings.rules.connections_per_address_max.unwrap_or(0)),
            ),
            entry("min_session_timeout", ms(settings.rules.session_timeout_min)),
            entry("max_session_timeout", ms(settings.rules.session_timeout_max)),
            entry("server_id", Json::whole(self.own_number())),
            entry("client_port_listen_backlog", Json::whole(-1)),
        ]
    }

    fn past_digest_entries(&self) -> Map {
        let digest = |(zxid, digest): (Zxid, u64)| {
            Json::Map(vec![
                entry("zxid", Json::whole(zxid.0)),
                entry("digest", Json::whole(digest)),
                entry("digestVersion", Json::whole(DIGEST_VERSION)),
            ])
        };
        vec![entry("digests", Json::List(self.digests.history().map(digest).collect()))]
    }

    fn server_entries(&self, facts: &Facts) -> Map {
        let latency = self.stats.latency();
        let responses = self.response_entries();
        let stats = vec![
            entry("packets_sent", Json::whole(self.sent.frames)),
            entry("packets_received", Json::whole(self.stats.received)),
            entry("fsync_threshold_exceed_count", Json::whole(0)),
            entry("client_response_stats", Json::Map(responses.clone())),
            entry("data_dir_size", Json::whole(facts.sizes.0)),
            entry("log_dir_size", Json::whole(facts.sizes.1)),
            entry("provider_null", Json::Flag(false)),
            entry("last_processed_zxid", Json::whole(self.last_processed.0)),
            entry("outstanding_requests", Json::whole(self.gate.len() + self.lines.len())),
            entry("server_state", Json::text(self.mode())),
            entry("avg_latency", Json::Number(mean(latency.mean_ms()))),
            entry("max_latency", Json::whole(latency.max_ms)),
            entry("min_latency", Json::whole(latency.min_ms())),
            entry("num_alive_client_connections", Json::whole(self.connections.len())),
            entry("uptime", Json::whole(self.now.since(self.started).as_millis())),
            entry("auth_failed_count", Json::whole(self.stats.auth_failed)),
            entry("non_mtlsremote_conn_count", Json::whole(0)),
            entry("non_mtlslocal_conn_count", Json::whole(0)),
        ];
        vec![
            entry("version", Json::text(version(self.settings.rules.release))),
            entry("read_only", Json::Flag(false)),
            entry("server_stats", Json::Map(stats)),
            entry("client_response", Json::Map(responses)),
            entry("node_count", Json::whole(self.tree.len() + 1)),
        ]
    }

    fn response_entries(&self) -> Map {
        let [last, max, min] = self.response_sizes();
        vec![
            entry("last_buffer_size", Json::whole(last)),
            entry("min_buffer_size", Json::whole(min)),
            entry("max_buffer_size", Json::whole(max)),
        ]
    }

    fn all_connections(&self, out: &Outbox, brief: bool) -> Map {
        let of = |secure: bool| {
            let all = self.connections.iter();
            let all = all.filter(|connection| (connection.wire != Wire::Plain) == secure);
            Json::List(all.map(|one| Json::Map(self.connection_entries(one, out, brief))).collect())
        };
        vec![entry("connections", of(false)), entry("secure_connections", of(true))]
    }

    fn connection_entries(&self, of: &Connection, out: &Outbox, brief: bool) -> Map {
        let interest = i32::from(of.phase != Phase::Handshake);
        let mut entries = vec![
            entry("remote_socket_address", Json::text(of.peer.to_string())),
            entry("interest_ops", Json::whole(interest)),
            entry("outstanding_requests", Json::whole(of.outstanding)),
            entry("packets_received", Json::whole(of.stats.received)),
            entry("packets_sent", Json::whole(out.sent_to(of.id))),
        ];
        if brief {
            return entries;
        }
        let session = of.phase.session().and_then(|slot| self.sessions.get(slot));
        let ConnectionStats { last_op, last_xid, last_zxid, last_response, latency, .. } = of.stats;
        let timeout = session.map_or(0, |session| session.timeout.as_millis());
        let responded = last_op.map_or(0, |_| self.wall_ms(last_response));
        entries.extend([
            entry("session_id", Json::whole(session.map_or(0, |session| session.id.0))),
            entry("last_operation", Json::text(last_op.map_or("NA", short_name))),
            entry("established", Json::whole(self.wall_ms(of.established))),
            entry("session_timeout", Json::whole(timeout)),
            entry("last_cxid", Json::whole(last_xid.0)),
            entry("last_zxid", Json::whole(last_zxid.0)),
            entry("last_response_time", Json::whole(responded)),
            entry("last_latency", Json::whole(latency.last_ms)),
            entry("min_latency", Json::whole(latency.min_ms())),
            entry("avg_latency", Json::whole(latency.whole_mean_ms())),
            entry("max_latency", Json::whole(latency.max_ms)),
        ]);
        entries
    }

    fn dump_entries(&self) -> Map {
        let mut buckets: BTreeMap<i64, Vec<SessionId>> = BTreeMap::new();
        for session in self.sessions.iter() {
            buckets.entry(self.wall_ms(session.expires())).or_default().push(session.id);
        }
        let buckets = buckets.into_iter().map(|(due, sessions)| (due.to_string(), ids(&sessions)));
        let ephemerals = self.ephemeral_views().into_iter().map(|(session, paths)| {
            (session.0.to_string(), Json::List(paths.into_iter().map(Json::Text).collect()))
        });
        vec![
            entry("expiry_time_to_session_ids", Json::Map(buckets.collect())),
            entry("session_id_to_ephemeral_paths", Json::Map(ephemerals.collect())),
        ]
    }

    fn watch_summary_entries(&self) -> Map {
        let (by_session, by_path) = (self.data_watches(), self.data_watches_by_path());
        let total: usize = by_path.values().map(Vec::len).sum();
        vec![
            entry("num_connections", Json::whole(by_session.len())),
            entry("num_paths", Json::whole(by_path.len())),
            entry("num_total_watches", Json::whole(total)),
        ]
    }
}

fn last_snapshot(known: Option<(Zxid, u64)>) -> Map {
    let (zxid, written) = match known {
        Some((zxid, written)) => (zxid.0, Json::whole(written)),
        None => (-1, Json::whole(-1)),
    };
    vec![entry("zxid", Json::text(format!("{zxid:x}"))), entry("timestamp", written)]
}

/// What a server that stands alone tells of an ensemble.
fn alone(command: Command) -> Map {
    match command {
        Command::Leader => vec![entry("error", Json::text(NOT_IN_AN_ENSEMBLE))],
        Command::Observers => vec![
            entry("synced_observers", Json::whole(0)),
            entry("observers", Json::List(Vec::new())),
        ],
        Command::ZabState => {
            vec![entry("voting", Json::Flag(false)), entry("zabstate", Json::text(""))]
        }
        _ => Map::new(),
    }
}

/// There is nothing to mask; the answer repeats what was asked, as Apache's does.
fn set_trace_mask(asked: Option<&str>) -> Map {
    const WANTED: &str = "setTraceMask requires long traceMask argument";
    match asked.map(|asked| (asked, asked.parse::<i64>())) {
        Some((_, Ok(mask))) => vec![entry("tracemask", Json::whole(mask))],
        Some((asked, Err(_))) => {
            vec![entry("error", Json::text(format!("{WANTED}, got {asked}")))]
        }
        None => vec![entry("error", Json::text(WANTED))],
    }
}

fn ids(sessions: &[SessionId]) -> Json {
    Json::List(sessions.iter().map(|session| Json::whole(session.0)).collect())
}
