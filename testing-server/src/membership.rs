//! What a `zoo.cfg` says of an ensemble, as the server itself takes it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Ensemble;
use crate::election::ElectionTimes;
use crate::io::peers::Network;
use crate::io::peers::tcp::TcpPeers;
use crate::peer::PeerSettings;
use crate::quorum::{QuorumConfig, Sid};
use crate::zab::history::COMMITTED_LOG_MAX;

/// How Apache's servers time their elections.
const ELECTION: ElectionTimes = ElectionTimes {
    finalize_wait: Duration::from_millis(200),
    notification_min: Duration::from_millis(200),
    notification_max: Duration::from_secs(60),
};

/// How long Apache's learners wait before they try again to reach their leader.
const REDIAL_PAUSE: Duration = Duration::from_millis(100);

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
    /// A server that reaches the others over TCP. `client` is where its own clients come, if the
    /// ensemble does not say so.
    ///
    /// # Errors
    /// It is none of the members, or they have numbers that no session id could tell.
    pub(crate) fn over_tcp(ensemble: &Ensemble, tick: Duration) -> io::Result<Self> {
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
        });
        let config = ensemble.config.clone();
        let settings = PeerSettings {
            tick,
            init_limit: tick * ensemble.init_limit.max(1),
            sync_limit: tick * ensemble.sync_limit.max(1),
            redial_pause: REDIAL_PAUSE,
            election: ELECTION,
            committed_log: COMMITTED_LOG_MAX,
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
