//! Draws a stream of actions from a seed: the valid, the invalid and the malformed, on few paths,
//! so that they meet.

use znode::proto::requests::*;
use znode::proto::{AclRecord, Encode, OpCode, Perms};

use crate::plan::{Action, Damage, Hello, Password, ROOT, Request, Resume, SLOTS, What};
use crate::rng::Rng;

/// Draws `len` actions. With `quotas` the stream sets some; then no request is sent behind another
/// that has no answer, for Apache compares with the usage that it has got round to counting.
pub(crate) fn stream(seed: u64, len: usize, quotas: bool) -> Vec<Action> {
    let mut generator = Generator { rng: Rng::new(seed), xid: 0, quotas };
    (0..len).map(|_| generator.action()).collect()
}

/// The request that makes the root of a stream.
pub(crate) fn create_root() -> Request {
    let body = CreateRequest { path: ROOT.into(), data: None, acl: Some(open()), flags: 0 };
    request(OpCode::Create.code(), 1, &body)
}

/// Requests that leave an ephemeral node, and a watch of each kind.
pub(crate) fn some_watches() -> Vec<Request> {
    let node = format!("{ROOT}/ephemeral");
    let acl = Some(open());
    let create = CreateRequest { path: node.as_str().into(), data: None, acl, flags: 1 };
    let read = |path: &str| ReadRequest { path: path.to_owned().into(), watch: true };
    let add = |path: &str, mode| AddWatchRequest { path: path.to_owned().into(), mode };
    vec![
        request(OpCode::Create.code(), 2, &create),
        request(OpCode::GetData.code(), 3, &read(&node)),
        request(OpCode::GetChildren.code(), 4, &read(ROOT)),
        request(OpCode::AddWatch.code(), 5, &add(ROOT, 0)),
        request(OpCode::AddWatch.code(), 6, &add("/no-such-node", 1)),
    ]
}

/// What draws, and how far it has got.
pub(crate) struct Generator {
    pub(crate) rng: Rng,
    xid: i32,
    quotas: bool,
}

impl Generator {
    fn action(&mut self) -> Action {
        let slot = self.rng.below(SLOTS);
        let what = match self.rng.weighted(&[880, 30, 12, 6, 12, 30, 8, 10]) {
            0 => What::Batch(self.batch()),
            1 => What::Batch(vec![self.auth()]),
            2 => What::Fatal(self.fatal()),
            3 => What::Bytes(self.bytes()),
            4 => What::Cut,
            5 => What::Hello(self.hello()),
            6 => What::Stranger(self.stranger()),
            _ => {
                let mut requests = self.batch();
                requests.push(self.request(OpCode::CloseSession, &Nothing));
                What::Fatal(requests)
            }
        };
        Action { slot, what }
    }

    /// Mostly one request, sometimes several behind each other.
    fn batch(&mut self) -> Vec<Request> {
        let len = if self.quotas || self.rng.chance(70) { 1 } else { 2 + self.rng.below(7) };
        let mut requests = Vec::with_capacity(len);
        for _ in 0..len {
            requests.push(self.operation());
            // Apache checks what comes right behind it against the old list.
            if requests.last().is_some_and(|last| last.op == OpCode::SetAcl.code()) {
                break;
            }
        }
        requests
    }

    pub(crate) fn request(&mut self, op: OpCode, body: &impl Encode) -> Request {
        self.xid += 1;
        let odd = [0, -4, -8, -2, i32::MAX, i32::MIN, -100];
        let xid = if self.rng.chance(2) { *self.rng.pick(&odd) } else { self.xid };
        request(op.code(), xid, body)
    }

    fn operation(&mut self) -> Request {
        if self.quotas && self.rng.chance(15) {
            return self.quota();
        }
        let mut request = match self.rng.weighted(&[5, 3, 2]) {
            0 => self.write(),
            1 => self.read(),
            _ => self.watching(),
        };
        if self.rng.chance(4) {
            request.damage = match self.rng.below(5) {
                0 | 1 => Damage::Truncate(self.rng.below(request.body.len().max(1))),
                2 => Damage::Append(0),
                _ => {
                    // The root stays what it is.
                    let after = 4 + ROOT.len() + 1;
                    Damage::Flip(
                        after + self.rng.below(200),
                        u8::try_from(self.rng.below(8)).unwrap(),
                    )
                }
            };
            if request.op == OpCode::CreateTtl.code() {
                request.damage = Damage::Truncate(self.rng.below(request.body.len()));
            }
        }
        request
    }

