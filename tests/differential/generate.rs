//! Draws a stream of actions from a seed: the valid, the invalid and the malformed, on few paths,
//! so that they meet.

use znode::proto::requests::*;
use znode::proto::{AclRecord, Encode, JutePut, MultiHeader, OpCode, Perms, Version, Zxid};

use crate::plan::{Action, Damage, Hello, Password, ROOT, Request, Resume, SLOTS, What};
use crate::rng::Rng;

/// Draws `len` actions.
pub(crate) fn stream(seed: u64, len: usize) -> Vec<Action> {
    let mut generator = Generator { rng: Rng::new(seed), xid: 0 };
    (0..len).map(|_| generator.action()).collect()
}

/// The request that makes the root of a stream.
pub(crate) fn create_root() -> Request {
    let body = CreateRequest { path: ROOT.into(), data: None, acl: Some(open()), flags: 0 };
    request(OpCode::Create.code(), 1, &body)
}

struct Generator {
    rng: Rng,
    xid: i32,
}

/// What `digest` makes of `u1:p1`, as it stands in a list.
const U1: &str = "u1:WNTJwmZcThkREOqx3w0GgqBfwKk=";

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
        let len = if self.rng.chance(70) { 1 } else { 2 + self.rng.below(7) };
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

    fn request(&mut self, op: OpCode, body: &impl Encode) -> Request {
        self.xid += 1;
        let odd = [0, -4, -8, -2, i32::MAX, i32::MIN, -100];
        let xid = if self.rng.chance(2) { *self.rng.pick(&odd) } else { self.xid };
        request(op.code(), xid, body)
    }

    fn operation(&mut self) -> Request {
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

    fn write(&mut self) -> Request {
        match self.rng.weighted(&[30, 8, 5, 6, 22, 20, 10, 22, 1]) {
            0 => {
                let body = self.create();
                self.request(OpCode::Create, &body)
            }
            1 => {
                let body = self.create();
                self.request(OpCode::Create2, &body)
            }
            2 => {
                let body = self.create_container();
                self.request(OpCode::CreateContainer, &body)
            }
            3 => {
                let mut body = self.create_ttl();
                if !matches!(body.flags, 5 | 6) {
                    body.ttl_ms = body.ttl_ms.max(0);
                }
                self.request(OpCode::CreateTtl, &body)
            }
            4 => {
                let body = DeleteRequest { path: self.path().into(), version: self.version() };
                self.request(OpCode::Delete, &body)
            }
            5 => {
                let data = self.data();
                let (path, version) = (self.path(), self.version());
                let body = SetDataRequest { path: path.into(), data: data.as_deref(), version };
                self.request(OpCode::SetData, &body)
            }
            6 => {
                let (path, acl) = (self.path(), self.acl());
                let body = SetAclRequest { path: path.into(), acl, version: self.version() };
                self.request(OpCode::SetAcl, &body)
            }
            7 => {
                let body = self.multi();
                self.request(OpCode::Multi, &body)
            }
            _ => {
                let text = || Some("server.9=localhost:1:2".into());
                let body = ReconfigRequest {
                    joining: if self.rng.chance(50) { text() } else { None },
                    leaving: None,
                    new_members: None,
                    current_config_id: -1,
                };
                self.request(OpCode::Reconfig, &body)
            }
        }
    }

    fn read(&mut self) -> Request {
        let watch = self.rng.chance(50);
        let reads = [OpCode::GetData, OpCode::Exists, OpCode::GetChildren, OpCode::GetChildren2];
        match self.rng.weighted(&[60, 10, 5, 4, 4, 4, 3, 10]) {
            0 => {
                let op = *self.rng.pick(&reads);
                let lists = matches!(op, OpCode::GetChildren | OpCode::GetChildren2);
                let path = if lists { self.listed() } else { self.path() };
                self.request(op, &ReadRequest { path: path.into(), watch })
            }
            1 => {
                let path = Some(self.path().into());
                self.request(OpCode::GetAcl, &PathRequest { path })
            }
            2 => {
                let path = Some(self.listed().into());
                self.request(OpCode::GetAllChildrenNumber, &PathRequest { path })
            }
            3 => {
                let path = self.rng.chance(80).then(|| self.path().into());
                self.request(OpCode::Sync, &PathRequest { path })
            }
            4 => {
                let path = self.rng.chance(80).then(|| self.path().into());
                self.request(OpCode::GetEphemerals, &PathRequest { path })
            }
            5 => self.request(OpCode::WhoAmI, &Nothing),
            6 => self.request(OpCode::Ping, &Nothing),
            _ => {
                let body = self.multi_read();
                self.request(OpCode::MultiRead, &body)
            }
        }
    }

    fn watching(&mut self) -> Request {
        match self.rng.weighted(&[6, 3, 3, 3, 3]) {
            0 => {
                let mode = *self.rng.pick(&[0, 1, 0, 1, 0, 1, 2, -1]);
                let path = self.path();
                self.request(OpCode::AddWatch, &AddWatchRequest { path: path.into(), mode })
            }
            1 => {
                let body = self.watches();
                self.request(OpCode::CheckWatches, &body)
            }
            2 => {
                let body = self.watches();
                self.request(OpCode::RemoveWatches, &body)
            }
            3 => {
                let body = SetWatchesRequest {
                    relative_zxid: Zxid::ZERO,
                    data: self.paths(),
                    exist: self.paths(),
                    child: self.paths(),
                };
                let request = self.request(OpCode::SetWatches, &body);
                self.since(request)
            }
            _ => {
                let body = SetWatches2Request {
                    relative_zxid: Zxid::ZERO,
                    data: self.paths(),
                    exist: self.paths(),
                    child: self.paths(),
                    persistent: self.paths(),
                    persistent_recursive: self.paths(),
                };
                let request = self.request(OpCode::SetWatches2, &body);
                self.since(request)
            }
        }
    }

    fn since(&mut self, request: Request) -> Request {
        let back = i64::try_from(self.rng.below(40)).unwrap();
        Request { zxid_back: Some(back), ..request }
    }

    fn watches(&mut self) -> WatchesRequest<'static> {
        let kind = *self.rng.pick(&[1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 0, 6, -1]);
        WatchesRequest { path: self.path().into(), kind }
    }

    fn paths(&mut self) -> Vec<std::borrow::Cow<'static, str>> {
        (0..self.rng.below(4)).map(|_| self.path().into()).collect()
    }

    fn create(&mut self) -> CreateRequest<'static> {
        let odd = [4, 4, 5, 6, 7, -1, 100];
        let flags =
            if self.rng.chance(8) { *self.rng.pick(&odd) } else { self.rng.below(4) as i32 };
        CreateRequest { path: self.path().into(), data: self.leaked(), acl: self.acl(), flags }
    }

    /// Never with an ephemeral mode: for as long as it waits for the disk, Apache takes such a node
    /// for an ephemeral one.
    fn create_container(&mut self) -> CreateRequest<'static> {
        let create = self.create();
        let flags = if matches!(create.flags, 1 | 3) { create.flags - 1 } else { create.flags };
        CreateRequest { flags, ..create }
    }

    fn create_ttl(&mut self) -> CreateTtlRequest<'static> {
        let ttls = [3_600_000, 86_400_000, (1 << 40) - 1, 1 << 40, 0, -1, i64::MIN];
        CreateTtlRequest {
            path: self.inner().into(),
            data: self.leaked(),
            acl: self.acl(),
            flags: *self.rng.pick(&[5, 5, 5, 6, 6, 0, 1, 3, 4, 7]),
            ttl_ms: *self.rng.pick(&ttls),
        }
    }

    fn multi(&mut self) -> Records {
        let mut records = Records::default();
        for _ in 0..self.rng.below(5) {
            match self.rng.weighted(&[10, 3, 2, 2, 8, 8, 6, 1]) {
                0 => records.push(OpCode::Create, &self.create()),
                1 => records.push(OpCode::Create2, &self.create()),
                2 => records.push(OpCode::CreateContainer, &self.create_container()),
                3 => records.push(OpCode::CreateTtl, &self.create_ttl()),
                4 => {
                    let (path, version) = (self.path().into(), self.version());
                    records.push(OpCode::Delete, &DeleteRequest { path, version });
                }
                5 => {
                    let (path, version) = (self.path().into(), self.version());
                    let data = self.leaked();
                    records.push(OpCode::SetData, &SetDataRequest { path, data, version });
                }
                6 => {
                    let (path, version) = (self.path().into(), self.version());
                    records.push(OpCode::Check, &CheckVersionRequest { path, version });
                }
                _ => self.stray(&mut records),
            }
        }
        records.end();
        records
    }

    fn multi_read(&mut self) -> Records {
        let mut records = Records::default();
        for _ in 0..self.rng.below(4) {
            let (watch, path) = (self.rng.chance(30), self.listed().into());
            match self.rng.weighted(&[10, 10, 1]) {
                0 => records.push(OpCode::GetData, &ReadRequest { path, watch }),
                1 => records.push(OpCode::GetChildren, &ReadRequest { path, watch }),
                _ => {
                    let version = self.version();
                    records.push(OpCode::Check, &CheckVersionRequest { path, version });
                }
            }
        }
        records.end();
        records
    }

    /// An operation that has no place in a multi.
    fn stray(&mut self, records: &mut Records) {
        let path = self.path();
        let watch = false;
        match self.rng.below(4) {
            0 => records.push(OpCode::GetData, &ReadRequest { path: path.into(), watch }),
            1 => records.push(OpCode::Multi, &Nothing),
            2 => records.push(OpCode::Sync, &PathRequest { path: Some(path.into()) }),
            _ => {
                let (acl, version) = (self.acl(), self.version());
                records.push(OpCode::SetAcl, &SetAclRequest { path: path.into(), acl, version });
            }
        }
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
        hello.timeout_ms = *self.rng.pick(&[60_000, 60_000, 30_000, 61_000, i32::MAX]);
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

    fn version(&mut self) -> Version {
        Version(*self.rng.pick(&[-1, -1, -1, -1, 0, 0, 0, 1, 1, 2, 3, -2, i32::MAX]))
    }

    fn data(&mut self) -> Option<Vec<u8>> {
        match self.rng.below(10) {
            0 => None,
            1 => Some(Vec::new()),
            _ => Some(vec![b'x'; 1 + self.rng.below(20)]),
        }
    }

    fn leaked(&mut self) -> Option<&'static [u8]> {
        const DATA: &[u8] = b"the quick brown fox jumps";
        self.data().map(|data| &DATA[..data.len()])
    }

    /// A path whose children may be told: those of the real root are many streams'.
    fn listed(&mut self) -> String {
        loop {
            let path = self.path();
            if !matches!(&*path, "" | "/") {
                return path;
            }
        }
    }

    fn path(&mut self) -> String {
        match self.rng.weighted(&[90, 4, 6]) {
            0 => self.inner(),
            1 => (*self.rng.pick(&["/", "", "/zookeeper", "/zookeeper/config"])).to_owned(),
            _ => {
                let inner = self.inner();
                let odd = [
                    format!("{inner}/"),
                    format!("{inner}//a"),
                    format!("{inner}/."),
                    format!("{inner}/../b"),
                    format!("{inner}/\0"),
                    format!("{inner}/\u{1}"),
                    format!("{inner}/\u{7f}x"),
                    format!("{inner}/\u{e000}"),
                    format!("{inner}/\u{fff0}"),
                    format!("{inner}/\u{1f600}"),
                    format!("{inner}/ä ö"),
                    inner[1..].to_owned(),
                    "x".to_owned(),
                ];
                self.rng.pick(&odd).clone()
            }
        }
    }

    fn inner(&mut self) -> String {
        let mut path = ROOT.to_owned();
        for _ in 0..self.rng.weighted(&[5, 50, 30, 15]) {
            path.push('/');
            if self.rng.chance(8) {
                path.push_str(&format!("q-{:010}", self.rng.below(12)));
            } else {
                path.push_str(*self.rng.pick(&["a", "b", "c", "q-"]));
            }
        }
        path
    }

    fn acl(&mut self) -> Option<Vec<AclRecord<'static>>> {
        if self.rng.chance(80) {
            return Some(open());
        }
        match self.rng.below(14) {
            0 => None,
            1 => Some(Vec::new()),
            _ => Some((0..=self.rng.below(3)).map(|_| self.entry()).collect()),
        }
    }

    fn entry(&mut self) -> AclRecord<'static> {
        let ids = [
            ("world", "anyone"),
            ("world", "anyone"),
            ("auth", ""),
            ("auth", "x"),
            ("digest", U1),
            ("digest", U1),
            ("ip", "127.0.0.1"),
            ("ip", "127.0.0.0/8"),
            ("ip", "10.0.0.0/8"),
            ("world", "x"),
            ("digest", "a:b:c"),
            ("digest", ""),
            ("digest", "a"),
            ("ip", "1.2.3"),
            ("ip", "1.2.3.4/33"),
            ("ip", "1.2.3.4/-1"),
            ("ip", "::1"),
            ("ip", "::1/200"),
            ("super", ""),
            ("x509", "CN=a"),
            ("sasl", "a"),
            ("", ""),
        ];
        let (scheme, id) = *self.rng.pick(&ids);
        let perms = Perms(*self.rng.pick(&[31, 31, 31, 1, 3, 15, 30, 0, 16, -1, 64]));
        let mut entry = AclRecord::new(perms, scheme, id);
        match self.rng.below(60) {
            0 => entry.id.id = None,
            1 => entry.id.scheme = None,
            _ => {}
        }
        entry
    }
}

/// The operations of a multi, encoded one by one, so that they need not be legal.
#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    fn push(&mut self, op: OpCode, body: &impl Encode) {
        self.0.put(&MultiHeader { op: op.code(), done: false, error: -1 });
        self.0.put(body);
    }

    fn end(&mut self) {
        self.0.put(&MultiHeader::DONE);
    }
}

impl Encode for Records {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

struct Nothing;

impl Encode for Nothing {
    fn encode(&self, _out: &mut Vec<u8>) {}
}

fn open() -> Vec<AclRecord<'static>> {
    vec![AclRecord::new(Perms::ALL, "world", "anyone")]
}

fn request(op: i32, xid: i32, body: &impl Encode) -> Request {
    let mut bytes = Vec::new();
    body.encode(&mut bytes);
    Request { xid, op, body: bytes, zxid_back: None, damage: Damage::None }
}
