//! Draws requests: every operation, with what it may and may not be asked.

use std::borrow::Cow;

use znode::proto::requests::*;
use znode::proto::{Encode, JutePut, MultiHeader, OpCode, Version, Zxid};

use crate::generate::{Generator, Nothing, open};
use crate::plan::{ROOT, Request};

impl Generator {
    pub(crate) fn write(&mut self) -> Request {
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
                let (path, version) = self.versioned();
                let body = DeleteRequest { path: path.into(), version };
                self.request(OpCode::Delete, &body)
            }
            5 => {
                let data = self.data();
                let (path, version) = self.versioned();
                let body = SetDataRequest { path: path.into(), data: data.as_deref(), version };
                self.request(OpCode::SetData, &body)
            }
            6 => {
                let (path, acl) = (self.of_stream(), self.acl());
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

    /// Makes, changes, reads or deletes a quota of the root or of a node below it. Usage is never
    /// written, for what cannot be read there ends Apache's process.
    pub(crate) fn quota(&mut self) -> Request {
        let at = self.rng.pick(&["", "/a", "/a/b"]);
        let at = format!("/zookeeper/quota{ROOT}{at}");
        let (limits, usage) = (format!("{at}/zookeeper_limits"), format!("{at}/zookeeper_stats"));
        let texts: [&[u8]; 4] = [
            b"count=3,bytes=10",
            b"count=-1,bytes=-1=;countHardLimit=4",
            b"count=2,bytes=-1=;byteHardLimit=60;countHardLimit=-1",
            b"count=9,bytes=9=;byteHardLimit=200;countHardLimit=9",
        ];
        let data = Some(*self.rng.pick(&texts));
        let path = self.rng.pick(&[at, limits.clone(), usage.clone()]).clone().into();
        let version = Version(-1);
        match self.rng.weighted(&[6, 2, 1, 3]) {
            0 => {
                let create = CreateRequest { path, data, acl: Some(open()), flags: 0 };
                self.request(OpCode::Create, &create)
            }
            1 => {
                let write = SetDataRequest { path: limits.into(), data, version };
                self.request(OpCode::SetData, &write)
            }
            2 => self.request(OpCode::Delete, &DeleteRequest { path, version }),
            _ => self.request(OpCode::GetData, &ReadRequest { path: usage.into(), watch: true }),
        }
    }

    pub(crate) fn read(&mut self) -> Request {
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

    pub(crate) fn watching(&mut self) -> Request {
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

    fn paths(&mut self) -> Vec<Cow<'static, str>> {
        (0..self.rng.below(4)).map(|_| self.path().into()).collect()
    }

    fn create(&mut self) -> CreateRequest<'static> {
        let path = self.path();
        // What is created outside the stream's root would be there in the next stream.
        let modes: &[i32] = if path.starts_with(ROOT) && path.len() > ROOT.len() {
            &[0, 0, 1, 1, 2, 2, 3, 3, 0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2, 3, 4, 5, 6, 7, -1, 100]
        } else {
            &[0, 1, 4, 7]
        };
        let flags = *self.rng.pick(modes);
        CreateRequest { path: path.into(), data: self.leaked(), acl: self.acl(), flags }
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
        let path = format!("{}/t", self.inner());
        CreateTtlRequest {
            path: path.into(),
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
                    let (path, version) = self.versioned();
                    let path = path.into();
                    records.push(OpCode::Delete, &DeleteRequest { path, version });
                }
                5 => {
                    let (path, version) = self.versioned();
                    let path = path.into();
                    let data = self.leaked();
                    records.push(OpCode::SetData, &SetDataRequest { path, data, version });
                }
                6 => {
                    let (path, version) = self.versioned();
                    let path = path.into();
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
