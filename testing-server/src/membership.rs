//! What a `zoo.cfg` says of an ensemble, as the server itself takes it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Ensemble;
use crate::election::ElectionTimes;
use crate::io::peers::Network;
use crate::io::peers::tcp::TcpPeers;
#[cfg(feature = "tls")]
use crate::io::tls::PeerTls;
use crate::peer::{LocalSessions, PeerSettings};
use crate::quorum::{QuorumConfig, Sid};
use crate::spec::InstanceSpec;
use crate::zab::history::COMMITTED_LOG_MAX;

/// How Apache's servers time their elections.
const ELECTION: ElectionTimes = ElectionTimes {
    finalize_wait: Duration::from_millis(200),
    notification_min: Duration::from_millis(200),
    notification_max: Duration::from_secs(60),
};

/// How long Apache's learners wait before they try again to reach their leader.
const REDIAL_PAUSE: Duration = Duration::from_millis(100);

/// How long Apache's servers look for a leader before they serve clients that only read, if a tick
/// is not longer.
const READ_ONLY_WAIT: Duration = Duration::from_secs(2);

/// What a server of an ensemble knows of the others.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    /// Its own number.
    pub(crate) me: Sid,
    /// Who is in the ensemble.
    pub(crate) config: QuorumConfig,
    pub(crate) settings: PeerSettings,
    /// Its `zoo.cfg`, beside which it is kept who is in the ensemble once that has changed.
    pub(crate) config_file: Option<PathBuf>,
    /// Whether a single voter would be no ensemble any more.
    pub(crate) standalone_enabled: bool,
    /// How the others are reached.
    pub(crate) network: Network,
}

impl Membership {
    /// A server that reaches the others over TCP.
    ///
    /// # Errors
    /// It is none of the members, or they have numbers that no session id could tell; or what it is
    /// to prove itself to them with cannot be used.
    pub(crate) fn over_tcp(ensemble: &Ensemble, spec: &InstanceSpec) -> io::Result<Self> {
        let tick = spec.rules.tick;
        let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        let my_id = ensemble.my_id.ok_or_else(|| wrong("myid: is not known".to_owned()))?;
        if my_id > 254 {
            return Err(wrong(format!("myid: {my_id}, must be at most 254")));
        }
        let me = Sid(i64::try_from(my_id).unwrap_or(i64::MAX));
        let mine = ensemble.me();
        let mine =
            mine.ok_or_else(|| wrong(format!("server.{my_id}: is not among the members")))?;
        let network = Network::Tcp(TcpPeers {
            addresses: mine.addresses.clone(),
            listen_on_all: ensemble.listen_on_all_addresses,
            dial_timeout: Duration::from_millis(ensemble.connection_timeout_ms),
            #[cfg(feature = "tls")]
            security: spec.peer_tls.as_ref().map(PeerTls::security).transpose()?,
        });
        let config = ensemble.config.clone();
        let settings = PeerSettings {
            tick,
            init_limit: tick * ensemble.init_limit.max(1),
            sync_limit: tick * ensemble.sync_limit.max(1),
            redial_pause: REDIAL_PAUSE,
            election: ELECTION,
            committed_log: COMMITTED_LOG_MAX,
            local_sessions: match (ensemble.local_sessions, ensemble.local_sessions_upgrading) {
                (false, _) => LocalSessions::No,
                (true, false) => LocalSessions::Stay,
                (true, true) => LocalSessions::Upgrade,
            },
            read_only_after: ensemble.read_only_mode.then(|| tick.max(READ_ONLY_WAIT)),
        };
        Ok(Self {
            me,
            config,
            settings,
            config_file: ensemble.config_file.clone(),
            standalone_enabled: ensemble.standalone_enabled,
            network,
        })
    }
}