    fn auth(&mut self) -> Request {
        let digests: [&[u8]; 6] = [b"u1:p1", b"u1:p1", b"u2:p2", b"u2", b"", b":p"];
        let (scheme, auth) = match self.rng.weighted(&[20, 2, 1]) {
            0 => ("digest", *self.rng.pick(&digests)),
            1 => ("ip", &b"ignored"[..]),
            _ => ("digest", &b"super:secret"[..]),
        };
        let body = AuthRequest { kind: 0, scheme: scheme.into(), auth: Some(auth) };
        request(OpCode::Auth.code(), -4, &body)
    }

    /// What ends a connection. Apache answers it ahead of what waits, so nothing may.
    fn fatal(&mut self) -> Vec<Request> {
        let unknown = [0, -1, 10, 13, 23, 99, 108, 1000, -12, i32::MIN];
        self.xid += 1;
        vec![match self.rng.below(3) {
            0 | 1 => request(*self.rng.pick(&unknown), self.xid, &Nothing),
            _ => {
                let scheme = *self.rng.pick(&["world", "super", "auth", "nobody", ""]);
                let auth = Some(&b"x"[..]);
                let body = AuthRequest { kind: 0, scheme: scheme.into(), auth };
                let mut last = request(OpCode::Auth.code(), -4, &body);
                if self.rng.chance(30) {
                    last.damage = Damage::Truncate(self.rng.below(last.body.len()));
                }
                last
            }
        }]
    }

    /// What is no request.
    fn bytes(&mut self) -> Vec<u8> {
        match self.rng.below(4) {
            0 => vec![0xff, 0xff, 0xff, 0xff],
            1 => vec![0x00, 0x10, 0x00, 0x00],
            2 => vec![0, 0, 0, 4, 0, 0, 0, 1],
            _ => vec![0, 0, 0, 0],
        }
    }

    fn hello(&mut self) -> Hello {
        let mut hello = Hello::new();
        match self.rng.weighted(&[20, 4, 2, 6]) {
            0 => hello.session = Resume::Known(self.rng.below(100)),
            1 => hello.session = Resume::Unknown(*self.rng.pick(&[1, -1, i64::MIN, 0x0200_0000])),
            2 => hello.password = Password::Null,
            _ => {}
        }
        if self.rng.chance(15) {
            hello.password = *self.rng.pick(&[Password::Wrong, Password::Short, Password::Null]);
        }
        if self.rng.chance(10) {
            hello.zxid_ahead = *self.rng.pick(&[1, 1000, -1, -1000, i64::MAX]);
        }
        // None may expire while the stream runs.
        hello.timeout_ms = *self.rng.pick(&[60_000, 60_000, 59_999, 61_000, i32::MAX]);
        if self.rng.chance(10) {
            hello.timeout_ms = *self.rng.pick(&[0, -1, 1, 199, i32::MIN]);
            hello.session = Resume::New;
            hello.short = true;
        }
        hello.read_only = *self.rng.pick(&[Some(false), Some(true), None]);
        hello.protocol_version = if self.rng.chance(10) { 7 } else { 0 };
        hello
    }

    /// What is no handshake.
    fn stranger(&mut self) -> Vec<u8> {
        let mut short = vec![0, 0, 0, 28];
        short.extend([0; 28]);
        // A session that there is not: one that was opened would expire some time.
        short[27] = 5;
        let mut cut = vec![0, 0, 0, 12];
        cut.extend([0; 12]);
        let choices = [
            short,
            cut,
            vec![0; 4],
            vec![0xff; 8],
            vec![0x7f, 0xff, 0xff, 0xff],
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            vec![0, 0],
            Vec::new(),
            b"ruok".to_vec(),
            b"ruok\n".to_vec(),
            b"isro".to_vec(),
        ];
        self.rng.pick(&choices).clone()
    }
}

/// A request without a body.
pub(crate) struct Nothing;

impl Encode for Nothing {
    fn encode(&self, _out: &mut Vec<u8>) {}
}

pub(crate) fn open() -> Vec<AclRecord<'static>> {
    vec![AclRecord::new(Perms::ALL, "world", "anyone")]
}

fn request(op: i32, xid: i32, body: &impl Encode) -> Request {
    let mut bytes = Vec::new();
    body.encode(&mut bytes);
    Request { xid, op, body: bytes, zxid_back: None, damage: Damage::None }
}
