//! Power cuts, full disks and devices that fail, thousands of them on a model of a disk: what was
//! acknowledged is there afterwards, and the server always starts again.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use znode::Moment;
use znode::proto::requests::{CreateRequest, DeleteRequest, SetDataRequest};
use znode::proto::{
    AclRecord, ConnectRequest, Encode, JutePut, OpCode, Perms, RequestHeader, SessionId, Version,
    Xid, Zxid,
};

use super::directory::{Kind, file};
use super::load::load;
use super::snapshot_file::SnapshotFile;
use super::storage::{Storage as _, StoredFile as _};
use super::store::{Batch, Store};
use super::{DiskOptions, Planted};
use crate::disk_model::{Faults, ModelDisk, Rng};
use crate::node::Node;
use crate::node::input::{ConnId, Input};
use crate::node::outbox::{Outbox, Output};
use crate::node::settings::Settings;
use crate::node::snapshots::SnapshotId;

const PATHS: [&str; 6] = ["/a", "/b", "/c", "/d", "/e", "/f"];

/// What is under a path: nothing, or this data.
type Tree = BTreeMap<&'static str, Vec<u8>>;

/// A server on a disk that fails, and what its clients were told.
struct Crashing {
    disk: ModelDisk,
    options: DiskOptions,
    rng: Rng,
    /// What is known to be there, as of the last start.
    base: Tree,
    /// Every write since, in order.
    writes: Vec<(Zxid, &'static str, Option<Vec<u8>>)>,
    /// The last transaction that was acknowledged.
    acknowledged: Zxid,
    /// What a test is to look at: power cuts, torn starts, snapshots, failures.
    cuts: u64,
    snapshots: u64,
    failures: u64,
}

/// A server between two crashes.
struct Running {
    node: Node,
    store: Store<ModelDisk>,
    out: Outbox,
    batch: Batch,
    /// The tree once everything that was sent is done.
    tree: Tree,
    next: u64,
    snapshot: Option<(SnapshotId, SnapshotFile<ModelDisk>)>,
}

const CONN: ConnId = ConnId { slot: 0, generation: 0 };

impl Crashing {
    fn new(seed: u64, planted: Planted) -> Self {
        let mut options = DiskOptions::new(PathBuf::from("/data"));
        options.preallocate = 2048;
        options.snapshots_kept = Some(3);
        options.log_size_max = Some(4000);
        options.planted = planted;
        if seed % 2 == 1 {
            options.compression = super::Compression::Gzip;
        }
        if seed % 3 == 1 {
            options.log_dir = PathBuf::from("/log");
        }
        Self {
            disk: ModelDisk::new(seed),
            options,
            rng: Rng::new(!seed),
            base: Tree::new(),
            writes: Vec::new(),
            acknowledged: Zxid::ZERO,
            cuts: 0,
            snapshots: 0,
            failures: 0,
        }
    }

    /// One start, some writes, and an end.
    fn round(&mut self) -> Result<(), String> {
        let mut running = self.start()?;
        self.draw_faults();
        let steps = self.rng.below(60);
        for _ in 0..steps {
            if let Err(error) = self.step(&mut running) {
                self.failures += u64::from(self.disk.has_power());
                let told = error.to_string();
                assert!(told.contains("/data") || told.contains("/log"), "no file named: {told}");
                break;
            }
        }
        drop(running);
        // A server that is killed leaves the disk as it is seen.
        if self.rng.once_in(8) && self.disk.has_power() {
            self.disk.set_faults(Faults::default());
        } else {
            self.disk.cut_power();
            self.cuts += 1;
        }
        Ok(())
    }

    fn draw_faults(&mut self) {
        let soon = self.disk.operations() + self.rng.below(80);
        let mut faults = Faults::default();
        match self.rng.below(8) {
            0 => {}
            1 => faults.error_at = Some(soon),
            2 => faults.capacity = Some(self.disk.used() + self.rng.below(6000)),
            _ => faults.power_cut_at = Some(soon),
        }
        self.disk.set_faults(faults);
    }

    /// Starts the server; sometimes the power goes while it does.
    fn start(&mut self) -> Result<Running, String> {
        while self.rng.once_in(5) {
            let soon = self.disk.operations() + self.rng.below(12);
            self.disk.set_faults(Faults { power_cut_at: Some(soon), ..Faults::default() });
            let _ = load(&self.disk, &self.options, &Settings::fixed());
            self.disk.cut_power();
        }
        self.disk.set_faults(Faults::default());
        let loaded = load(&self.disk, &self.options, &Settings::fixed());
        let node = loaded.map_err(|error| format!("it does not start: {error}"))?.node;
        self.compare(&node)?;
        let mut running = Running {
            node,
            store: Store::new(self.disk.clone(), self.options.clone()),
            out: Outbox::default(),
            batch: Batch::default(),
            tree: self.base.clone(),
            next: 0,
            snapshot: None,
        };
        running.open();
        Ok(running)
    }

