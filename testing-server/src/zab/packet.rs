//! The packets between a leader and its learners, as Apache ZooKeeper lays them out.

use std::borrow::Cow;

use znode::proto::{Decode, DecodeError, Decoder, Encode, IdRecord, JutePut, SessionId, Xid, Zxid};
use znode::record;

/// The protocol version that learners and leaders say they speak.
pub(crate) const PROTOCOL: i32 = 0x1_0000;

/// What stands behind a snapshot that goes over a link.
pub(crate) const SNAPSHOT_END: &[u8] = b"BenWasHere";

/// What a packet is about. L is the learner, M the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// L→M: a client's write, a `sync`, or the beginning or the end of a session.
    Request,
    /// M→L: a transaction to be logged.
    Proposal,
    /// L→M: it is logged; or a new leader is acknowledged.
    Ack,
    /// M→L: it is decided.
    Commit,
    /// Both: a sign of life; L brings along which sessions have given one.
    Ping,
    /// Both: a client has come back to another server than before.
    Revalidate,
    /// Both: everything decided before has been sent.
    Sync,
    /// M→observer: a transaction that is decided.
    Inform,
    /// M→L: a reconfiguration is decided.
    CommitAndActivate,
    /// M→L: what follows here is all of the new leader's history.
    NewLeader,
    /// L→M: who it is, and how far it has promised.
    FollowerInfo,
    /// M→L: serve.
    UpToDate,
    /// M→L: what is missing follows.
    Diff,
    /// M→L: forget what comes behind.
    Trunc,
    /// M→L: everything follows.
    Snap,
    /// L→M: as [`Self::FollowerInfo`].
    ObserverInfo,
    /// M→L: the epoch to be.
    LeaderInfo,
    /// L→M: promised; and how far it has come.
    AckEpoch,
    /// M→observer: a reconfiguration that is decided.
    InformAndActivate,
}

const KINDS: [(Kind, i32); 19] = [
    (Kind::Request, 1),
    (Kind::Proposal, 2),
    (Kind::Ack, 3),
    (Kind::Commit, 4),
    (Kind::Ping, 5),
    (Kind::Revalidate, 6),
    (Kind::Sync, 7),
    (Kind::Inform, 8),
    (Kind::CommitAndActivate, 9),
    (Kind::NewLeader, 10),
    (Kind::FollowerInfo, 11),
    (Kind::UpToDate, 12),
    (Kind::Diff, 13),
    (Kind::Trunc, 14),
    (Kind::Snap, 15),
    (Kind::ObserverInfo, 16),
    (Kind::LeaderInfo, 17),
    (Kind::AckEpoch, 18),
    (Kind::InformAndActivate, 19),
];

impl Kind {
    fn code(self) -> i32 {
        let found = KINDS.iter().find(|(kind, _)| *kind == self);
        found.expect("the table holds every kind").1
    }

    fn of(code: i32) -> Option<Self> {
        KINDS.iter().find(|(_, known)| *known == code).map(|(kind, _)| *kind)
    }
}

impl Decode<'_> for Kind {
    const MIN_LEN: usize = 4;

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let code: i32 = from.read()?;
        let unknown = DecodeError::UnknownValue { what: "packet type", value: code.into() };
        Self::of(code).ok_or(unknown)
    }
}

impl Encode for Kind {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(&self.code());
    }
}

record! {
    /// A packet.
    pub struct QuorumPacket<'a> {
        /// What it is about.
        pub kind: Kind,
        /// Which transaction, or which epoch.
        pub zxid: Zxid,
        /// What else it says.
        pub data: Option<&'a [u8]>,
        /// On behalf of whom a request is made.
        pub authinfo: Option<Vec<IdRecord<'a>>>,
    }
}

record! {
    /// What a learner says of itself.
    #[derive(Copy)]
    pub struct LearnerInfo {
        /// Its number.
        pub sid: i64,
        /// The version that it speaks.
        pub protocol: i32,
        /// The version of the configuration that it has agreed on.
        pub config_version: i64,
    }
}

record! {
    /// What stands before the body of a forwarded request.
    #[derive(Copy)]
    pub struct RequestInfo {
        /// The session.
        pub session: SessionId,
        /// The number that its client gave the request.
        pub cxid: Xid,
        /// The operation.
        pub op: i32,
    }
}

