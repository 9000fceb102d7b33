//! What servers say to each other, in words.

use znode::proto::{Decoder, OpCode, Zxid};

use crate::election::notification::Notification;
use crate::election::vote::{ServerState, Vote};
use crate::log::record::Logged;
use crate::log::snapshot::Snapshot;
use crate::node::input::LinkKind;
use crate::peer::reconfig::config_of;
use crate::quorum::text::parse;
use crate::quorum::{QuorumConfig, Sid};
use crate::zab::packet::{Forwarded, Kind, LearnerInfo, QuorumPacket};

/// A message in words; nothing if it only says that its sender is there.
pub(super) fn say(kind: LinkKind, greets: bool, is_snapshot: bool, bytes: &[u8]) -> Option<String> {
    match kind {
        LinkKind::Election if greets => Some("greets".to_owned()),
        LinkKind::Election => Some(notification(bytes)),
        LinkKind::Quorum if is_snapshot => Some(snapshot(bytes)),
        LinkKind::Quorum => packet(bytes),
    }
}

fn notification(bytes: &[u8]) -> String {
    let Ok(Notification { ballot, .. }) = Notification::read(bytes) else {
        return "a notification that cannot be read".to_owned();
    };
    let Vote { leader, zxid, peer_epoch } = ballot.vote;
    let state = match ballot.state {
        ServerState::Looking => "looks for a leader, and would take",
        ServerState::Following => "follows",
        ServerState::Leading => "leads, as",
        ServerState::Observing => "observes",
    };
    let (leader, round) = (leader.0, ballot.round);
    if ballot.vote == Vote::NONE {
        return format!("{state} anybody, round {round}");
    }
    format!("{state} {leader} with {}, epoch {peer_epoch}, round {round}", place(zxid))
}

fn snapshot(bytes: &[u8]) -> String {
    match Snapshot::read_body(bytes) {
        Ok(snapshot) => {
            let (nodes, sessions) = (snapshot.nodes.len(), snapshot.sessions.len());
            format!("(a tree of {nodes} nodes, {sessions} sessions)")
        }
        Err(damage) => format!("(a tree that cannot be read: {damage})"),
    }
}

fn packet(bytes: &[u8]) -> Option<String> {
    let Ok(packet) = Decoder::new(bytes).read::<QuorumPacket<'_>>() else {
        return Some("a packet that cannot be read".to_owned());
    };
    let data = packet.data.unwrap_or_default();
    let at = place(packet.zxid);
    Some(match packet.kind {
        Kind::Ping => return None,
        Kind::FollowerInfo | Kind::ObserverInfo => {
            let info: Option<LearnerInfo> = Decoder::new(data).read().ok();
            let sid = info.map_or(-1, |info| info.sid);
            let epoch = packet.zxid.epoch();
            format!("{:?} of server {sid}, which has promised epoch {epoch}", packet.kind)
        }
        Kind::LeaderInfo => format!("LeaderInfo: promise epoch {}", packet.zxid.epoch()),
        Kind::AckEpoch => match Decoder::new(data).read::<i32>() {
            Ok(-1) => format!("AckEpoch, as before; has {at}"),
            Ok(epoch) => format!("AckEpoch; has {at}, and was in epoch {epoch}"),
            Err(_) => "AckEpoch without an epoch".to_owned(),
        },
        Kind::Proposal | Kind::Inform => {
            let what = Logged::read(data).map_or(0, |logged| logged.header.kind);
            let config = config_of(data).ok().flatten();
            let config = config.map(|config| format!(" to {}", members(&config)));
            format!("{:?} {at}, {}{}", packet.kind, name(what), config.unwrap_or_default())
        }
        Kind::Request => match Forwarded::read(&packet) {
            Ok(request) => format!("Request of a client, {}", name(request.info.op)),
            Err(_) => "Request that cannot be read".to_owned(),
        },
        Kind::NewLeader => match parse(&String::from_utf8_lossy(data)) {
            Ok(config) if config.version != Zxid::ZERO => {
                format!("NewLeader {at}; {}", members(&config))
            }
            _ => format!("NewLeader {at}"),
        },
        Kind::CommitAndActivate | Kind::InformAndActivate => {
            let designated = Decoder::new(data).read::<i64>().unwrap_or(-1);
            format!("{:?} {at}; server {designated} leads", packet.kind)
        }
        Kind::UpToDate | Kind::Sync | Kind::Revalidate => format!("{:?}", packet.kind),
        kind => format!("{kind:?} {at}"),
    })
}

/// A configuration: who votes, who observes, and since when.
fn members(config: &QuorumConfig) -> String {
    let named = |sid: &Sid| match config.is_observer(*sid) {
        true => format!("({})", sid.0),
        false => sid.0.to_string(),
    };
    let members: Vec<String> = config.members.keys().map(named).collect();
    format!("members {} of {}", members.join(" "), place(config.version))
}

fn name(op: i32) -> String {
    OpCode::try_from(op).map_or_else(|_| op.to_string(), |op| format!("{op:?}"))
}

/// A place in the order of all writes: the epoch, and the count in it.
fn place(zxid: Zxid) -> String {
    match zxid.0 {
        ..0 => "nothing to be trusted".to_owned(),
        _ => format!("{}.{}", zxid.epoch(), zxid.counter()),
    }
}