    /// What is there is what was done up to some transaction, and that is none before the last that
    /// was acknowledged.
    fn compare(&mut self, node: &Node) -> Result<(), String> {
        let (zxid, acknowledged) = (node.last_processed, self.acknowledged);
        if zxid < acknowledged {
            return Err(format!("{acknowledged} was acknowledged, and {zxid} is all there is"));
        }
        for (at, path, data) in std::mem::take(&mut self.writes) {
            if at > zxid {
                continue;
            }
            match data {
                Some(data) => _ = self.base.insert(path, data),
                None => _ = self.base.remove(path),
            }
        }
        for path in PATHS {
            let data = node.node_view(path).map(|view| view.data.unwrap_or_default().to_vec());
            if data.as_ref() != self.base.get(path) {
                return Err(format!("{path} is not as {zxid} has left it"));
            }
        }
        match node.stats.digest_mismatches {
            0 => Ok(()),
            count => Err(format!("{count} digests differ")),
        }
    }

    fn step(&mut self, running: &mut Running) -> io::Result<()> {
        match self.rng.below(16) {
            0..8 => {
                for _ in 0..=self.rng.below(5) {
                    self.writes.push(running.write(&mut self.rng));
                }
                Ok(())
            }
            8..12 => self.flush(running),
            12 => running.store.settle(),
            13 if running.snapshot.is_none() => {
                running.store.roll()?;
                let id = running.node.begin_snapshot();
                let file = SnapshotFile::create(&self.disk, &self.options, id.zxid)?;
                running.snapshot = Some((id, file));
                Ok(())
            }
            _ => self.go_on(running),
        }
    }

    /// Has everything written that waits.
    fn flush(&mut self, running: &mut Running) -> io::Result<()> {
        let batch = std::mem::take(&mut running.batch);
        let mut persisted = None;
        let written = running.store.write(&batch, |zxid| persisted = Some(zxid));
        if let Some(zxid) = persisted {
            self.acknowledged = zxid;
            running.input(Input::Persisted(zxid));
        }
        written
    }

    /// Writes the next piece of the snapshot, if there is one.
    fn go_on(&mut self, running: &mut Running) -> io::Result<()> {
        let Some((id, mut file)) = running.snapshot.take() else { return Ok(()) };
        let mut piece = Vec::new();
        let more = running.node.snapshot_piece(id, 700, &mut piece).expect("it is under way");
        file.put(&piece)?;
        if more {
            running.snapshot = Some((id, file));
            return Ok(());
        }
        file.finish(id)?;
        self.snapshots += 1;
        running.store.purge()
    }
}

impl Running {
    fn input(&mut self, input: Input<'_>) {
        self.node.step(Moment::START, input, &mut self.out);
        for output in self.out.outputs() {
            if let Output::Append { zxid, range } = output {
                self.batch.add(*zxid, self.out.bytes(range));
            }
        }
        self.out.clear();
    }

    /// Opens a session in place of all others.
    fn open(&mut self) {
        self.input(Input::Restart);
        for session in self.node.session_views() {
            self.input(Input::Expire(session.id));
        }
        self.input(Input::Accepted { conn: CONN, peer: SocketAddr::from(([127, 0, 0, 1], 7)) });
        let hello = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: 60_000,
            session_id: SessionId::NONE,
            password: Some(&[]),
            read_only: Some(false),
        };
        let mut bytes = Vec::new();
        hello.encode(&mut bytes);
        self.input(Input::Frame { conn: CONN, bytes: &bytes });
    }

    fn send(&mut self, op: OpCode, body: &impl Encode) {
        let mut bytes = Vec::new();
        bytes.put(&RequestHeader { xid: Xid(1), op: op.code() });
        bytes.put(body);
        self.input(Input::Frame { conn: CONN, bytes: &bytes });
    }

    /// Sends a write that succeeds, and says what it will have done.
    fn write(&mut self, rng: &mut Rng) -> (Zxid, &'static str, Option<Vec<u8>>) {
        let path = PATHS[usize::try_from(rng.below(PATHS.len() as u64)).unwrap()];
        self.next += 1;
        let mut data = format!("{path} {}", self.next).into_bytes();
        // Now and then one goes over several sectors.
        let len = if rng.once_in(6) { rng.below(2000) } else { rng.below(40) };
        data.resize(data.len() + usize::try_from(len).unwrap(), b'.');
        let version = Version::ANY;
        let to = path.into();
        let written = match self.tree.contains_key(path) {
            false => {
                let acl = Some(vec![AclRecord::new(Perms::ALL, "world", "anyone")]);
                let request = CreateRequest { path: to, data: Some(&data), acl, flags: 0 };
                self.send(OpCode::Create, &request);
                Some(data)
            }
            true if rng.once_in(4) => {
                self.send(OpCode::Delete, &DeleteRequest { path: to, version });
                None
            }
            true => {
                let request = SetDataRequest { path: to, data: Some(&data), version };
                self.send(OpCode::SetData, &request);
                Some(data)
            }
        };
        match &written {
            Some(data) => _ = self.tree.insert(path, data.clone()),
            None => _ = self.tree.remove(path),
        }
        (self.batch.last().expect("a write is appended"), path, written)
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().expect("it is a number"))
}