record! {
    /// A session that has given a sign of life, or that is to be moved.
    #[derive(Copy)]
    pub struct SessionInfo {
        /// The session.
        pub session: SessionId,
        /// Its timeout in milliseconds.
        pub timeout_ms: i32,
    }
}

record! {
    /// The leader's word on a session that is to be moved.
    #[derive(Copy)]
    pub struct SessionVerdict {
        /// The session.
        pub session: SessionId,
        /// Whether it lives.
        pub is_valid: bool,
    }
}

/// Appends a packet that carries data.
pub(crate) fn put(kind: Kind, zxid: Zxid, data: Option<&[u8]>, out: &mut Vec<u8>) {
    out.put(&QuorumPacket { kind, zxid, data, authinfo: None });
}

/// Appends a packet whose data is a record.
pub(crate) fn put_record(kind: Kind, zxid: Zxid, record: &impl Encode, out: &mut Vec<u8>) {
    let mut data = Vec::new();
    data.put(record);
    put(kind, zxid, Some(&data), out);
}

/// A request to be forwarded.
#[derive(Debug)]
pub(crate) struct Forwarded<'a> {
    /// Who asks, and under which number.
    pub(crate) info: RequestInfo,
    /// The request, as the client has sent it.
    pub(crate) body: &'a [u8],
    /// Who the client is: scheme and id.
    pub(crate) authinfo: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Forwarded<'a> {
    /// Reads what a [`Kind::Request`] carries.
    ///
    /// # Errors
    /// It ends too early, or names nobody where it must name somebody.
    pub(crate) fn read(packet: &QuorumPacket<'a>) -> Result<Self, DecodeError> {
        let data = packet.data.ok_or(DecodeError::UnexpectedNull("request"))?;
        let mut from = Decoder::new(data);
        let info = from.read()?;
        let ids = packet.authinfo.iter().flatten();
        let told = |id: &IdRecord<'a>| Some((id.scheme.clone()?, id.id.clone()?));
        let authinfo = ids.map(told).collect::<Option<Vec<_>>>();
        let authinfo = authinfo.ok_or(DecodeError::UnexpectedNull("identity"))?;
        Ok(Self { info, body: from.rest(), authinfo })
    }

    /// Appends the packet.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let mut data = Vec::with_capacity(self.body.len() + RequestInfo::MIN_LEN);
        data.put(&self.info);
        data.extend_from_slice(self.body);
        let ids = self.authinfo.iter().map(|(scheme, id)| IdRecord {
            scheme: Some(Cow::Borrowed(&**scheme)),
            id: Some(Cow::Borrowed(&**id)),
        });
        let authinfo = Some(ids.collect());
        out.put(&QuorumPacket { kind: Kind::Request, zxid: Zxid(-1), data: Some(&data), authinfo });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_the_number_that_apache_gives_it() {
        for (kind, code) in KINDS {
            assert_eq!((Kind::of(code), kind.code()), (Some(kind), code));
        }
        assert_eq!(Kind::of(0), None);
        assert_eq!(Kind::of(20), None);
    }

    #[test]
    fn a_forwarded_request_is_read_back() {
        let info = RequestInfo { session: SessionId(7), cxid: Xid(3), op: 1 };
        let authinfo = vec![("ip".into(), "127.0.0.1".into())];
        let mut bytes = Vec::new();
        Forwarded { info, body: b"body", authinfo: authinfo.clone() }.put(&mut bytes);
        let packet: QuorumPacket<'_> = Decoder::new(&bytes).read().unwrap();
        let read = Forwarded::read(&packet).unwrap();
        assert_eq!((read.info, read.body, read.authinfo), (info, &b"body"[..], authinfo));
    }

    #[test]
    fn a_packet_has_the_bytes_that_apache_writes() {
        let mut bytes = Vec::new();
        put(Kind::Commit, Zxid(0x1_0000_0002), None, &mut bytes);
        let expected =
            [&[0, 0, 0, 4][..], &[0, 0, 0, 1, 0, 0, 0, 2], &[0xff; 4], &[0xff; 4]].concat();
        assert_eq!(bytes, expected);
    }
}