/// Rounds from `ZNODE_TEST_CRASHES`, randomness from `ZNODE_TEST_SEED`.
#[test]
fn no_acknowledged_write_is_lost_to_a_power_cut() {
    let crashes = number("ZNODE_TEST_CRASHES", 3_000);
    let first = number("ZNODE_TEST_SEED", 20_261_120);
    println!("ZNODE_TEST_SEED={first} ZNODE_TEST_CRASHES={crashes}");
    let (mut cuts, mut snapshots, mut failures, mut seed) = (0, 0, 0, first);
    while cuts < crashes {
        let mut crashing = Crashing::new(seed, Planted::Nothing);
        for round in 0..60 {
            crashing.round().unwrap_or_else(|why| panic!("seed {seed}, round {round}: {why}"));
        }
        cuts += crashing.cuts;
        snapshots += crashing.snapshots;
        failures += crashing.failures;
        seed += 1;
    }
    println!("{cuts} power cuts, {snapshots} snapshots, {failures} failures of the disk");
    assert!(snapshots > crashes / 20 && failures > crashes / 20, "{snapshots} {failures}");
}

/// Whether some seed shows a mistake within so many crashes.
fn finds(planted: Planted) -> Option<String> {
    (0..20).find_map(|seed| {
        let mut crashing = Crashing::new(seed, planted);
        (0..40).find_map(|_| crashing.round().err())
    })
}

#[test]
fn an_answer_before_the_sync_is_found_out() {
    let found = finds(Planted::EarlyAnswer).expect("it is found out");
    assert!(found.contains("was acknowledged") || found.contains("not as"), "{found}");
}

#[test]
fn a_folder_that_is_not_synced_is_found_out() {
    let found = finds(Planted::ForgottenFolder).expect("it is found out");
    assert!(found.contains("was acknowledged") || found.contains("does not start"), "{found}");
}

/// The server before was killed, or could not sync: its last writes are seen, and not safe. The
/// next one read them, went on in another log, and a power cut made a gap between the two.
#[test]
fn what_the_server_before_had_not_synced_is_safe_before_the_next_one_goes_on() {
    for (seed, fails) in (0..60).zip([true, false].into_iter().cycle()) {
        let mut crashing = Crashing::new(seed, Planted::Nothing);
        let mut running = crashing.start().unwrap();
        crashing.flush(&mut running).unwrap();
        crashing.writes.push(running.write(&mut crashing.rng));
        // A write, then its sync.
        let sync = crashing.disk.operations() + 1;
        let (error_at, power_cut_at) = if fails { (Some(sync), None) } else { (None, Some(sync)) };
        crashing.disk.set_faults(Faults { error_at, power_cut_at, capacity: None });
        crashing.flush(&mut running).unwrap_err();
        crashing.disk.restore_power();

        let mut running = crashing.start().unwrap();
        crashing.writes.push(running.write(&mut crashing.rng));
        crashing.flush(&mut running).unwrap();
        crashing.disk.cut_power();
        crashing.start().unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}

/// A server that has written so much, and was killed.
fn written(seed: u64) -> Crashing {
    let mut crashing = Crashing::new(seed, Planted::Nothing);
    crashing.options.log_size_max = None;
    let mut running = crashing.start().unwrap();
    for _ in 0..12 {
        crashing.writes.push(running.write(&mut crashing.rng));
        crashing.flush(&mut running).unwrap();
    }
    running.store.settle().unwrap();
    crashing
}

fn overwrite(disk: &ModelDisk, path: &std::path::Path, bytes: &[u8]) {
    disk.create(path).unwrap().write_at(0, bytes).unwrap();
}

#[test]
fn every_flipped_bit_before_the_end_of_a_log_keeps_the_server_from_starting() {
    let crashing = written(3);
    let log = file(&crashing.options.log_dir, Kind::Log, Zxid(1));
    let bytes = crashing.disk.read(&log).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for bit in 0..(used - 32) * 8 {
        let mut bent = bytes.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        overwrite(&crashing.disk, &log, &bent);
        let refused = load(&crashing.disk, &crashing.options, &Settings::fixed());
        let told = refused.expect_err("it is damage").to_string();
        assert!(told.contains("log.1: at offset"), "{told}");
    }
}

#[test]
fn a_log_cut_at_every_byte_of_its_last_two_writes_starts() {
    let mut crashing = written(3);
    let log = file(&crashing.options.log_dir, Kind::Log, Zxid(1));
    let bytes = crashing.disk.read(&log).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    crashing.acknowledged = Zxid(crashing.acknowledged.0 - 2);
    let (base, writes) = (crashing.base.clone(), crashing.writes.clone());
    let mut held = 0;
    // Two transactions: a header, a path and a digest are fifty bytes at least.
    for len in (used - 32 - 100..=used).rev() {
        overwrite(&crashing.disk, &log, &bytes[..len]);
        let node = load(&crashing.disk, &crashing.options, &Settings::fixed()).unwrap().node;
        (crashing.base, crashing.writes) = (base.clone(), writes.clone());
        crashing.compare(&node).unwrap();
        held = node.last_processed.0;
    }
    assert!(held < crashing.acknowledged.0 + 2);
}
